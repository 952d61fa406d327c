"""A filter that is passed over unless a glance at the request sees what it is for."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_interface
from typing import Any

from envoy.config.core.v3 import address_pb2, extension_pb2
from envoy.extensions.common.matching.v3 import extension_matcher_pb2
from envoy.extensions.filters.common.matcher.action.v3 import skip_action_pb2
from envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2
from envoy.extensions.matching.input_matchers.ip.v3 import ip_pb2
from envoy.type.matcher.v3 import http_inputs_pb2
from xds.core.v3 import extension_pb2 as xds_extension_pb2
from xds.type.matcher.v3 import matcher_pb2, regex_pb2, string_pb2

from lateen.envoy.values import typed
from lateen.names import peer_state
from lateen.plan.conditions import AddressIn, AnyOf, Condition, HeaderFits, PeerIs
from lateen.plan.types import MatchKind, TextMatch

_List = matcher_pb2.Matcher.MatcherList


def passed_over(name: str, filter_: Any, unless: Condition) -> Any | None:
    """Say a filter that is passed over unless a condition holds; None where a glance cannot see the condition."""
    parts = unless.parts if isinstance(unless, AnyOf) else (unless,)
    if not all(isinstance(part, HeaderFits | PeerIs | AddressIn) for part in parts):
        return None
    predicates = list(_predicates(parts))
    seen = predicates[0]
    if len(predicates) > 1:
        seen = _List.Predicate(or_matcher=_List.Predicate.PredicateList(predicate=predicates))
    skip = matcher_pb2.Matcher.OnMatch(action=_extension("skip", skip_action_pb2.SkipFilter()))
    matcher = _List.FieldMatcher(predicate=_List.Predicate(not_matcher=seen), on_match=skip)
    return extension_matcher_pb2.ExtensionWithMatcher(
        xds_matcher=matcher_pb2.Matcher(matcher_list=_List(matchers=[matcher])),
        extension_config=extension_pb2.TypedExtensionConfig(name=name, typed_config=typed(filter_)),
    )


def _predicates(parts: Iterable[Condition]) -> Iterator[Any]:
    blocks: dict[bool, list[str]] = {}
    for part in parts:
        match part:
            case HeaderFits(name, text):
                looked_at = http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=name)
                yield _text("header", looked_at, text)
            case PeerIs(fact, text):
                yield _text("peer", network_inputs_pb2.FilterStateInput(key=peer_state(fact)), text)
            case AddressIn(block, forwarded):
                blocks.setdefault(forwarded, []).append(block)
    for forwarded, listed in blocks.items():
        yield _addresses(listed, forwarded=forwarded)


def _text(name: str, looked_at: Any, text: TextMatch) -> Any:
    single = _List.Predicate.SinglePredicate(input=_extension(name, looked_at), value_match=_string(text))
    return _List.Predicate(single_predicate=single)


def _string(text: TextMatch) -> Any:
    match text.kind:
        case MatchKind.PREFIX:
            return string_pb2.StringMatcher(prefix=text.value, ignore_case=text.ignore_case)
        case MatchKind.SUFFIX:
            return string_pb2.StringMatcher(suffix=text.value, ignore_case=text.ignore_case)
        case MatchKind.REGEX | MatchKind.PRESENT:
            case = "(?i)" if text.ignore_case else ""
            regex = f"{case}{text.value}" if text.kind is MatchKind.REGEX else "(?s:.*)"
            return string_pb2.StringMatcher(safe_regex=regex_pb2.RegexMatcher(regex=regex, google_re2={}))
        case _:
            return string_pb2.StringMatcher(exact=text.value, ignore_case=text.ignore_case)


def _addresses(blocks: Iterable[str], *, forwarded: bool) -> Any:
    looked_at = network_inputs_pb2.SourceIPInput() if forwarded else network_inputs_pb2.DirectSourceIPInput()
    ranges = ip_pb2.Ip(stat_prefix="glance", cidr_ranges=map(_range, blocks))
    single = _List.Predicate.SinglePredicate(
        input=_extension("address", looked_at), custom_match=_extension("blocks", ranges)
    )
    return _List.Predicate(single_predicate=single)


def _range(block: str) -> Any:
    network = ip_interface(block).network
    message = address_pb2.CidrRange(address_prefix=str(network.network_address))
    message.prefix_len.value = network.prefixlen
    return message


def _extension(name: str, message: Any) -> Any:
    return xds_extension_pb2.TypedExtensionConfig(name=name, typed_config=typed(message))
