"""How a cluster picks an endpoint."""

from typing import Any, Final

from envoy.config.cluster.v3 import cluster_pb2

from lateen.envoy.values import duration
from lateen.plan.destination_types import Distribution, Preference, ZoneAwareness
from lateen.plan.types import Balancing, Cluster, Discovery

_POLICIES: Final = {
    Balancing.LEAST_REQUEST: cluster_pb2.Cluster.LEAST_REQUEST,
    Balancing.ROUND_ROBIN: cluster_pb2.Cluster.ROUND_ROBIN,
    Balancing.RANDOM: cluster_pb2.Cluster.RANDOM,
    Balancing.RING_HASH: cluster_pb2.Cluster.RING_HASH,
    Balancing.MAGLEV: cluster_pb2.Cluster.MAGLEV,
    Balancing.ORIGINAL_DESTINATION: cluster_pb2.Cluster.CLUSTER_PROVIDED,
}


def balance(message: Any, plan: Cluster) -> None:
    """Write the policy into a cluster, with the settings that belong to it."""
    if isinstance(plan.spread, Distribution):
        message.common_lb_config.locality_weighted_lb_config.SetInParent()
    else:
        _stay_in_zone(message.common_lb_config.zone_aware_lb_config, plan.spread)
    if plan.discovery in (Discovery.ORIGINAL_DESTINATION, Discovery.DYNAMIC_DNS):
        message.lb_policy = cluster_pb2.Cluster.CLUSTER_PROVIDED
        return
    message.lb_policy = _POLICIES[plan.balancing]
    match plan.balancing:
        case Balancing.RING_HASH:
            if plan.ring_size is not None:
                message.ring_hash_lb_config.minimum_ring_size.value = plan.ring_size
        case Balancing.MAGLEV:
            if plan.table_size is not None:
                message.maglev_lb_config.table_size.value = plan.table_size
        case Balancing.LEAST_REQUEST:
            _start_slowly(message.least_request_lb_config, plan)
        case Balancing.ROUND_ROBIN:
            _start_slowly(message.round_robin_lb_config, plan)


def _stay_in_zone(config: Any, spread: Preference | ZoneAwareness | None) -> None:
    """Write whether calls stay in the client's zone; unsaid, they would wherever Envoy knows its own replicas."""
    if isinstance(spread, ZoneAwareness):
        config.min_cluster_size.value = spread.smallest
    else:
        config.routing_enabled.SetInParent()


def _start_slowly(config: Any, plan: Cluster) -> None:
    """Write how new endpoints are warmed up, if they are."""
    if plan.slow_start is None:
        return
    slow_start = config.slow_start_config
    slow_start.slow_start_window.CopyFrom(duration(plan.slow_start))
    slow_start.aggression.default_value = plan.slow_start_aggression
    slow_start.aggression.runtime_key = "lateen.slow_start_aggression"
    slow_start.min_weight_percent.value = plan.slow_start_min_percent
