"""What a connection offers in the ALPN of its upstream's TLS, where that is another than its cluster's."""

from collections.abc import Sequence
from typing import Any, Final

from envoy.config.core.v3 import substitution_format_string_pb2
from envoy.config.listener.v3 import listener_components_pb2
from envoy.extensions.filters.common.set_filter_state.v3 import value_pb2
from envoy.extensions.filters.network.set_filter_state.v3 import set_filter_state_pb2

from lateen.envoy.values import typed

NAME: Final = "envoy.filters.network.set_filter_state"

_OFFERED: Final = "envoy.network.application_protocols"


def offered_protocols(protocols: Sequence[str]) -> Any:
    """Say what connections offer instead of what their cluster does."""
    text = substitution_format_string_pb2.SubstitutionFormatString()
    text.text_format_source.inline_string = ",".join(protocols)
    value = value_pb2.FilterStateValue(object_key=_OFFERED, format_string=text, shared_with_upstream="ONCE")
    config = set_filter_state_pb2.Config(on_new_connection=[value])
    return listener_components_pb2.Filter(name=NAME, typed_config=typed(config))
