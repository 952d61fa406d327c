"""Endpoints of clusters."""

from collections.abc import Iterable
from dataclasses import asdict
from functools import lru_cache
from typing import Any, Final

from envoy.config.core.v3 import base_pb2, health_check_pb2
from envoy.config.endpoint.v3 import endpoint_pb2

from lateen.envoy.addresses import fill
from lateen.envoy.transport_sockets import mark_endpoint
from lateen.model import peer_names
from lateen.model.endpoint import Endpoint, Health
from lateen.model.workload import Locality
from lateen.names import MESH_CLUSTER, OWN_METADATA, UNKNOWN, PeerName
from lateen.plan import localities
from lateen.plan.compact_labels import BETWEEN_FACTS, FACTS
from lateen.plan.destination_types import Distribution, Preference, Spread, ZoneAwareness

_HEALTH: Final = {
    Health.HEALTHY: health_check_pb2.HEALTHY,
    Health.UNHEALTHY: health_check_pb2.UNHEALTHY,
    Health.DRAINING: health_check_pb2.DRAINING,
}
_REMEMBERED: Final = 4096


def cluster_load_assignment(
    cluster_name: str, endpoints: Iterable[Endpoint], includes_unready: bool = False, spread: Spread | None = None
) -> Any:
    """Say a cluster's endpoints, one group for each locality in the order in which they first appear.

    With `includes_unready`, endpoints that are not ready count as healthy; those that drain never do. By `spread`,
    some groups are only turned to when others fail, or localities get shares of their own.
    """
    if isinstance(spread, Preference | ZoneAwareness):
        known = tuple(endpoints)
        return _grouped(cluster_name, zip(known, localities.priorities(spread, known), strict=True), includes_unready)
    if isinstance(spread, Distribution):
        return _distributed(cluster_name, tuple(endpoints), includes_unready, spread)
    return _grouped(cluster_name, ((endpoint, 0) for endpoint in endpoints), includes_unready)


def _grouped(cluster_name: str, ranked: Iterable[tuple[Endpoint, int]], includes_unready: bool) -> Any:
    message = endpoint_pb2.ClusterLoadAssignment(cluster_name=cluster_name)
    groups: dict[tuple[Locality, int], Any] = {}
    for endpoint, priority in ranked:
        group = groups.get((endpoint.locality, priority))
        if group is None:
            group = groups[endpoint.locality, priority] = message.endpoints.add(priority=priority)
            _name_locality(group.locality, endpoint.locality)
        _add(group, endpoint, includes_unready)
    return message


def _distributed(
    cluster_name: str, endpoints: tuple[Endpoint, ...], includes_unready: bool, distribution: Distribution
) -> Any:
    """Say the endpoints of the localities that get a share, with that as their weight."""
    shares = localities.shares(distribution, endpoints)
    chosen = ((endpoint, 0) for endpoint in endpoints if endpoint.locality in shares)
    message = _grouped(cluster_name, chosen, includes_unready)
    for group in message.endpoints:
        place = Locality(group.locality.region, group.locality.zone, group.locality.sub_zone)
        group.load_balancing_weight.value = shares[place]
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
        message.metadata.MergeFromString(_description(_described(endpoint), endpoint.namespace))
    if endpoint.tls:
        mark_endpoint(message.metadata)


def _described(endpoint: Endpoint) -> PeerName:
    return peer_names.peer_name(endpoint.workload, endpoint.labels)


@lru_cache(maxsize=_REMEMBERED)
def _description(workload: PeerName, namespace: str) -> bytes:
    """Say whose endpoint it is: for Istio's tools in one text, for our metrics part by part."""
    message = base_pb2.Metadata()
    parts = (workload.workload, namespace, workload.service, workload.revision, MESH_CLUSTER)
    message.filter_metadata["istio"].fields["workload"].string_value = ";".join(parts)
    ours = message.filter_metadata[OWN_METADATA].fields
    said = {**asdict(workload), "namespace": namespace, "cluster": MESH_CLUSTER}
    known = {fact: said[fact] or UNKNOWN for fact in FACTS}
    for name, value in (*known.items(), ("all", BETWEEN_FACTS.join(known.values()))):
        ours[name].string_value = value
    body: bytes = message.SerializeToString(deterministic=True)
    return body


def _name_locality(message: Any, locality: Locality) -> None:
    message.CopyFrom(base_pb2.Locality(region=locality.region, zone=locality.zone, sub_zone=locality.subzone))
