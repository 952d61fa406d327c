"""How many connections and requests a cluster carries, and which HTTP its upstream is spoken to in."""

from collections.abc import Iterable
from typing import Any, Final

from envoy.config.common.matcher.v3 import matcher_pb2
from envoy.config.core.v3 import protocol_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from lateen.envoy import header_names
from lateen.envoy.framing import field_of
from lateen.envoy.matching import regex
from lateen.envoy.values import duration, typed
from lateen.model.protocol import Protocol
from lateen.plan.destination_types import RetryBudget
from lateen.plan.types import Cluster, Limits, OriginatedTls

NO_BOUND: Final = 2**32 - 1
_MOST_STREAMS: Final = 2**31 - 1
_BUDGET_INTERVAL: Final = 3
_HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def limit(message: Any, plan: Cluster) -> None:
    """Write the bounds of the pool and the HTTP options into a cluster."""
    _break_circuits(message.circuit_breakers.thresholds.add(), plan.limits)
    options = http_protocol_options(plan)
    if options is not None:
        message.typed_extension_protocol_options[_HTTP_OPTIONS].CopyFrom(typed(options))


def _spend_on_retries(message: Any, budget: RetryBudget) -> None:
    """Write a budget for retries. Envoy knows the interval, the generated messages do not yet."""
    message.budget_percent.value = budget.percent
    message.min_retry_concurrency.value = budget.minimum
    if budget.interval is not None:
        body = duration(budget.interval).SerializeToString()
        message.MergeFromString(field_of(_BUDGET_INTERVAL, body))


def http_protocol_options(plan: Cluster) -> Any | None:
    """Say how the upstream speaks HTTP; None where Envoy's defaults (HTTP/1.1, idle for an hour) are what is meant."""
    options = http_protocol_options_pb2.HttpProtocolOptions()
    if plan.follows_client_protocol or plan.protocol is Protocol.AUTO:
        _speak_http1(options.use_downstream_protocol_config.http_protocol_options, plan)
        _open_streams(options.use_downstream_protocol_config.http2_protocol_options, plan.limits)
    elif plan.protocol.is_http2:
        _open_streams(options.explicit_http_config.http2_protocol_options, plan.limits)
    elif plan.protocol.is_http and _says_more(plan):
        _speak_http1(options.explicit_http_config.http_protocol_options, plan)
    else:
        return None
    if isinstance(plan.tls, OriginatedTls) and plan.tls.follows_host:
        _name_server_by_host(options.upstream_http_protocol_options, plan.tls)
    if codes := _failure_codes(plan):
        options.outlier_detection.error_matcher.CopyFrom(_answered_with(codes))
    if _has_http_limits(plan.limits):
        options.common_http_protocol_options.CopyFrom(_common_http_protocol_options(plan.limits))
    return options


def _says_more(plan: Cluster) -> bool:
    return bool(_has_http_limits(plan.limits) or _follows_host(plan) or _failure_codes(plan) or plan.keeps_case)


def _speak_http1(message: Any, plan: Cluster) -> None:
    message.SetInParent()
    if plan.keeps_case:
        message.header_key_format.CopyFrom(header_names.as_they_came())


def _failure_codes(plan: Cluster) -> tuple[int, ...]:
    return plan.outliers.failure_codes if plan.outliers else ()


def _answered_with(codes: Iterable[int]) -> Any:
    """Say which answers count as failures of an endpoint, instead of those from 500 on."""
    message = matcher_pb2.MatchPredicate()
    status = message.http_response_headers_match.headers.add(name=":status")
    status.string_match.safe_regex.CopyFrom(regex("|".join(map(str, codes))))
    return message


def _follows_host(plan: Cluster) -> bool:
    return isinstance(plan.tls, OriginatedTls) and plan.tls.follows_host


def _name_server_by_host(message: Any, tls: OriginatedTls) -> None:
    """Have each request's host asked for in the TLS, and looked for in the certificate unless other names are."""
    message.auto_sni = True
    message.auto_san_validation = tls.verifies and not tls.accepted_names


def _break_circuits(thresholds: Any, limits: Limits) -> None:
    """Write the bounds; Envoy's own are far below "no bound", which is the mesh's default."""
    thresholds.max_connections.value = _bound(limits.connections)
    thresholds.max_pending_requests.value = _bound(limits.pending_requests)
    thresholds.max_requests.value = _bound(limits.requests)
    thresholds.max_retries.value = _bound(limits.retries)
    thresholds.track_remaining = True
    if limits.retry_budget is not None:
        _spend_on_retries(thresholds.retry_budget, limits.retry_budget)


def _bound(limit: int | None) -> int:
    return NO_BOUND if limit is None else limit


def _open_streams(http2: Any, limits: Limits) -> None:
    streams = limits.concurrent_streams
    http2.max_concurrent_streams.value = _MOST_STREAMS if streams is None else streams
    if limits.ping is not None and limits.ping.interval is not None:
        http2.connection_keepalive.interval.CopyFrom(duration(limits.ping.interval))
        http2.connection_keepalive.timeout.CopyFrom(duration(limits.ping.timeout or limits.ping.interval))


def _has_http_limits(limits: Limits) -> bool:
    timed = limits.idle_timeout is not None or limits.connection_duration is not None
    return timed or bool(limits.requests_per_connection)


def _common_http_protocol_options(limits: Limits) -> Any:
    options = protocol_pb2.HttpProtocolOptions()
    if limits.idle_timeout is not None:
        options.idle_timeout.CopyFrom(duration(limits.idle_timeout))
    if limits.connection_duration is not None:
        options.max_connection_duration.CopyFrom(duration(limits.connection_duration))
    if limits.requests_per_connection:
        options.max_requests_per_connection.value = limits.requests_per_connection
    return options
