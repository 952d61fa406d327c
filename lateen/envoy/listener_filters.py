"""Listener filters: what is learned of a connection before a filter chain is chosen."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from envoy.config.listener.v3 import listener_components_pb2
from envoy.extensions.filters.listener.http_inspector.v3 import http_inspector_pb2
from envoy.extensions.filters.listener.original_dst.v3 import original_dst_pb2
from envoy.extensions.filters.listener.proxy_protocol.v3 import proxy_protocol_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2

from lateen.envoy.values import duration, typed

HTTP_PROTOCOLS: Final = ("http/1.0", "http/1.1", "h2c")


def original_dst() -> Any:
    """Learn where a captured connection was heading for."""
    return _listener_filter("envoy.filters.listener.original_dst", original_dst_pb2.OriginalDst())


def http_inspector() -> Any:
    """Learn whether the client speaks HTTP. TLS is no HTTP to it."""
    return _listener_filter("envoy.filters.listener.http_inspector", http_inspector_pb2.HttpInspector())


def tls_inspector() -> Any:
    """Learn whether the client speaks TLS, and for which server name and protocols it asks."""
    return _listener_filter("envoy.filters.listener.tls_inspector", tls_inspector_pb2.TlsInspector())


def proxy_protocol() -> Any:
    """Learn the client's address from who stands before us, where he tells it."""
    config = proxy_protocol_pb2.ProxyProtocol(allow_requests_without_proxy_protocol=True)
    return _listener_filter("envoy.filters.listener.proxy_protocol", config)


def detect(message: Any, looks_for: timedelta, ports: Sequence[int] | None = None) -> None:
    """Have a listener find out which connections are plain HTTP, among all or among those to some ports.

    It looks for the first bytes for so long at most, or without end where that is 0.
    """
    inspector = http_inspector()
    if ports is not None:
        inspector.filter_disabled.not_match.CopyFrom(_any_port(ports))
    _look(message, inspector, looks_for)


def detect_tls(
    message: Any, looks_for: timedelta, *, ports: Sequence[int] = (), except_ports: Sequence[int] = ()
) -> None:
    """Have a listener find out which connections are TLS, among those to some ports, or to all except some."""
    inspector = tls_inspector()
    if ports:
        inspector.filter_disabled.not_match.CopyFrom(_any_port(ports))
    elif except_ports:
        inspector.filter_disabled.CopyFrom(_any_port(except_ports))
    _look(message, inspector, looks_for)


def _look(message: Any, inspector: Any, looks_for: timedelta) -> None:
    """Add an inspector; where nothing comes that it could look at, the connection goes on after a while."""
    message.listener_filters.append(inspector)
    message.listener_filters_timeout.CopyFrom(duration(looks_for))
    message.continue_on_listener_filters_timeout = True


def _any_port(ports: Sequence[int]) -> Any:
    """Say connections to one of the ports."""
    predicate = listener_components_pb2.ListenerFilterChainMatchPredicate
    rules = [predicate(destination_port_range={"start": port, "end": port + 1}) for port in sorted(set(ports))]
    if len(rules) == 1:
        return rules[0]
    return predicate(or_match=predicate.MatchSet(rules=rules))


def _listener_filter(name: str, config: Any) -> Any:
    return listener_components_pb2.ListenerFilter(name=name, typed_config=typed(config))
