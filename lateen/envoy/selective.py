"""A filter that acts on some requests only: all others pass it by."""

from collections.abc import Iterator
from typing import Any, Final

from envoy.extensions.common.matching.v3 import extension_matcher_pb2
from envoy.extensions.filters.common.matcher.action.v3 import skip_action_pb2
from envoy.type.matcher.v3 import http_inputs_pb2
from xds.core.v3 import extension_pb2
from xds.type.matcher.v3 import matcher_pb2, regex_pb2
from xds.type.matcher.v3 import string_pb2 as xds_string_pb2

from lateen.envoy.request_matchers import header_matchers
from lateen.envoy.values import typed
from lateen.plan.rate_limit_types import CountedRequests

_Predicate: Final = matcher_pb2.Matcher.MatcherList.Predicate


def only_for(requests: CountedRequests, name: str, config: Any) -> Any:
    """Say a filter of a name that acts on requests with these hosts, methods, paths and headers."""
    predicates = list(_predicates(requests))
    if not predicates:
        return config
    message = extension_matcher_pb2.ExtensionWithMatcher()
    message.extension_config.name = name
    message.extension_config.typed_config.CopyFrom(typed(config))
    line = message.xds_matcher.matcher_list.matchers.add()
    line.predicate.not_matcher.CopyFrom(_all(predicates))
    line.on_match.action.name = "skip"
    line.on_match.action.typed_config.CopyFrom(typed(skip_action_pb2.SkipFilter()))
    return message


def _predicates(requests: CountedRequests) -> Iterator[Any]:
    for header in header_matchers(requests):
        name = http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=header.name)
        predicate = _Predicate()
        predicate.single_predicate.input.CopyFrom(
            extension_pb2.TypedExtensionConfig(name=header.name, typed_config=typed(name))
        )
        predicate.single_predicate.value_match.CopyFrom(_string(header))
        yield predicate


def _all(predicates: list[Any]) -> Any:
    if len(predicates) == 1:
        return predicates[0]
    return _Predicate(and_matcher={"predicate": predicates})


def _string(header: Any) -> Any:
    """Say a comparison of a header in the words of the other kind of matcher; a text that is there is `.*`."""
    match, message = header.string_match, xds_string_pb2.StringMatcher()
    kind = match.WhichOneof("match_pattern")
    if kind in ("exact", "prefix"):
        setattr(message, kind, getattr(match, kind))
    else:
        expression = match.safe_regex.regex if kind else ".*"
        message.safe_regex.CopyFrom(regex_pb2.RegexMatcher(regex=expression, google_re2={}))
    return message
