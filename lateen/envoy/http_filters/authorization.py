"""Rules about who may call: AUDIT marks, DENY refuses, ALLOW refuses what none of its rules lets pass."""

from collections.abc import Iterator
from typing import Any, Final

from envoy.config.core.v3 import extension_pb2
from envoy.extensions.common.matching.v3 import extension_matcher_pb2
from envoy.extensions.filters.common.matcher.action.v3 import skip_action_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2
from envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2
from envoy.extensions.matching.input_matchers.metadata.v3 import metadata_pb2
from envoy.type.matcher.v3 import string_pb2, value_pb2
from xds.core.v3 import extension_pb2 as xds_extension_pb2
from xds.type.matcher.v3 import matcher_pb2

from lateen.envoy import rbac
from lateen.envoy.side import Side
from lateen.envoy.values import typed
from lateen.plan.types import Guard, Route

NAME: Final = "envoy.filters.http.rbac"
SLEEPS: Final = False


def http_filters(side: Side, guard: Guard) -> Iterator[Any]:
    """Stand where rules are, once for each action, and once more as a screen before many that refuse."""
    if side is Side.OUTBOUND:
        return
    for step in rbac.steps(guard.access):
        filter_ = rbac_pb2.RBAC(
            rules=step.rules, shadow_rules=step.shadow_rules, shadow_rules_stat_prefix=step.shadow_prefix
        )
        if step.screen is None:
            yield filter_
        else:
            yield rbac_pb2.RBAC(shadow_rules=step.screen, shadow_rules_stat_prefix=rbac.SCREEN_PREFIX)
            yield _behind_screen(filter_)


def route_config(route: Route) -> None:
    """Say nothing: rules are the workload's."""


def _behind_screen(filter_: Any) -> Any:
    """Say a filter that is passed over where the screen has just told, and told that nothing matches."""
    told = value_pb2.ValueMatcher(string_match=string_pb2.StringMatcher(exact=rbac.NOTHING_MATCHED))
    verdict = network_inputs_pb2.DynamicMetadataInput(filter=NAME)
    verdict.path.add(key=rbac.SCREEN_PREFIX + rbac.VERDICT)
    nothing_matches = matcher_pb2.Matcher.MatcherList.Predicate.SinglePredicate(
        input=_extension("verdict", verdict), custom_match=_extension("nothing", metadata_pb2.Metadata(value=told))
    )
    skip = matcher_pb2.Matcher.OnMatch(action=_extension("skip", skip_action_pb2.SkipFilter()))
    passed_over = matcher_pb2.Matcher.MatcherList.FieldMatcher(
        predicate=matcher_pb2.Matcher.MatcherList.Predicate(single_predicate=nothing_matches), on_match=skip
    )
    return extension_matcher_pb2.ExtensionWithMatcher(
        xds_matcher=matcher_pb2.Matcher(matcher_list=matcher_pb2.Matcher.MatcherList(matchers=[passed_over])),
        extension_config=extension_pb2.TypedExtensionConfig(name=NAME, typed_config=typed(filter_)),
    )


def _extension(name: str, message: Any) -> Any:
    return xds_extension_pb2.TypedExtensionConfig(name=name, typed_config=typed(message))
