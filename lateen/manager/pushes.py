"""Who is connected, and what each proxy has of what its class is to have."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from lateen.manager.meters import PushMeters
from lateen.xds import order
from lateen.xds.channel import Rejection
from lateen.xds.commands import Close, Command, Send
from lateen.xds.events import Ack, Event, Nack
from lateen.xds.resources import Resource, ResourceSet
from lateen.xds.session import DeltaSession, TypeStatus
from lateen.xds.versions import ClassVersion, Delta, NameSets, Patch, Versions

_log = logging.getLogger(__name__)

PATIENCE_SECONDS = 5.0
"""How long a proxy may take to ask for the endpoints of its new clusters before its routes go on without them."""


class Outlet(Protocol):
    """One proxy's stream, as far as one can write to it. Neither method waits."""

    def send(self, delta: Delta) -> None:
        """Write a response, in order with the others."""
        ...

    def close(self, reason: str) -> None:
        """End the stream and tell the proxy why."""
        ...


class State(StrEnum):
    """How a proxy stands in one type."""

    NOT_SENT = "NOT SENT"
    SYNCED = "SYNCED"
    STALE = "STALE"
    ERROR = "ERROR"


_WORST_FIRST = (State.ERROR, State.STALE, State.SYNCED, State.NOT_SENT)


@dataclass(frozen=True, slots=True)
class ResourceStatus:
    """How a proxy stands in one type.

    `sent` and `acked` are generations (-1: none). `seconds` is the age of the last acknowledgement, or of what is out
    and not acknowledged yet; None if nothing was ever sent. `message` and `rejected` tell what the proxy refuses, if
    it does.
    """

    short: str
    state: State
    sent: int = -1
    acked: int = -1
    seconds: float | None = None
    message: str | None = None
    rejected: tuple[Rejection, ...] = ()


@dataclass(frozen=True, slots=True)
class ProxyStatus:
    """How one connected proxy stands; `seconds` is the age of its connection."""

    proxy: Hashable
    class_key: Hashable
    seconds: float
    types: tuple[ResourceStatus, ...]

    @property
    def state(self) -> State:
        """The worst of its types."""
        states = {status.state for status in self.types}
        return next((state for state in _WORST_FIRST if state in states), State.NOT_SENT)


@dataclass(slots=True, eq=False)
class _Group:
    """The connected proxies of one class."""

    key: Hashable
    version: ClassVersion | None = None
    generation: int = -1
    connections: dict["Connection", None] = field(default_factory=dict)


class Connection:
    """One proxy that is connected."""

    __slots__ = (
        "_acked_at",
        "_behind_since",
        "_clock",
        "_group",
        "_heard",
        "_meters",
        "_outlet",
        "_sent_at",
        "_waits_since",
        "connected_at",
        "proxy",
        "session",
    )

    def __init__(
        self,
        proxy: Hashable,
        outlet: Outlet,
        session: DeltaSession,
        clock: Callable[[], float],
        heard: "Callable[[Connection], None]",
        meters: PushMeters,
    ) -> None:
        self.proxy = proxy
        self.session = session
        self.connected_at = clock()
        self._outlet = outlet
        self._clock = clock
        self._heard = heard
        self._meters = meters
        self._group: _Group | None = None
        self._behind_since: float | None = None
        self._sent_at: dict[str, float] = {}
        self._acked_at: dict[str, float] = {}
        self._waits_since: float | None = None

    def __repr__(self) -> str:
        return f"Connection({self.proxy})"

    @property
    def class_key(self) -> Hashable:
        """The class that the proxy has been placed in; None before that."""
        return self._group.key if self._group else None

    def receive(self, event: Event) -> None:
        """Take in what the proxy says, and answer it."""
        now = self._clock()
        if isinstance(event, Ack):
            self._acked_at[event.type_url] = now
        elif isinstance(event, Nack):
            self._meters.refusals.add(1, order.type_of(event.type_url).short.lower())
        self._carry_out(self.session.receive(event), now)
        self._measure_convergence(now)
        self._heard(self)

    def offer(self, version: ClassVersion, now: float) -> None:
        """Bring the proxy to this version, as far and as soon as the protocol allows."""
        self._carry_out(self.session.offer(version), now)

    def stop_waiting(self, now: float) -> None:
        """Go on without what the proxy has been waited for since `PATIENCE_SECONDS`."""
        if not self.session.waits:
            self._waits_since = None
        elif self._waits_since is None:
            self._waits_since = now
        elif now - self._waits_since >= PATIENCE_SECONDS:
            self._waits_since = None
            self._carry_out(self.session.stop_waiting(), now)
            self._heard(self)

    def close(self, reason: str) -> None:
        """End the stream."""
        self._outlet.close(reason)

    def settled(self, generation: int) -> bool:
        """Say whether the proxy has acknowledged all that changes up to this generation mean for it."""
        return self._group is not None and self._group.generation >= generation and self.session.settled(generation)

    def status(self, now: float) -> ProxyStatus:
        """Return how the proxy stands."""
        known = {status.kind.url: status for status in self.session.statuses()}
        served = self._group.version.resources if self._group and self._group.version else {}
        kinds = [kind for kind in order.TYPES if kind.url in known or served.get(kind.url)]
        types = tuple(self._resource_status(kind, known.get(kind.url), now) for kind in kinds)
        return ProxyStatus(self.proxy, self.class_key, now - self.connected_at, types)

    def _resource_status(self, kind: order.ResourceType, status: TypeStatus | None, now: float) -> ResourceStatus:
        if status is None or (status.sent < 0 and not status.message):
            return ResourceStatus(kind.short, State.NOT_SENT)
        state = State.ERROR if status.message else State.STALE if status.waiting else State.SYNCED
        moment = self._acked_at.get(kind.url) if state is State.SYNCED else self._sent_at.get(kind.url)
        seconds = now - (self.connected_at if moment is None else moment)
        return ResourceStatus(kind.short, state, status.sent, status.acked, seconds, status.message, status.rejected)

    def _measure(self, delta: Delta, now: float) -> None:
        if self._behind_since is None:
            self._behind_since = now
        kind = order.type_of(delta.type_url).short.lower()
        self._meters.pushes.add(1, kind)
        self._meters.size.observe(delta.size_bytes, kind)

    def _measure_convergence(self, now: float) -> None:
        """Note when the proxy has all that it was offered."""
        if self._behind_since is not None and self._group is not None and self.session.settled(self._group.generation):
            self._meters.convergence.observe(now - self._behind_since)
            self._behind_since = None

    def _carry_out(self, commands: Sequence[Command], now: float) -> None:
        for command in commands:
            if isinstance(command, Send):
                self._sent_at[command.delta.type_url] = now
                self._measure(command.delta, now)
                self._outlet.send(command.delta)
            elif isinstance(command, Close):
                self._outlet.close(command.reason)
            else:
                _log.warning("%s: %s", self.proxy, command.message)


@dataclass(slots=True, eq=False)
class _Wait:
    """Somebody waits until these connections are settled."""

    generation: int
    among: Collection[Hashable] | None
    open: set[Connection]
    done: asyncio.Future[None]


class Pushes:
    """Brings versions of classes to the proxies that are connected, and knows how far each one is.

    All methods belong to one event loop. Proxies and classes are named by any hashable value that prints well. A class
    exists from its first `publish` or `place` until it is retired; one without proxies costs no more than a reference.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._versions = Versions()
        self._sets = NameSets()
        self._groups: dict[Hashable, _Group] = {}
        self._connections: dict[Hashable, Connection] = {}
        self._waits: list[_Wait] = []
        self.meters = PushMeters()

    # Proxies

    @property
    def connections(self) -> Mapping[Hashable, Connection]:
        """The connected proxies by id."""
        return self._connections

    def connect(self, proxy: Hashable, outlet: Outlet) -> Connection:
        """Take up a proxy, which is told nothing before it is placed in a class.

        An older stream of the same proxy is closed.
        """
        older = self._connections.get(proxy)
        if older is not None:
            self.disconnect(older)
            older.close(f"proxy {proxy} has opened another stream")
        connection = Connection(proxy, outlet, DeltaSession(self._sets), self._clock, self._heard, self.meters)
        self._connections[proxy] = connection
        return connection

    def place(self, connection: Connection, class_key: Hashable) -> None:
        """Put the proxy in a class, or move it there from another one: it is told what differs."""
        group, before = self._group(class_key), connection._group
        if group is before:
            return
        group.connections[connection] = None
        connection._group = group
        if before is not None:
            before.connections.pop(connection, None)
        if group.version is not None:
            connection.offer(group.version, self._clock())
        self._heard(connection)

    def disconnect(self, connection: Connection) -> None:
        """Note that the stream has ended. May be called again."""
        if self._connections.get(connection.proxy) is connection:
            del self._connections[connection.proxy]
        if connection._group is not None:
            connection._group.connections.pop(connection, None)
            connection._group = None
        for wait in list(self._waits):
            self._strike_off(wait, connection)

    def move(self, proxies: Iterable[Hashable], class_key: Hashable) -> None:
        """Move those of these proxies that are connected to another class."""
        for proxy in proxies:
            connection = self._connections.get(proxy)
            if connection is not None:
                self.place(connection, class_key)

    # Classes

    def has(self, class_key: Hashable) -> bool:
        """Say whether resources have been published for the class, and are still kept."""
        group = self._groups.get(class_key)
        return group is not None and group.version is not None

    def publish(self, class_key: Hashable, resources: ResourceSet, generation: int) -> None:
        """From now on the class is to have these resources; what equals the version before is not sent again."""
        group = self._group(class_key)
        self._push(group, self._versions.full(group.version, resources, generation), generation)

    def publish_endpoints(
        self,
        class_keys: Iterable[Hashable],
        resources: Mapping[str, Resource | None],
        generation: int,
        type_url: str = order.ENDPOINT,
    ) -> None:
        """Change a few resources (None: gone) of one type in these classes.

        Classes for which nothing has been published are passed over.
        """
        patch = Patch(type_url, resources)
        for class_key in class_keys:
            group = self._groups.get(class_key)
            if group is not None and group.version is not None:
                self._push(group, self._versions.patched(group.version, patch, generation), generation)

    def reached(self, generation: int, held_back: Collection[Hashable] = ()) -> None:
        """Note that all that changes up to this generation mean for any class has been published.

        Classes that were not published again are unaffected by them, except those that are held back.
        """
        for class_key, group in self._groups.items():
            if class_key not in held_back:
                group.generation = max(group.generation, generation)
        self._review_waits()

    def retire(self, class_key: Hashable) -> None:
        """Keep nothing for this class any more: its last proxy has left or is about to."""
        self._groups.pop(class_key, None)

    def stop_waiting(self) -> None:
        """Lose patience with proxies that hold themselves up; to be called about every second."""
        now = self._clock()
        for connection in list(self._connections.values()):
            connection.stop_waiting(now)

    def _group(self, class_key: Hashable) -> _Group:
        return self._groups.setdefault(class_key, _Group(class_key))

    def _push(self, group: _Group, version: ClassVersion, generation: int) -> None:
        group.generation = max(group.generation, generation)
        if version is group.version:
            return
        group.version = version
        now = self._clock()
        for connection in list(group.connections):
            connection.offer(version, now)

    # How far they are

    def statuses(self) -> list[ProxyStatus]:
        """Return how each connected proxy stands, by id."""
        now = self._clock()
        return [
            connection.status(now) for _, connection in sorted(self._connections.items(), key=lambda item: str(item[0]))
        ]

    def unsettled(self, generation: int, among: Collection[Hashable] | None = None) -> list[Connection]:
        """Return the connected proxies (of those named) that lack some change up to this generation."""
        chosen = self._connections.values() if among is None else map(self._connections.get, among)
        return [connection for connection in chosen if connection is not None and not connection.settled(generation)]

    async def settle(self, generation: int, among: Collection[Hashable] | None = None) -> None:
        """Return when no connected proxy (of those named) is unsettled; the caller limits the time."""
        still_open = set(self.unsettled(generation, among))
        if not still_open:
            return
        wait = _Wait(generation, among, still_open, asyncio.get_running_loop().create_future())
        self._waits.append(wait)
        try:
            await wait.done
        finally:
            self._waits.remove(wait)

    def _heard(self, connection: Connection) -> None:
        for wait in self._waits:
            if connection in wait.open and connection.settled(wait.generation):
                self._strike_off(wait, connection)

    def _review_waits(self) -> None:
        for wait in self._waits:
            for connection in [connection for connection in wait.open if connection.settled(wait.generation)]:
                self._strike_off(wait, connection)

    def _strike_off(self, wait: _Wait, connection: Connection) -> None:
        wait.open.discard(connection)
        if wait.open:
            return
        wait.open.update(self.unsettled(wait.generation, wait.among))
        if not wait.open and not wait.done.done():
            wait.done.set_result(None)
