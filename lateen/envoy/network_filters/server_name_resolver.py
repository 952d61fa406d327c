"""TLS connections to hosts of a wildcard: the server name that the client asks for is resolved."""

from typing import Any, Final

from envoy.config.listener.v3 import listener_components_pb2
from envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3 import sni_dynamic_forward_proxy_pb2

from lateen.envoy.dynamic_names import dns_cache
from lateen.envoy.values import typed

NAME: Final = "envoy.filters.network.sni_dynamic_forward_proxy"


def server_name_resolver(port: int) -> Any:
    """Say that the connection goes to a port of the server that it asks for."""
    config = sni_dynamic_forward_proxy_pb2.FilterConfig(dns_cache_config=dns_cache(), port_value=port)
    return listener_components_pb2.Filter(name=NAME, typed_config=typed(config))
