"""Registers the members of WorkloadGroups: a WorkloadEntry stands for a member from its proxy's connection on.

As in Istio, the entry goes when the proxy has been away for a time of grace. Entries are not config objects: they are
derived from a group and a running workload, change with both, and are kept over a restart by name and time only. What
a user writes wins: beside a WorkloadEntry of a user's with the address or the name, a member is not registered.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, cast

from lateen.api.config_set import ConfigSet, Shelf
from lateen.api.networking.workload_entry import WorkloadEntry
from lateen.api.networking.workload_group import WorkloadGroup
from lateen.api.objects import ConfigObject, ObjectKey
from lateen.manager.meters import RegistrationMeters
from lateen.manager.records import Record
from lateen.model import groups
from lateen.model.groups import Group
from lateen.model.workload import Workload, WorkloadKey

GRACE_SECONDS: Final = 10.0
"""How long an entry outlives the connection of its proxy, as in Istio."""

RETURN_SECONDS: Final = 120.0
"""How long after a restart a proxy may take to come back: longer than Envoy's longest pause between attempts."""

CONTROLLER_ANNOTATION: Final = "istio.io/workloadController"
CONNECTED_ANNOTATION: Final = "istio.io/connectedAt"
DISCONNECTED_ANNOTATION: Final = "istio.io/disconnectedAt"
_HEALTHY: Final = "Healthy"
_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Registration:
    """An entry that stands for a member; times are seconds since the epoch, 0 for never.

    `goes_at` is when its grace ends by the clock of the registrations, None while its proxy is connected. `unasked`
    tells that the member was an endpoint while its group had no probe. `member` is the workload as it was last
    reported; None before that.
    """

    key: ObjectKey
    workload: WorkloadKey
    created_at: float
    connected_at: float
    disconnected_at: float = 0.0
    unasked: bool = False
    goes_at: float | None = None
    member: Workload | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered WorkloadEntry as users see it: the object, its group, and what is known of its health."""

    object: ConfigObject[WorkloadEntry]
    group: ObjectKey
    is_connected: bool
    is_healthy: bool
    conditions: tuple[Mapping[str, str], ...] = ()


class Registrations:
    """Knows the members, which of them are connected, and which entries stand for them. No I/O.

    What changes how the mesh sees a member is returned: the member as it is from now on. `revision` grows with every
    change of an entry. `controller` names this control plane in the entries, `now` is in seconds since the epoch,
    `clock` steady.
    """

    def __init__(
        self,
        controller: str = "lateen",
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._controller = controller
        self._now = now
        self._clock = clock
        self._config = ConfigSet()
        self._members: dict[WorkloadKey, Workload] = {}
        self._connected: set[WorkloadKey] = set()
        self._entries: dict[ObjectKey, Registration] = {}
        self.revision = 0
        self.meters = RegistrationMeters()
        self._written: dict[str, tuple[Shelf, frozenset[str]]] = {}

    def records(self) -> Sequence[Record]:
        """Return what a successor must know, in words that JSON knows."""
        return [_record(one) for _, one in sorted(self._entries.items())]

    def load(self, records: Iterable[Record]) -> None:
        """Take over what a predecessor knew. Call it before anything is reported.

        The entry of a pod that is there stands while its proxy may still be on its way back. All others begin their
        time of grace.
        """
        goes_at = self._clock() + GRACE_SECONDS
        for record in records:
            self._put(replace(_recorded(record), goes_at=goes_at))

    def report(self, workload: Workload) -> Workload:
        """Take in what the platform says of a workload; return it as the mesh is to see it."""
        if workload.membership is None:
            self._members.pop(workload.key, None)
            return workload
        self._members[workload.key] = workload
        known = self._standing(workload)
        if known is not None and known.member is None:
            self._put(replace(known, goes_at=self._clock() + RETURN_SECONDS))
        return self._settle(workload)

    def remove(self, key: WorkloadKey) -> None:
        """Note that a workload is gone: what stands for it begins its time of grace."""
        member = self._members.pop(key, None)
        if member is not None:
            self._connected.discard(key)
            self._part(member)

    def connect(self, key: WorkloadKey) -> Workload | None:
        """Note that a workload's proxy has connected; return the workload if it is a member."""
        self._connected.add(key)
        member = self._members.get(key)
        if member is None:
            return None
        known = self._standing(member)
        if known is not None:
            self._put(replace(known, connected_at=self._now(), disconnected_at=0.0, goes_at=None))
            self.meters.returned.add()
        return self._settle(member)

    def disconnect(self, key: WorkloadKey) -> None:
        """Note that a workload's proxy has gone: what stands for it begins its time of grace."""
        self._connected.discard(key)
        if key in self._members:
            self._part(self._members[key])

    def look(self, config: ConfigSet) -> tuple[Workload, ...]:
        """Take in the newest config; return the members, if anything that they depend on is new in it."""
        before, self._config = self._config, config
        kinds = (WorkloadGroup, WorkloadEntry)
        if all(config.shelves(kind) is before.shelves(kind) for kind in kinds):
            return ()
        return tuple(self._settle(member) for member in self._members.values())

    def expire(self) -> tuple[Workload, ...]:
        """Drop the entries whose time of grace is over; return the members that they stood for."""
        now = self._clock()
        gone = [one for one in self._entries.values() if one.goes_at is not None and one.goes_at <= now]
        for one in gone:
            self._take(one.key)
            self.meters.dropped.add()
        members = (self._members.get(one.workload) for one in gone)
        return tuple(self._settle(member) for member in members if member is not None)

    def as_seen(self, workload: Workload) -> Workload:
        """Return a workload that the platform describes as the mesh sees it."""
        if workload.membership is None:
            return workload
        known, group = self._standing(workload), self._group_of(workload)
        if known is None or group is None:
            return workload
        return groups.registered(workload, group, was_offered_unasked=known.unasked)

    def entries(self) -> tuple[Entry, ...]:
        """List what stands for members, by namespace and name; during its grace an entry may outlive its pod."""
        found = (self._entry(one) for _, one in sorted(self._entries.items()))
        return tuple(one for one in found if one is not None)

    def _settle(self, member: Workload) -> Workload:
        """Register a member or give its entry up, as things are now; return it as the mesh sees it."""
        key, group = _key_of(member), self._group_of(member)
        known = self._standing(member)
        if group is None or self._is_taken(key, member.address):
            self._take(key)
            return member
        if known is None and member.key not in self._connected:
            return member
        if known is None:
            now = self._now()
            known = Registration(key, member.key, now, now)
            self.meters.registered.add()
        is_unasked = known.unasked or group.spec.probe is None
        self._put(replace(known, unasked=is_unasked, member=member))
        return self.as_seen(member)

    def _standing(self, member: Workload) -> Registration | None:
        """Return the entry that stands for a member; one of an earlier pod with its address does not."""
        found = self._entries.get(_key_of(member))
        return found if found is not None and found.workload == member.key else None

    def _group_of(self, workload: Workload) -> Group | None:
        if workload.membership is None:
            return None
        shelf = self._config.shelf(WorkloadGroup, workload.key.namespace)
        return cast(Group | None, shelf.get(workload.membership.group))

    def _is_taken(self, key: ObjectKey, address: str) -> bool:
        """Tell whether a user has written an entry with this name or address."""
        shelf = self._config.shelf(WorkloadEntry, key.namespace)
        known = self._written.get(key.namespace)
        if known is None or known[0] is not shelf:
            found = frozenset(item.spec.address for item in self._config.of(WorkloadEntry, key.namespace))
            known = self._written[key.namespace] = (shelf, found)
        return key.name in shelf or address in known[1]

    def _part(self, member: Workload) -> None:
        """Begin the grace of what stands for a member."""
        one = self._standing(member)
        if one is not None:
            goes_at = self._clock() + GRACE_SECONDS
            self.meters.parted.add(int(not one.disconnected_at))
            sooner = goes_at if one.goes_at is None else min(one.goes_at, goes_at)
            self._put(replace(one, disconnected_at=one.disconnected_at or self._now(), goes_at=sooner))

    def _put(self, one: Registration) -> None:
        known = self._entries.get(one.key)
        self._entries[one.key] = one
        if known is None or _record(known) != _record(one):
            self.revision += 1

    def _take(self, key: ObjectKey) -> None:
        if self._entries.pop(key, None) is not None:
            self.revision += 1

    def _entry(self, one: Registration) -> Entry | None:
        """Describe an entry; None before the workload of one from before a restart is reported."""
        group = self._group_of(one.member) if one.member is not None else None
        if one.member is None or group is None:
            return None
        seen = self.as_seen(one.member)
        made = groups.entry_of(seen, group, self._facts(one), written_time(one.created_at))
        return Entry(made, group.key, not one.disconnected_at, seen.is_healthy, tuple(_conditions(seen, group)))

    def _facts(self, one: Registration) -> Mapping[str, str]:
        """Say in Istio's annotations who looks after an entry, and since when its proxy is there or away."""
        if one.disconnected_at:
            when = {DISCONNECTED_ANNOTATION: written_time(one.disconnected_at)}
        else:
            when = {CONNECTED_ANNOTATION: written_time(one.connected_at)}
        return {CONTROLLER_ANNOTATION: self._controller, **when}


def _record(one: Registration) -> Record:
    return {
        "entry": one.key.name,
        "namespace": one.key.namespace,
        "workload": one.workload.name,
        "created_at_us": round(one.created_at * _MICROSECONDS),
        "connected_at_us": round(one.connected_at * _MICROSECONDS),
        "disconnected_at_us": round(one.disconnected_at * _MICROSECONDS),
        "unasked": int(one.unasked),
    }


def _recorded(record: Record) -> Registration:
    namespace = str(record["namespace"])
    return Registration(
        groups.named_entry(namespace, str(record["entry"])),
        WorkloadKey(namespace, str(record["workload"])),
        int(record["created_at_us"]) / _MICROSECONDS,
        int(record["connected_at_us"]) / _MICROSECONDS,
        int(record["disconnected_at_us"]) / _MICROSECONDS,
        bool(record["unasked"]),
    )


def written_time(seconds: float) -> str:
    """Write a time, in seconds since the epoch, as Kubernetes does."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _key_of(member: Workload) -> ObjectKey:
    return groups.entry_key(member, member.membership.group if member.membership is not None else "")


def _conditions(seen: Workload, group: Group) -> Iterator[Mapping[str, str]]:
    """Yield what the group's probe says, as Istio's condition; nothing where the group has no probe."""
    if group.spec.probe is None or seen.membership is None:
        return
    verdict = seen.membership.verdict
    if verdict is None:
        yield {"type": _HEALTHY, "status": "Unknown", "message": "the probe has not succeeded yet"}
        return
    when = written_time(verdict.since)
    told = {"type": _HEALTHY, "status": str(verdict.healthy), "lastProbeTime": when, "lastTransitionTime": when}
    yield {**told, "message": verdict.message} if verdict.message else told
