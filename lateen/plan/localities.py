"""Which localities a client prefers for one destination, and where it turns to when they fail."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from lateen.api.networking.destination_rule import Distribution as WrittenDistribution
from lateen.api.networking.destination_rule import (
    Failover,
    LoadBalancer,
    LocalityLoadBalancing,
    ZoneAwareLoadBalancing,
)
from lateen.model.endpoint import Endpoint
from lateen.model.workload import NOWHERE, Locality
from lateen.plan.destination_types import Distribution, Preference, Spread, ZoneAwareness, place_labels

Shares = Mapping[Locality, int]
_SCALE: Final = 10_000
_SMALLEST: Final = 6
_NOTHING_SAID: Final = LocalityLoadBalancing()


@dataclass(frozen=True, slots=True)
class Client:
    """Where calls come from; `labels` are those of the client's that some rule names."""

    locality: Locality = NOWHERE
    network: str = ""
    labels: tuple[tuple[str, str], ...] = ()


def setting_of(
    load_balancer: LoadBalancer | None,
    default: LocalityLoadBalancing | None = None,
    zones: ZoneAwareLoadBalancing | None = None,
) -> LocalityLoadBalancing | ZoneAwareLoadBalancing:
    """Choose the setting of a destination: its own as a whole, else the mesh's; without any, nearer ones come first.

    Of the mesh's two, the one about zones counts. One about zones that is not enabled counts as not there.
    """
    own_zones = load_balancer.zone_aware_lb_setting if load_balancer else None
    own = load_balancer.locality_lb_setting if load_balancer else None
    if own_zones is not None and own_zones.enabled is not False:
        return own_zones
    if own is None and own_zones is None and zones is not None and zones.enabled is not False:
        return zones
    return own or default or LocalityLoadBalancing()


def spread(
    setting: LocalityLoadBalancing | ZoneAwareLoadBalancing,
    client: Client,
    *,
    finds_failures: bool,
    prefers_near: bool = False,
) -> Spread | None:
    """Settle how a client tells a destination's endpoints apart by where they are; None where it does not.

    A preference needs failures to be found: without outlier detection a client could not turn away from dead
    endpoints (as in Istio). A service that itself `prefers_near` clients is content with what is ready.
    """
    if isinstance(setting, ZoneAwareLoadBalancing):
        return _zone_awareness(setting, client)
    if setting.enabled is False:
        return None
    if prefers_near and setting == _NOTHING_SAID:
        return Preference(client.locality) if client.locality != NOWHERE else None
    if setting.distribute:
        return _distribution(setting.distribute, client.locality)
    if not finds_failures:
        return None
    by_place = bool(setting.failover) or not setting.failover_priority
    if by_place and client.locality == NOWHERE and not setting.failover_priority:
        return None
    return Preference(
        client.locality, _failover(setting.failover, client), _preferred(setting.failover_priority, client), by_place
    )


def _zone_awareness(setting: ZoneAwareLoadBalancing, client: Client) -> ZoneAwareness | None:
    """Settle how a client stays in its zone; one that is nowhere has none."""
    if client.locality == NOWHERE:
        return None
    smallest = _SMALLEST if setting.min_cluster_size is None else setting.min_cluster_size
    labels = _preferred(setting.failover_priority, client)
    return ZoneAwareness(client.locality, _failover(setting.failover, client), labels, smallest)


def _failover(rules: Iterable[Failover], client: Client) -> str:
    return next((rule.to for rule in rules if rule.from_ == client.locality.region), "")


def priorities(preference: Preference | ZoneAwareness, endpoints: Iterable[Endpoint]) -> list[int]:
    """Rank endpoints from 0, without gaps: a client turns to a higher rank when those below it fail."""
    wished = [_wish(preference, endpoint) for endpoint in endpoints]
    rank = {wish: number for number, wish in enumerate(sorted(set(wished)))}
    return [rank[wish] for wish in wished]


def shares(distribution: Distribution, endpoints: Iterable[Endpoint]) -> Shares:
    """Share traffic out to localities; one that nothing is said of gets none and is not in the answer.

    Several localities that one share is for divide it by the weights of their endpoints.
    """
    weights: dict[Locality, int] = {}
    for endpoint in endpoints:
        weights[endpoint.locality] = weights.get(endpoint.locality, 0) + max(endpoint.weight, 1)
    found: dict[Locality, int] = {}
    for pattern, share in distribution.shares:
        matching = [place for place in weights if covers(pattern, place)]
        total = sum(weights[place] for place in matching)
        for place in matching:
            found[place] = found.get(place, 0) + max(share * _SCALE * weights[place] // total, 1)
    return found


def covers(pattern: str, locality: Locality) -> bool:
    """Tell whether `region/zone/subzone`, which may leave out its tail or end in `*`, is about a locality."""
    return all(part in ("*", own) for part, own in zip(pattern.split("/"), locality, strict=False))


def _distribution(rules: Iterable[WrittenDistribution], client: Locality) -> Distribution | None:
    for rule in rules:
        if covers(rule.from_, client):
            return Distribution(tuple(rule.to.items()))
    return None


def _preferred(written: Iterable[str], client: Client) -> tuple[tuple[str, str], ...]:
    """Read the labels of a preference: `name=value`, or a name alone for the client's own value."""
    own = {**place_labels(client.locality, client.network), **dict(client.labels)}
    split = (label.partition("=") for label in written)
    return tuple((name, value if given else own.get(name, "")) for name, given, value in split)


def _wish(preference: Preference | ZoneAwareness, endpoint: Endpoint) -> tuple[int, int]:
    if isinstance(preference, ZoneAwareness):
        return _region_wish(preference, endpoint)
    return _unlikeness(preference, endpoint) if preference.labels else 0, _distance(preference, endpoint.locality)


def _region_wish(awareness: ZoneAwareness, endpoint: Endpoint) -> tuple[int, int]:
    """Wish for the whole region first, whatever the labels say; of the others, for those that are alike."""
    region = endpoint.locality.region
    if region == awareness.client.region:
        return 0, 0
    return 1 + _unlikeness(awareness, endpoint), int(region != awareness.failover)


def _unlikeness(preference: Preference | ZoneAwareness, endpoint: Endpoint) -> int:
    """Count the labels from the first one on in which an endpoint is not as it is preferred."""
    labels = {**place_labels(endpoint.locality, endpoint.network), **endpoint.labels}
    alike = takewhile(lambda label: labels.get(label[0], "") == label[1], preference.labels)
    return len(preference.labels) - len(list(alike))


def _distance(preference: Preference, place: Locality) -> int:
    if not preference.by_place:
        return 0
    if place.region == preference.client.region:
        same = list(takewhile(lambda pair: pair[0] == pair[1], zip(place, preference.client, strict=True)))
        return len(place) - len(same)
    return len(place) + (bool(preference.failover) and place.region != preference.failover)
