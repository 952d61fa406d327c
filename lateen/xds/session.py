"""One proxy's stream: events and versions in, commands out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lateen.xds import order
from lateen.xds.channel import Channel, Pending, Rejection
from lateen.xds.commands import Close, Command, Send, Warn
from lateen.xds.events import Ack, Event, Nack, Subscribe
from lateen.xds.versions import NO_NAMES, ClassVersion, Delta, NameSets

MOST_TYPES = 32
"""A stream that asks for more types than this is not an Envoy's."""


@dataclass(frozen=True, slots=True)
class TypeStatus:
    """How far a proxy is in one type.

    `sent` and `acked` are generations (-1: none yet). `message` is what the proxy said at the last refusal that still
    stands, `rejected` the resources that it refuses; empty while the culprit is still being looked for.
    """

    kind: order.ResourceType
    sent: int
    acked: int
    waiting: bool
    message: str | None
    rejected: tuple[Rejection, ...]


class DeltaSession:
    """Decides what one stream is sent, and in which order.

    Clusters, endpoints and secrets go out at once. Listeners and routes of a version follow when its clusters are
    acknowledged and the new ones have their endpoints; what they no longer refer to is removed last. The contract
    with whoever makes the resources: an endpoint resource is named like its cluster, and only clusters that ask for
    endpoints have one.
    """

    __slots__ = (
        "_channels",
        "_cold",
        "_foundation",
        "_is_arriving",
        "_made",
        "_newest",
        "_sets",
        "_users",
    )

    def __init__(self, sets: NameSets) -> None:
        self._sets = sets
        self._channels: dict[str, Channel] = {}
        self._foundation: tuple[Channel, ...] = ()
        self._users: tuple[Channel, ...] = ()
        self._newest: ClassVersion | None = None
        self._made: list[ClassVersion] = []
        self._cold = NO_NAMES
        self._is_arriving = False

    # In

    def offer(self, version: ClassVersion) -> Sequence[Command]:
        """The class is to have this version from now on (or the proxy has moved to the class that has it)."""
        self._newest = version
        return self._advance()

    def receive(self, event: Event) -> Sequence[Command]:
        """The proxy said something."""
        if isinstance(event, Ack):
            return self._acknowledged(event)
        if isinstance(event, Subscribe):
            return self._subscribed(event)
        return self._refused(event)

    def stop_waiting(self) -> Sequence[Command]:
        """Stop expecting the proxy to ask for more.

        It would ask for the endpoints of its new clusters or, having reconnected, for types that it holds already.
        """
        self._is_arriving = False
        self._cold = NO_NAMES
        return self._advance()

    # What the proxy says

    def _subscribed(self, event: Subscribe) -> Sequence[Command]:
        channel = self._channels.get(event.type_url)
        if channel is not None:
            channel.subscribe(event)
            if event.type_url == order.ENDPOINT:
                self._cold = self._cold.difference(event.subscribe, event.unsubscribe)
            return self._advance()
        if not event.type_url or len(self._channels) >= MOST_TYPES:
            expected = f"expected the type URL of an xDS resource, and at most {MOST_TYPES} of them"
            return (Close(f"subscription to type {event.type_url!r}: {expected}"),)
        kind = order.type_of(event.type_url)
        self._channels[event.type_url] = Channel(event, kind, self._sets)
        self._is_arriving |= bool(event.initial_versions)
        if event.type_url == order.CLUSTER:
            self._made.clear()
        self._foundation = self._in_order(foundation=True)
        self._users = self._in_order(foundation=False)
        if event.type_url not in order.BY_URL:
            return (
                Warn(f"proxy asks for resources of type {event.type_url}, of which there are none"),
                *self._advance(),
            )
        return self._advance()

    def _in_order(self, foundation: bool) -> tuple[Channel, ...]:
        known = [self._channels[kind.url] for kind in order.TYPES if kind.url in self._channels]
        unknown = [channel for url, channel in self._channels.items() if url not in order.BY_URL]
        return tuple(channel for channel in (*known, *unknown) if channel.kind.foundation is foundation)

    def _acknowledged(self, event: Ack) -> Sequence[Command]:
        channel = self._channels.get(event.type_url)
        pending = channel.pending if channel else None
        if channel is None or pending is None or pending.delta.nonce != event.nonce:
            return (Warn(_stray("acknowledges", event)),)
        channel.acknowledge(pending)
        if event.type_url == order.CLUSTER:
            self._clusters_made(pending.version, pending.added, pending.complete)
            if pending.delta.resources:
                for user in self._users:
                    user.retry_rejected()
        return self._advance()

    def _refused(self, event: Nack) -> Sequence[Command]:
        channel = self._channels.get(event.type_url)
        pending = channel.pending if channel else None
        if channel is None or pending is None or pending.delta.nonce != event.nonce:
            return (Warn(f"{_stray('refuses', event)}: {event.message}"),)
        culprits = channel.refuse(pending, event.message)
        if event.type_url == order.CLUSTER:
            self._clusters_made(pending.version, NO_NAMES, pending.complete and bool(culprits))
        found = [Warn(f"proxy refuses {channel.kind.short} {name}: {event.message}") for name in culprits]
        return (*found, *self._advance())

    # Make before break

    def _clusters_made(self, version: ClassVersion, added: frozenset[str], complete: bool) -> None:
        endpoints = self._channels.get(order.ENDPOINT)
        if endpoints is not None and added:
            self._cold |= added.intersection(version.of(order.ENDPOINT)) - endpoints.subscribed
        if complete:
            # The oldest is kept so that it can be reached while newer ones come in, and the newest to go on with.
            self._made[1:] = [version]

    def _advance(self) -> Sequence[Command]:
        """Send whatever can be sent now."""
        newest = self._newest
        if newest is None:
            return ()
        commands: list[Command] = []
        self._send(self._foundation, newest, False, commands)
        ready = self._choose_ready(newest)
        if ready is None:
            return commands
        self._send(self._users, ready, True, commands)
        if ready is newest and self._may_remove(newest):
            self._send(reversed(self._foundation), newest, True, commands)
        return commands

    def _choose_ready(self, newest: ClassVersion) -> ClassVersion | None:
        """Return the newest version to whose clusters listeners and routes may refer now, if there is one."""
        clusters = self._channels.get(order.CLUSTER)
        if clusters is None or clusters.pending is None:
            self._made[1:] = [newest]  # no cluster of it is left to be made
        endpoints = self._channels.get(order.ENDPOINT)
        if self._cold:
            self._cold = self._cold.intersection(newest.of(order.ENDPOINT))
        missing = self._cold | endpoints.missing(newest) if endpoints else NO_NAMES
        for version in reversed(self._made):
            if _is_warm(version, newest, missing):
                self._made = [version]
                return version
        return None

    def _may_remove(self, newest: ClassVersion) -> bool:
        """Say whether there is something to remove that nothing refers to any more.

        What refused listeners and routes refer to stays, because the proxy goes on with their last good version.
        """
        if self._is_arriving or not any(channel.differing for channel in self._foundation):
            return False
        return all(channel.at(newest) for channel in self._users)

    def _send(
        self, channels: Iterable[Channel], target: ClassVersion, may_remove: bool, commands: list[Command]
    ) -> None:
        for channel in channels:
            pending = channel.next_response(target, may_remove)
            if pending is not None:
                commands.append(Send(pending.delta))
                if channel.kind.url == order.CLUSTER:
                    self._repeat_endpoints(pending)

    def _repeat_endpoints(self, pending: Pending) -> None:
        """Have the endpoints of sent clusters that the proxy subscribes to already sent again.

        Envoy warms a changed cluster only with endpoints that come after it, acknowledges it only then, and does not
        ask for them.
        """
        endpoints = self._channels.get(order.ENDPOINT)
        if endpoints is not None:
            endpoints.repeat(pending.delta.names.intersection(pending.version.of(order.ENDPOINT)))

    # How far the proxy is

    @property
    def newest(self) -> ClassVersion | None:
        """The version that the proxy is to have."""
        return self._newest

    @property
    def waits(self) -> bool:
        """Whether something is held back until the proxy asks for more (see `stop_waiting`)."""
        return self._is_arriving or bool(self._cold)

    def settled(self, generation: int) -> bool:
        """Say whether all that the proxy asked for is acknowledged, of what it was offered up to this generation."""
        if self._newest is None:
            return False
        wanted = min(generation, self._newest.generation)
        return all(channel.settled(wanted) for channel in self._channels.values())

    def unacknowledged(self) -> list[Delta]:
        """Return the responses that are out."""
        return [channel.pending.delta for channel in self._channels.values() if channel.pending]

    def statuses(self) -> tuple[TypeStatus, ...]:
        """Return how far the proxy is in each type that it asked for."""
        return tuple(self._status(channel) for channel in (*self._foundation, *self._users))

    def _status(self, channel: Channel) -> TypeStatus:
        sent = channel.pending.version if channel.pending else channel.held
        waiting = channel.pending is not None or self._newest is None or channel.landed < self._newest.generation
        rejected = tuple(channel.rejected.values())
        return TypeStatus(
            channel.kind, sent.generation if sent else -1, channel.landed, waiting, channel.trouble, rejected
        )


def _stray(verb: str, event: Ack | Nack) -> str:
    return f"proxy {verb} nonce {event.nonce!r} of type {event.type_url}, which is not the one that is out"


def _is_warm(version: ClassVersion, newest: ClassVersion, missing: frozenset[str]) -> bool:
    """Say whether all clusters of a version have their endpoints, as far as they ask for them.

    Endpoints that the newest version has no more may never have reached the proxy.
    """
    if missing and not missing.isdisjoint(version.of(order.ENDPOINT)):
        return False
    return version is newest or not newest.changes_since(version, order.ENDPOINT).removed
