"""Fields that are still read, and that have a better successor."""

from typing import Final

from lateen.api.networking.destination_rule import DestinationRule
from lateen.api.networking.envoy_filter import ApplyTo, EnvoyFilter
from lateen.plan.analysis.world import Found, World, at

_INSTEAD: Final = "is deprecated: write {} instead"


def deprecated_fields(world: World) -> Found:
    """Yield deprecated fields that are written."""
    yield from _of_virtual_services(world)
    yield from _of_destination_rules(world)
    for item in world.all(EnvoyFilter):
        for position, patch in enumerate(item.spec.config_patches):
            if patch.apply_to is ApplyTo.BOOTSTRAP:
                says = _INSTEAD.format("ProxyConfig or MeshConfig settings")
                yield at(item.key, f"spec.configPatches[{position}].applyTo"), says


def _of_virtual_services(world: World) -> Found:
    for item in world.virtual_services:
        for position, rule in enumerate(item.spec.http):
            path = f"spec.http[{position}]"
            if rule.mirror is not None:
                yield at(item.key, f"{path}.mirror"), _INSTEAD.format("mirrors")
            if rule.mirror_percent is not None:
                yield at(item.key, f"{path}.mirrorPercent"), _INSTEAD.format("mirrors[].percentage")
            if rule.fault is not None and rule.fault.delay is not None and rule.fault.delay.percent is not None:
                yield at(item.key, f"{path}.fault.delay.percent"), _INSTEAD.format("percentage.value")
            if rule.cors_policy is not None and rule.cors_policy.allow_origin:
                yield at(item.key, f"{path}.corsPolicy.allowOrigin"), _INSTEAD.format("allowOrigins")


def _of_destination_rules(world: World) -> Found:
    for item in world.all(DestinationRule):
        policies = [("spec.trafficPolicy", item.spec.traffic_policy)]
        policies += [
            (f"spec.subsets[{place}].trafficPolicy", one.traffic_policy) for place, one in enumerate(item.spec.subsets)
        ]
        for path, policy in policies:
            if policy is None:
                continue
            if policy.outlier_detection is not None and policy.outlier_detection.consecutive_errors is not None:
                says = _INSTEAD.format("consecutiveGatewayErrors or consecutive5xxErrors")
                yield at(item.key, f"{path}.outlierDetection.consecutiveErrors"), says
            balancer = policy.load_balancer
            if balancer is None:
                continue
            if balancer.warmup_duration_secs is not None:
                yield at(item.key, f"{path}.loadBalancer.warmupDurationSecs"), _INSTEAD.format("warmup.duration")
            if balancer.consistent_hash is not None and balancer.consistent_hash.minimum_ring_size is not None:
                says = _INSTEAD.format("ringHash.minimumRingSize")
                yield at(item.key, f"{path}.loadBalancer.consistentHash.minimumRingSize"), says
