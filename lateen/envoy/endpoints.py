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
from lateen.plan.destination_types import Distribution, Preference, ZoneAwareness
from lateen.plan.types import Cluster

_HEALTH: Final = {
    Health.HEALTHY: health_check_pb2.HEALTHY,
    Health.UNHEALTHY: health_check_pb2.UNHEALTHY,
    Health.DRAINING: health_check_pb2.DRAINING,
}
_REMEMBERED: Final = 4096


def cluster_load_assignment(plan: Cluster, endpoints: Iterable[Endpoint]) -> Any:
    """Say a cluster's endpoints, one group for each locality in the order in which they first appear.

    Where the cluster includes them, endpoints that are not ready count as healthy; those that drain never do. By its
    spread, some groups are only turned to when others fail, or localities get shares of their own.
    """
    spread, known = plan.spread, tuple(endpoints)
    if isinstance(spread, Preference | ZoneAwareness):
        return _grouped(plan, zip(known, localities.priorities(spread, known), strict=True))
    if isinstance(spread, Distribution):
        return _distributed(plan, known, spread)
    return _grouped(plan, ((endpoint, 0) for endpoint in known))


def _grouped(plan: Cluster, ranked: Iterable[tuple[Endpoint, int]]) -> Any:
    message = endpoint_pb2.ClusterLoadAssignment(cluster_name=plan.name)
    groups: dict[tuple[Locality, int], Any] = {}
    for endpoint, priority in ranked:
        group = groups.get((endpoint.locality, priority))
        if group is None:
            group = groups[endpoint.locality, priority] = message.endpoints.add(priority=priority)
            _name_locality(group.locality, endpoint.locality)
        _add(group, endpoint, plan)
    return message


def _distributed(plan: Cluster, endpoints: tuple[Endpoint, ...], distribution: Distribution) -> Any:
    """Say the endpoints of the localities that get a share, with that as their weight."""
    shares = localities.shares(distribution, endpoints)
    chosen = ((endpoint, 0) for endpoint in endpoints if endpoint.locality in shares)
    message = _grouped(plan, chosen)
    for group in message.endpoints:
        place = Locality(group.locality.region, group.locality.zone, group.locality.sub_zone)
        group.load_balancing_weight.value = shares[place]
    return message


def _add(group: Any, endpoint: Endpoint, plan: Cluster) -> None:
    """Add an endpoint to its locality. Written field by field: this is the hottest place of a push."""
    weight = max(endpoint.weight, 1)
    message = group.lb_endpoints.add()
    fill(message.endpoint.address, endpoint.address, endpoint.port)
    unready = endpoint.health is Health.UNHEALTHY and plan.includes_unready
    message.health_status = health_check_pb2.HEALTHY if unready else _HEALTH[endpoint.health]
    message.load_balancing_weight.value = weight
    group.load_balancing_weight.value += weight
    if endpoint.workload:
        description = _description(_described(endpoint), endpoint.namespace, plan.describes_endpoints)
        message.metadata.MergeFromString(description)
    if endpoint.tls:
        mark_endpoint(message.metadata)


def _described(endpoint: Endpoint) -> PeerName:
    return peer_names.peer_name(endpoint.workload, endpoint.labels)


@lru_cache(maxsize=_REMEMBERED)
def _description(workload: PeerName, namespace: str, is_in_parts: bool) -> bytes:
    """Say whose endpoint it is, in one text for Istio's tools and in one for our metrics.

    Each part by itself is twice as much again as all else, and is only said where somebody may ask for it.
    """
    message = base_pb2.Metadata()
    parts = (workload.workload, namespace, workload.service, workload.revision, MESH_CLUSTER)
    message.filter_metadata["istio"].fields["workload"].string_value = ";".join(parts)
    ours = message.filter_metadata[OWN_METADATA].fields
    said = {**asdict(workload), "namespace": namespace, "cluster": MESH_CLUSTER}
    known = {fact: said[fact] or UNKNOWN for fact in FACTS}
    for name, value in (*(known.items() if is_in_parts else ()), ("all", BETWEEN_FACTS.join(known.values()))):
        ours[name].string_value = value
    body: bytes = message.SerializeToString(deterministic=True)
    return body


def _name_locality(message: Any, locality: Locality) -> None:
    message.CopyFrom(base_pb2.Locality(region=locality.region, zone=locality.zone, sub_zone=locality.subzone))
