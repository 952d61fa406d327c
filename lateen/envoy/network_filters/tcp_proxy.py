"""The TCP proxy: a connection is carried to an endpoint as it is."""

from typing import Any, Final

from envoy.config.listener.v3 import listener_components_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2

from lateen.envoy import audit_logs
from lateen.envoy.access_logs import access_logs
from lateen.envoy.values import duration, typed
from lateen.plan.types import NO_GUARD, AccessLog, Guard, Target, TcpChain

NAME: Final = "envoy.filters.network.tcp_proxy"


def tcp_proxy(plan: TcpChain, access_log: AccessLog, guard: Guard = NO_GUARD) -> Any:
    """Say which cluster, or which share of several, carries a connection."""
    message = tcp_proxy_pb2.TcpProxy(stat_prefix=plan.targets[0].cluster, access_log=access_logs(access_log))
    message.access_log.extend(audit_logs.tcp_records(guard))
    _aim(message, plan.targets)
    if plan.idle_timeout is not None:
        message.idle_timeout.CopyFrom(duration(plan.idle_timeout))
    return listener_components_pb2.Filter(name=NAME, typed_config=typed(message))


def _aim(message: Any, targets: tuple[Target, ...]) -> None:
    """Write the destinations; Envoy wants positive weights, so those without a share are left out."""
    shares = [target for target in targets if target.weight > 0]
    if len(shares) <= 1:
        message.cluster = (shares or targets)[0].cluster
        return
    for target in shares:
        message.weighted_clusters.clusters.add(name=target.cluster, weight=target.weight)
