"""Clusters."""

from datetime import timedelta
from typing import Any, Final

from envoy.config.cluster.v3 import cluster_pb2, outlier_detection_pb2
from envoy.config.core.v3 import config_source_pb2
from envoy.extensions.clusters.dns.v3 import dns_cluster_pb2

from lateen.envoy import connection_pools, dynamic_names, endpoints, health_checks, load_balancing, transport_sockets
from lateen.envoy.addresses import marked_source
from lateen.envoy.values import duration, origin_metadata, typed
from lateen.names import OWN_METADATA
from lateen.plan.telemetry_types import ServiceName
from lateen.plan.types import Cluster, Discovery, Keepalive, OriginatedTls, OutlierDetection

_DNS_JITTER: Final = timedelta(milliseconds=100)


def cluster(plan: Cluster) -> Any:
    """Say a destination of traffic."""
    message = cluster_pb2.Cluster(name=plan.name, alt_stat_name=stat_name(plan.name))
    message.connect_timeout.CopyFrom(duration(plan.limits.connect_timeout))
    _discover(message, plan)
    load_balancing.balance(message, plan)
    connection_pools.limit(message, plan)
    transport_sockets.secure(message, plan)
    health_checks.check(message, plan)
    # Endpoints that are not ready are known to the proxy, so it must never fall back to them in a panic.
    message.common_lb_config.healthy_panic_threshold.value = plan.outliers.min_healthy_percent if plan.outliers else 0
    if plan.outliers is not None:
        message.outlier_detection.CopyFrom(outlier_detection(plan.outliers))
    if plan.limits.keepalive is not None:
        _keep_alive(message.upstream_connection_options.tcp_keepalive, plan.limits.keepalive)
    if plan.buffer_bytes is not None:
        message.per_connection_buffer_limit_bytes.value = plan.buffer_bytes
    if plan.bind_address:
        message.upstream_bind_config.CopyFrom(marked_source(plan.bind_address))
    if plan.origin is not None:
        message.metadata.CopyFrom(origin_metadata(plan.origin))
    if plan.service is not None:
        _name_service(message.metadata, plan.service)
    return message


def stat_name(cluster_name: str) -> str:
    """Compose the name that statistics carry: the semicolon, as in Istio, tells where a name with dots ends."""
    return f"{cluster_name};"


def outlier_detection(plan: OutlierDetection) -> Any:
    """Say when endpoints are left out; detectors that are off are said so, since Envoy has some on by default."""
    message = outlier_detection_pb2.OutlierDetection(
        interval=duration(plan.interval),
        base_ejection_time=duration(plan.ejection_time),
        split_external_local_origin_errors=plan.splits_local,
    )
    message.max_ejection_percent.value = plan.max_ejected_percent
    message.enforcing_success_rate.value = 0
    _detect(message, "consecutive_5xx", plan.consecutive_5xx)
    _detect(message, "consecutive_gateway_failure", plan.consecutive_gateway)
    if plan.splits_local:
        _detect(message, "consecutive_local_origin_failure", plan.consecutive_local)
    return message


def _name_service(metadata: Any, service: ServiceName) -> None:
    """Write which service it is: for Istio's tools as they expect it, for our metrics part by part."""
    known = {name: value for name, value in service._asdict().items() if value}
    metadata.filter_metadata["istio"].fields["services"].list_value.values.add().struct_value.update(known)
    metadata.filter_metadata[OWN_METADATA].update(known)


def ads_config_source() -> Any:
    """Say that a resource comes over the one stream that all come over; nothing is live before it has come."""
    return config_source_pb2.ConfigSource(
        ads=config_source_pb2.AggregatedConfigSource(),
        initial_fetch_timeout=duration(timedelta(0)),
        resource_api_version="V3",
    )


def _detect(message: Any, detector: str, failures: int | None) -> None:
    if failures:
        getattr(message, detector).value = failures
    getattr(message, f"enforcing_{detector}").value = 100 if failures else 0


def _discover(message: Any, plan: Cluster) -> None:
    """Write where endpoints come from."""
    if plan.discovery is Discovery.ORIGINAL_DESTINATION:
        message.type = cluster_pb2.Cluster.ORIGINAL_DST
        if plan.target_port is not None:
            message.original_dst_lb_config.upstream_port_override.value = plan.target_port
    elif plan.discovery is Discovery.EDS:
        message.type = cluster_pb2.Cluster.EDS
        message.eds_cluster_config.eds_config.CopyFrom(ads_config_source())
    else:
        if plan.discovery is Discovery.DYNAMIC_DNS:
            message.cluster_type.CopyFrom(_dynamic_cluster_type(plan))
            return
        if plan.discovery in (Discovery.DNS, Discovery.DNS_ROUND_ROBIN):
            message.cluster_type.CopyFrom(_dns_cluster_type(plan))
        else:
            message.type = cluster_pb2.Cluster.STATIC
        message.load_assignment.CopyFrom(_inline_endpoints(plan))


def _inline_endpoints(plan: Cluster) -> Any:
    return endpoints.cluster_load_assignment(plan, plan.endpoints)


def _dns_cluster_type(plan: Cluster) -> Any:
    """Say that names are resolved: for as long as their answers live, and again soon where there is no answer."""
    config = dns_cluster_pb2.DnsCluster(
        dns_refresh_rate=duration(plan.name_refresh),
        dns_jitter=duration(_DNS_JITTER),
        respect_dns_ttl=True,
        dns_lookup_family="V4_PREFERRED",
        all_addresses_in_single_endpoint=plan.discovery is Discovery.DNS_ROUND_ROBIN,
    )
    return cluster_pb2.Cluster.CustomClusterType(name="envoy.clusters.dns", typed_config=typed(config))


def _dynamic_cluster_type(plan: Cluster) -> Any:
    """Say that the name of each request is resolved. Only where there is TLS can its certificate be asked for it."""
    verifies = isinstance(plan.tls, OriginatedTls) and plan.tls.verifies and not plan.tls.accepted_names
    config = dynamic_names.cluster_config(verifies=verifies)
    return cluster_pb2.Cluster.CustomClusterType(name=dynamic_names.CLUSTER_TYPE, typed_config=typed(config))


def _keep_alive(message: Any, plan: Keepalive) -> None:
    if plan.probes is not None:
        message.keepalive_probes.value = plan.probes
    if plan.time is not None:
        message.keepalive_time.value = int(plan.time.total_seconds())
    if plan.interval is not None:
        message.keepalive_interval.value = int(plan.interval.total_seconds())
