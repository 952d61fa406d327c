"""Endpoints of clusters."""

from collections.abc import Iterable
from typing import Any, Final

from envoy.config.core.v3 import base_pb2, health_check_pb2
from envoy.config.endpoint.v3 import endpoint_pb2

from lateen.envoy.addresses import fill
from lateen.envoy.transport_sockets import mark_endpoint
from lateen.model.endpoint import Endpoint, Health
from lateen.model.workload import Locality

_HEALTH: Final = {
    Health.HEALTHY: health_check_pb2.HEALTHY,
    Health.UNHEALTHY: health_check_pb2.UNHEALTHY,
    Health.DRAINING: health_check_pb2.DRAINING,
}
_MESH_CLUSTER: Final = "Kubernetes"
"""The cluster of machines that every endpoint runs in, by Istio's default name."""


def cluster_load_assignment(cluster_name: str, endpoints: Iterable[Endpoint], includes_unready: bool = False) -> Any:
    """Say a cluster's endpoints, one group for each locality in the order in which they first appear.

    With `includes_unready`, endpoints that are not ready count as healthy; those that drain never do.
    """
    message = endpoint_pb2.ClusterLoadAssignment(cluster_name=cluster_name)
    groups: dict[Locality, Any] = {}
    for endpoint in endpoints:
        group = groups.get(endpoint.locality)
        if group is None:
            group = groups[endpoint.locality] = message.endpoints.add()
            _name_locality(group.locality, endpoint.locality)
        _add(group, endpoint, includes_unready)
    return message


def _add(group: Any, endpoint: Endpoint, includes_unready: bool) -> None:
    """Add an endpoint to its locality. Written field by field: this is the hottest place of a push."""
    weight = max(endpoint.weight, 1)
    message = group.lb_endpoints.add()
    fill(message.endpoint.address, endpoint.address, endpoint.port)
    unready = endpoint.health is Health.UNHEALTHY and includes_unready
    message.health_status = health_check_pb2.HEALTHY if unready else _HEALTH[endpoint.health]
    message.load_balancing_weight.value = weight
    group.load_balancing_weight.value += weight
    if endpoint.workload:
        message.metadata.filter_metadata["istio"].fields["workload"].string_value = _workload(endpoint)
    if endpoint.tls:
        mark_endpoint(message.metadata)


def _name_locality(message: Any, locality: Locality) -> None:
    message.CopyFrom(base_pb2.Locality(region=locality.region, zone=locality.zone, sub_zone=locality.subzone))


def _workload(endpoint: Endpoint) -> str:
    """Name an endpoint's workload for telemetry: `name;namespace;canonical name;canonical revision;cluster`."""
    labels = endpoint.labels
    name = (
        labels.get("service.istio.io/canonical-name")
        or labels.get("app.kubernetes.io/name")
        or labels.get("app")
        or endpoint.workload
    )
    revision = (
        labels.get("service.istio.io/canonical-revision")
        or labels.get("app.kubernetes.io/version")
        or labels.get("version")
        or "latest"
    )
    return f"{endpoint.workload};{endpoint.namespace};{name};{revision};{_MESH_CLUSTER}"
