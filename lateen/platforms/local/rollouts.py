"""Which pods of an owner to start and which to stop next, so that a change never takes all ready ones away. Pure.

A step is small: the agent applies it, and asks again when something has changed (a pod became ready, or is gone).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil, floor
from typing import Final, Literal

OwnerKind = Literal["Deployment", "StatefulSet", "Pod"]

# Letters that form no words and are not mistaken for each other, as in Kubernetes' generated names.
NAME_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """How a Deployment or StatefulSet goes from one template to the next.

    `max_surge` pods more and `max_unavailable` ready pods fewer than wanted may exist meanwhile. `recreate` stops all
    before any starts; `on_delete` leaves old ones until somebody stops them; `parallel` does not wait for the pod of
    the ordinal before; pods of an ordinal below `partition` keep their template.
    """

    max_surge: int = 1
    max_unavailable: int = 0
    recreate: bool = False
    on_delete: bool = False
    parallel: bool = False
    partition: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """What an owner wants: `count` pods of the template whose fingerprint is `revision`."""

    kind: OwnerKind
    name: str
    count: int
    revision: str
    strategy: Strategy = Strategy()
    first_ordinal: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Existing:
    """A pod of the owner that exists, oldest first in any list."""

    name: str
    revision: str
    ready: bool
    stopping: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What to do now: names of pods to start, names of pods to stop."""

    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()


def resolve_share(share: int | str, count: int, *, upwards: bool) -> int:
    """Resolve `maxSurge` or `maxUnavailable`: a number, or a percentage of the replicas rounded up or down."""
    if isinstance(share, int):
        return share
    exact = count * float(share.removesuffix("%")) / 100
    return ceil(exact) if upwards else floor(exact)


def plan_step(replicas: Replicas, existing: Iterable[Existing], suffix: Callable[[], str]) -> Step:
    """Decide the next step towards what the owner wants; `suffix` gives the random end of a Deployment's pod name."""
    pods = tuple(existing)
    if replicas.kind == "Deployment":
        return _deployment_step(replicas, pods, suffix)
    return _ordinal_step(replicas, pods)


def _deployment_step(replicas: Replicas, pods: tuple[Existing, ...], suffix: Callable[[], str]) -> Step:
    staying = [pod for pod in pods if not pod.stopping]
    new = [pod for pod in staying if pod.revision == replicas.revision]
    old = [pod for pod in staying if pod.revision != replicas.revision]
    if replicas.strategy.recreate and any(pod.revision != replicas.revision for pod in pods):
        return Step(stop=tuple(pod.name for pod in old))
    room = replicas.count + replicas.strategy.max_surge - len(staying) if old else replicas.count
    missing = max(0, min(replicas.count - len(new), room))
    surplus = max(0, len(new) - replicas.count)
    return Step(
        start=tuple(f"{replicas.name}-{replicas.revision}-{suffix()}" for _ in range(missing)),
        stop=(*_least_useful(new, surplus), *_replaceable(replicas, new, old)),
    )


def _least_useful(pods: list[Existing], count: int) -> tuple[str, ...]:
    """Choose pods for scaling down: those that are not ready first, then the youngest."""
    ages = range(len(pods), 0, -1)
    youngest_first = [pod for _, pod in sorted(zip(ages, pods, strict=True), key=lambda aged: (aged[1].ready, aged[0]))]
    return tuple(pod.name for pod in youngest_first[:count])


def _replaceable(replicas: Replicas, new: list[Existing], old: list[Existing]) -> tuple[str, ...]:
    """Choose the pods of an earlier template that can go: all that are not ready, and ready ones beyond the floor."""
    useless = [pod.name for pod in old if not pod.ready]
    ready_new = min(replicas.count, sum(pod.ready for pod in new))
    floor_of_ready = replicas.count - replicas.strategy.max_unavailable
    ready_old = [pod.name for pod in old if pod.ready]
    spare = max(0, ready_new + len(ready_old) - floor_of_ready)
    return (*useless, *ready_old[:spare])


def _ordinal_step(replicas: Replicas, pods: tuple[Existing, ...]) -> Step:
    """Decide for pods with names of their own: started in order, replaced one at a time, the highest ordinal first."""
    names = ordinal_names(replicas)
    present = {pod.name: pod for pod in pods}
    surplus = [pod for pod in pods if pod.name not in names and not pod.stopping]
    if surplus:
        return Step(stop=_highest_ordinals(surplus, None if replicas.strategy.parallel else 1))
    absent = [name for name in names if name not in present]
    if absent:
        return Step(start=_startable(replicas, names, present, absent))
    waits = any(pod.stopping or not pod.ready for pod in pods if pod.revision == replicas.revision)
    if replicas.strategy.on_delete or any(pod.stopping for pod in pods):
        return Step()
    outdated = [
        present[name] for name in names[replicas.strategy.partition :] if present[name].revision != replicas.revision
    ]
    broken = [pod for pod in outdated if not pod.ready]
    return Step(stop=_highest_ordinals(broken or ([] if waits else outdated), 1))


def ordinal_names(replicas: Replicas) -> tuple[str, ...]:
    """List the names of a StatefulSet's pods, or the one of a Pod."""
    if replicas.kind == "Pod":
        return (replicas.name,) * replicas.count
    first = replicas.first_ordinal
    return tuple(f"{replicas.name}-{ordinal}" for ordinal in range(first, first + replicas.count))


def _startable(
    replicas: Replicas, names: tuple[str, ...], present: dict[str, Existing], absent: list[str]
) -> tuple[str, ...]:
    if replicas.strategy.parallel:
        return tuple(absent)
    before = names[: names.index(absent[0])]
    return (absent[0],) if all(present[name].ready and not present[name].stopping for name in before) else ()


def _highest_ordinals(pods: list[Existing], limit: int | None) -> tuple[str, ...]:
    def ordinal(pod: Existing) -> int:
        number = pod.name.rpartition("-")[2]
        return int(number) if number.isdecimal() else 0

    return tuple(pod.name for pod in sorted(pods, key=ordinal, reverse=True)[:limit])
