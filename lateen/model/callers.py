"""Those who may call, with labels that their certificates do not say."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from lateen.api.fields import EMPTY_MAP
from lateen.model.workload import Workload

ATTESTED_LABELS = frozenset({"app", "version"})
"""The labels that a certificate says itself."""


@dataclass(frozen=True, slots=True)
class Caller:
    """All workload instances that certificates describe alike; with a `name`, one of them whose labels are others."""

    namespace: str
    app: str
    version: str
    labels: tuple[tuple[str, str], ...] = ()
    name: str = ""


def callers(workloads: Iterable[Workload], keys: frozenset[str]) -> tuple[Caller, ...]:
    """List who has which of the labels with these keys.

    Replicas are one entry, so that one more or less changes nothing.
    """
    wanted = keys - ATTESTED_LABELS
    if not wanted:
        return ()
    alike: dict[Caller, set[Caller]] = {}
    for workload in workloads:
        each = _described(workload, wanted)
        alike.setdefault(replace(each, labels=(), name=""), set()).add(each)
    found = (one for group in alike.values() for one in _told_apart(group))
    return tuple(sorted((one for one in found if one.labels), key=_order))


def _order(caller: Caller) -> tuple[str, ...]:
    return (caller.namespace, caller.app, caller.version, caller.name)


def _described(workload: Workload, wanted: frozenset[str]) -> Caller:
    labels: Mapping[str, str] = workload.labels or EMPTY_MAP
    named = tuple((key, labels[key]) for key in sorted(wanted) if key in labels)
    return Caller(workload.key.namespace, labels.get("app", ""), labels.get("version", ""), named, workload.key.name)


def _told_apart(group: set[Caller]) -> Iterable[Caller]:
    """Keep the names only where instances differ."""
    unnamed = {replace(one, name="") for one in group}
    return unnamed if len(unnamed) == 1 else group
