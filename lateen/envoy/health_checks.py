"""Health checks: how a proxy asks the endpoints of a cluster itself."""

from typing import Any

from envoy.config.core.v3 import base_pb2, health_check_pb2

from lateen.envoy.values import duration
from lateen.plan.destination_types import GrpcProbe, HealthProbe, HttpProbe, TcpProbe
from lateen.plan.types import Cluster


def check(message: Any, plan: Cluster) -> None:
    """Write into a cluster how its endpoints are asked.

    An endpoint that the control plane takes away goes at once, whatever it answers.
    """
    if plan.probe is None:
        return
    message.ignore_health_on_host_removal = True
    message.health_checks.append(health_check(plan.probe, is_http2=plan.protocol.is_http2))


def health_check(plan: HealthProbe, *, is_http2: bool) -> Any:
    """Say one way to ask. It makes no difference whether the cluster has traffic."""
    message = health_check_pb2.HealthCheck(
        interval=duration(plan.interval),
        no_traffic_interval=duration(plan.interval),
        timeout=duration(plan.timeout),
    )
    message.unhealthy_threshold.value = plan.failures
    message.healthy_threshold.value = plan.successes
    match plan.ask:
        case HttpProbe() as ask:
            _get(message.http_health_check, ask, is_http2)
        case GrpcProbe(service, host):
            message.grpc_health_check.service_name = service
            message.grpc_health_check.authority = host
        case TcpProbe() as ask:
            _talk(message.tcp_health_check, ask)
    return message


def _get(message: Any, plan: HttpProbe, is_http2: bool) -> None:
    message.path = plan.path
    message.host = plan.host
    message.codec_client_type = "HTTP2" if is_http2 else "HTTP1"
    for name, value in plan.headers:
        message.request_headers_to_add.add().header.MergeFrom(_header(name, value))
    for first, last in plan.statuses:
        message.expected_statuses.add(start=first, end=last + 1)


def _header(name: str, value: str) -> Any:
    return base_pb2.HeaderValue(key=name, value=value)


def _talk(message: Any, plan: TcpProbe) -> None:
    message.SetInParent()
    if plan.send:
        message.send.binary = plan.send
    if plan.receive:
        message.receive.add().binary = plan.receive
