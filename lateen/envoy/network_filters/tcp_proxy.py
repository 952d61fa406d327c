"""The TCP proxy: a connection is carried to an endpoint as it is."""

from typing import Any, Final

from envoy.config.listener.v3 import listener_components_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2

from lateen.envoy import audit_logs, stats_logs
from lateen.envoy.access_logs import connection_logs
from lateen.envoy.standard_tags import Vantage
from lateen.envoy.values import duration, typed
from lateen.plan.destination_types import Keeping
from lateen.plan.telemetry_types import Reports
from lateen.plan.types import NO_GUARD, Guard, Target, TcpChain

NAME: Final = "envoy.filters.network.tcp_proxy"

_EARLY_BYTES: Final = 64 * 1024
"""How much is kept of what comes before there is a connection to carry it on; the rest waits at the sender."""


def tcp_proxy(plan: TcpChain, reports: Reports, vantage: Vantage, guard: Guard = NO_GUARD) -> Any:
    """Say which cluster, or which share of several, carries a connection."""
    message = tcp_proxy_pb2.TcpProxy(stat_prefix=plan.targets[0].cluster, access_log=connection_logs(reports))
    if metrics := stats_logs.connection_metrics(reports.metrics, vantage):
        message.access_log.extend(metrics)
        message.access_log_options.flush_access_log_on_connected = True
    message.access_log.extend(audit_logs.tcp_records(guard))
    if vantage.is_mutual:
        # Who calls is known then, and until then the workload is left alone.
        message.upstream_connect_mode = tcp_proxy_pb2.ON_DOWNSTREAM_TLS_HANDSHAKE
        message.max_early_data_bytes.value = _EARLY_BYTES
    _aim(message, plan.targets)
    if plan.keeps_clients:
        message.hash_policy.add().source_ip.SetInParent()
    if plan.tunnel is not None:
        message.tunneling_config.hostname = f"{plan.tunnel.host}:{plan.tunnel.port}"
        message.tunneling_config.use_post = plan.tunnel.by_post
    _keep(message, plan.keeping)
    return listener_components_pb2.Filter(name=NAME, typed_config=typed(message))


def _keep(message: Any, plan: Keeping) -> None:
    """Write how long a connection lasts."""
    if plan.idle_timeout is not None:
        message.idle_timeout.CopyFrom(duration(plan.idle_timeout))
    if plan.most_duration is not None:
        message.max_downstream_connection_duration.CopyFrom(duration(plan.most_duration))


def _aim(message: Any, targets: tuple[Target, ...]) -> None:
    """Write the destinations; Envoy wants positive weights, so those without a share are left out."""
    shares = [target for target in targets if target.weight > 0]
    if len(shares) <= 1:
        message.cluster = (shares or targets)[0].cluster
        return
    for target in shares:
        message.weighted_clusters.clusters.add(name=target.cluster, weight=target.weight)
