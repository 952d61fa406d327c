"""Limits that are counted for the whole mesh: what a described request is charged, and what becomes of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from lateen.api.mesh.extension_providers import RedisStore
from lateen.api.objects import ConfigObject
from lateen.api.policy.rate_limit import RateLimit, Scope
from lateen.mixer import quota
from lateen.mixer.quota import Charge, Grant, Quota
from lateen.model.snapshot import Snapshot
from lateen.plan import access, rate_limits
from lateen.plan.rate_limit_types import Allowance, CountedLimit
from lateen.plan.request_description import LIMIT, shown_values, values_of

Entries = tuple[tuple[str, str], ...]

_TICKS: Final = 60
"""In how many steps a rolling window moves by its own length."""

_LONGEST_KEY: Final = 200


@dataclass(frozen=True, slots=True)
class MeshLimit:
    """A limit, and where it is counted: in a Redis, or (None) in memory."""

    limit: CountedLimit
    store: RedisStore | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """A description that counts: which limit allows how much, and what it is charged (None: it has no limit)."""

    limit: MeshLimit
    allowance: Allowance | None
    charge: Charge | None


Limits = Mapping[str, MeshLimit]
NO_LIMITS: Final[Limits] = MappingProxyType({})


def mesh_limits(snapshot: Snapshot) -> Limits:
    """Return the limits that are counted for the whole mesh, by name."""
    domains = access.own_domains(snapshot.mesh)
    stores = {one.name: one.redis for one in snapshot.mesh.extension_providers}
    return MappingProxyType(
        {
            limit.name: MeshLimit(limit, stores.get(policy.spec.store.name) if policy.spec.store else None)
            for policy in _global(snapshot)
            for limit in rate_limits.counted_limits(policy, domains)
        }
    )


def needs_counting(snapshot: Snapshot) -> bool:
    """Tell whether anything is counted for the whole mesh."""
    return any(_global(snapshot))


def counted(limits: Limits, entries: Entries, cost: int) -> Counted | None:
    """Return what a description comes to; None where it is about no known limit, or the request does not count."""
    name = entries[0][1] if entries and entries[0][0] == LIMIT else ""
    known = limits.get(name)
    values = values_of(known.limit, entries) if known else None
    if known is None or values is None:
        return None
    allowance = allowance_for(known.limit, values)
    charge = Charge(_key(name, values), _quota(allowance, known.limit), cost) if allowance else None
    return Counted(known, allowance, charge)


def allowance_for(limit: CountedLimit, values: Sequence[str]) -> Allowance | None:
    """Return what a limit allows requests with these values: as the first override says that fits, else the limit."""
    for override in limit.overrides:
        if all(
            position < len(values) and values[position] == text for position, text in shown_values(override).items()
        ):
            return override.allowance
    return limit.allowance


def stores_of(limits: Limits) -> frozenset[RedisStore]:
    """Return the Redis servers in which limits are counted."""
    return frozenset(one.store for one in limits.values() if one.store is not None)


def is_over(found: Counted, grant: Grant) -> bool:
    """Tell whether a charge was too much by itself, not because of another charge of the same request."""
    return found.charge is not None and grant.granted < found.charge.amount and grant.left < found.charge.amount


def _global(snapshot: Snapshot) -> Iterator[ConfigObject[RateLimit]]:
    policies: Iterable[ConfigObject[RateLimit]] = snapshot.config.of(RateLimit)
    return (policy for policy in policies if policy.spec.scope is Scope.GLOBAL)


def _quota(allowance: Allowance, limit: CountedLimit) -> Quota:
    rate = allowance.rate
    if allowance.burst is not None:
        return quota.refilled(rate.requests, rate.window, allowance.burst)
    if limit.rolls:
        return quota.rolling(rate.requests, rate.window, max(rate.window / _TICKS, timedelta(milliseconds=10)))
    return quota.fixed(rate.requests, rate.window)


def _key(name: str, values: Sequence[str]) -> str:
    """Compose the name of a count; values may be as long as clients like, names may not."""
    text = "\n".join((name, *values))
    return text if len(text) <= _LONGEST_KEY else f"{name}\n{sha256(text.encode()).hexdigest()}"
