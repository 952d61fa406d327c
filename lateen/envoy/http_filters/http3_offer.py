"""Answers say that the same host and port speak HTTP/3 too: `alt-svc`, before everything else in the chain.

The port is the one that the client called, which only its request tells: the gateway's own may be another.
"""

from typing import Any, Final

from envoy.config.core.v3 import base_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from lateen.envoy.values import typed

NAME: Final = "lateen.http3_offer"

_SCRIPT: Final = """
function envoy_on_request(handle)
  local port = (handle:headers():get(":authority") or ""):match(":(%d+)$") or "443"
  handle:streamInfo():dynamicMetadata():set("lateen.http3", "port", port)
end

function envoy_on_response(handle)
  local called = handle:streamInfo():dynamicMetadata():get("lateen.http3")
  if called then handle:headers():replace("alt-svc", 'h3=":' .. called.port .. '"; ma=86400') end
end
"""


def http_filter() -> Any:
    """Say the filter."""
    script = lua_pb2.Lua(default_source_code=base_pb2.DataSource(inline_string=_SCRIPT))
    return hcm_pb2.HttpFilter(name=NAME, typed_config=typed(script))
