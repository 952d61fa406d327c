"""Fields of Envoy 1.40 for which the generated protobuf modules have no names yet.

They are written as bytes. A message keeps them like others, but shows them in no text.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from google.protobuf.any_pb2 import Any as AnyMessage
from xds.type.matcher.v3 import matcher_pb2

from lateen.envoy.framing import field_of

_STATS_SCOPE: Final = 6
_EVICTION_ENABLED: Final = b"\x20\x01"
_NO_CONTEXT_PROPAGATION: Final = b"\x68\x01"
_TAG_RULES: Final = 3
_UPDATE_TAG: Final = 3
_NEW_TAG_VALUE: Final = 2
_ON_TLS_HANDSHAKE: Final = 2
_EXTENSIONS: Final = "type.googleapis.com/envoy.extensions.matching"
_INPUT: Final = f"{_EXTENSIONS}.common_inputs.stats.v3.StatTagValueInput"
_TRANSFORM: Final = f"{_EXTENSIONS}.actions.transform_stat.v3.TransformStat"


def on_tls_handshake(config: Any, values: Iterable[Any]) -> None:
    """Have the network filter set_filter_state set values once a client's certificate is known."""
    for value in values:
        config.MergeFromString(field_of(_ON_TLS_HANDSHAKE, value.SerializeToString(deterministic=True)))


def forget_idle(config: Any) -> None:
    """Have a stats access logger forget a series of which nothing came for long."""
    config.MergeFromString(field_of(_STATS_SCOPE, _EVICTION_ENABLED))


def pass_no_trace_on(tracing: Any) -> None:
    """Have an HTTP connection manager write no headers about the trace."""
    tracing.MergeFromString(_NO_CONTEXT_PROPAGATION)


def replace_empty(tag: Any, instead: str) -> None:
    """Have a tag of the stats access logger say something where it would be empty."""
    tag.MergeFromString(field_of(_TAG_RULES, _exactly("", instead)))


def tell_apart(tag: Any, prefix: str, then: str, otherwise: str) -> None:
    """Have a tag of the stats access logger say one thing for values with a prefix, and another for all others."""
    tag.MergeFromString(field_of(_TAG_RULES, _by_prefix(prefix, then, otherwise)))


@lru_cache(maxsize=64)
def _exactly(value: str, instead: str) -> bytes:
    matcher = _tree()
    matcher.matcher_tree.exact_match_map.map[value].action.CopyFrom(_said(instead))
    return _bytes(matcher)


@lru_cache(maxsize=64)
def _by_prefix(prefix: str, then: str, otherwise: str) -> bytes:
    matcher = _tree()
    matcher.matcher_tree.prefix_match_map.map[prefix].action.CopyFrom(_said(then))
    matcher.on_no_match.action.CopyFrom(_said(otherwise))
    return _bytes(matcher)


def _tree() -> Any:
    matcher = matcher_pb2.Matcher()
    matcher.matcher_tree.input.name = "tag"
    matcher.matcher_tree.input.typed_config.CopyFrom(AnyMessage(type_url=_INPUT))
    return matcher


def _said(value: str) -> Any:
    """Say the action that replaces a tag's value."""
    body = field_of(_UPDATE_TAG, field_of(_NEW_TAG_VALUE, value.encode()))
    action = matcher_pb2.Matcher.OnMatch().action
    action.name = "tag"
    action.typed_config.CopyFrom(AnyMessage(type_url=_TRANSFORM, value=body))
    return action


def _bytes(matcher: Any) -> bytes:
    body: bytes = matcher.SerializeToString(deterministic=True)
    return body
