"""What is known of a connection's caller by its certificate, kept where logs and metrics find it."""

from typing import Any, Final

from envoy.config.core.v3 import substitution_format_string_pb2
from envoy.config.listener.v3 import listener_components_pb2
from envoy.extensions.filters.common.set_filter_state.v3 import value_pb2
from envoy.extensions.filters.network.set_filter_state.v3 import set_filter_state_pb2

from lateen.envoy import newer_fields
from lateen.envoy.values import typed
from lateen.names import LATEST, MESH_CLUSTER, UNKNOWN, peer_pattern, peer_state
from lateen.plan.compact_labels import BETWEEN_FACTS, FACTS

NAME: Final = "envoy.filters.network.set_filter_state"

_STRING: Final = "envoy.string"
_NAME: Final = "connection.dns_san_peer_certificate"
_SPIFFE: Final = "^spiffe://[^/]+/ns/([^/]+)/sa/[^/]+$"
_PARTS: Final = ("workload", "app", "version", "service", "revision", "instance")
"""The groups of a peer's name."""


def peer_facts() -> Any:
    """Say how a caller is made known: as nobody at first, and by the names in its certificate once that is there."""
    unknown = ((fact, LATEST if fact == "revision" else UNKNOWN) for fact in (*_PARTS, "namespace", "cluster"))
    config = set_filter_state_pb2.Config(on_new_connection=[_value(peer_state(fact), text) for fact, text in unknown])
    newer_fields.on_tls_handshake(config, attested())
    return listener_components_pb2.Filter(name=NAME, typed_config=typed(config))


def attested() -> list[Any]:
    """Say what the certificate attests; a name of another form says nothing."""
    parts = [_value(peer_state(part), _extracted(_NAME, peer_pattern(part), "\\\\1")) for part in _PARTS]
    return [
        *parts,
        _value(peer_state("cluster"), _extracted(_NAME, peer_pattern("workload"), MESH_CLUSTER)),
        _value(peer_state("namespace"), _extracted("connection.uri_san_peer_certificate", _SPIFFE, "\\\\1")),
        _value(peer_state("all"), BETWEEN_FACTS.join(f"%FILTER_STATE({peer_state(fact)}:PLAIN)%" for fact in FACTS)),
    ]


def _extracted(text: str, pattern: str, written: str) -> str:
    return f"%CEL(re.extract({text}, '{pattern}', '{written}'))%"


def _value(key: str, format_text: str) -> Any:
    text = substitution_format_string_pb2.SubstitutionFormatString(omit_empty_values=True)
    text.text_format_source.inline_string = format_text
    return value_pb2.FilterStateValue(object_key=key, factory_key=_STRING, format_string=text, skip_if_empty=True)
