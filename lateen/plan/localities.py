"""Which localities a client prefers for one destination, and where it turns to when they fail."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from lateen.api.networking.destination_rule import Distribution as WrittenDistribution
from lateen.api.networking.destination_rule import LoadBalancer, LocalityLoadBalancing
from lateen.model.endpoint import Endpoint
from lateen.model.workload import Locality
from lateen.plan.destination_types import Distribution, Preference, Spread, place_labels

Shares = Mapping[Locality, int]
_SCALE: Final = 10_000
_UNKNOWN: Final = Locality()
_NOTHING_SAID: Final = LocalityLoadBalancing()


@dataclass(frozen=True, slots=True)
class Client:
    """Where calls come from; `labels` are those of the client's that some rule names."""

    locality: Locality = _UNKNOWN
    network: str = ""
    labels: tuple[tuple[str, str], ...] = ()


def setting_of(load_balancer: LoadBalancer | None, default: LocalityLoadBalancing | None) -> LocalityLoadBalancing:
    """Choose the setting of a destination: its own as a whole, else the mesh's; without any, nearer ones come first."""
    own = load_balancer.locality_lb_setting if load_balancer else None
    return own or default or LocalityLoadBalancing()


def spread(
    setting: LocalityLoadBalancing, client: Client, *, finds_failures: bool, prefers_near: bool = False
) -> Spread | None:
    """Settle how a client tells a destination's endpoints apart by where they are; None where it does not.

    A preference needs failures to be found: without outlier detection a client could not turn away from dead
    endpoints (as in Istio). A service that itself `prefers_near` clients is content with what is ready.
    """
    if setting.enabled is False:
        return None
    if prefers_near and setting == _NOTHING_SAID:
        return Preference(client.locality) if client.locality != _UNKNOWN else None
    if setting.distribute:
        return _distribution(setting.distribute, client.locality)
    if not finds_failures:
        return None
    by_place = bool(setting.failover) or not setting.failover_priority
    if by_place and client.locality == _UNKNOWN and not setting.failover_priority:
        return None
    failover = next((rule.to for rule in setting.failover if rule.from_ == client.locality.region), "")
    return Preference(client.locality, failover, _preferred(setting.failover_priority, client), by_place)


def priorities(preference: Preference, endpoints: Iterable[Endpoint]) -> list[int]:
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


def _wish(preference: Preference, endpoint: Endpoint) -> tuple[int, int]:
    return _unlikeness(preference, endpoint) if preference.labels else 0, _distance(preference, endpoint.locality)


def _unlikeness(preference: Preference, endpoint: Endpoint) -> int:
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
