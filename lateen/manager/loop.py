"""The control loop: changes come in at any time, and in bundles they become a snapshot, views, plans and pushes."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lateen import names
from lateen.api.changes import Change
from lateen.api.config_set import ConfigSet
from lateen.api.mesh.settings import mesh_config
from lateen.api.objects import ObjectKey
from lateen.errors import NotPermitted, ProtocolError
from lateen.manager.addresses import Addresses, known_addresses
from lateen.manager.classes import Classes
from lateen.manager.debounce import Debounce
from lateen.manager.findings import Findings, Moment
from lateen.manager.meters import LoopMeters
from lateen.manager.patch_trials import Reviewer
from lateen.manager.ports import NodeIdentity
from lateen.manager.pushes import Connection, Outlet, Pushes
from lateen.manager.registrations import Entry, Registrations
from lateen.model import proxy as proxies
from lateen.model.key_sets import KeySet
from lateen.model.proxy import Role
from lateen.model.snapshot import Difference, Inputs, Snapshot, first_snapshot, next_snapshot
from lateen.model.view import ClassKey
from lateen.model.workload import Workload, WorkloadKey
from lateen.plan.types import Diagnostic, PatchSet, ProxyPlan

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pending:
    """What came in since the last push."""

    changes: list[Change] = field(default_factory=list)
    upserts: dict[WorkloadKey, Workload] = field(default_factory=dict)
    removals: set[WorkloadKey] = field(default_factory=set)
    key_sets: Mapping[str, KeySet] | None = None
    since: float | None = None

    def __bool__(self) -> bool:
        return bool(self.changes or self.upserts or self.removals or self.key_sets is not None)


class ControlLoop:
    """Keeps every connected proxy at the newest state of the mesh.

    Every accepted change gets the number of a *generation*; a proxy that has acknowledged a generation runs all
    changes up to it. All methods belong to one event loop; nothing here waits for a proxy.
    """

    def __init__(
        self,
        pushes: Pushes,
        clock: Callable[[], float] = time.monotonic,
        *,
        session_key: bytes = b"",
        reviewer: Reviewer | None = None,
        registrations: Registrations | None = None,
    ) -> None:
        self.snapshot: Snapshot = first_snapshot(Inputs(ConfigSet(), session_key=session_key))
        self.generation = 0
        self.changed_at: dict[ObjectKey, int] = {}
        self._pushes = pushes
        self._classes = Classes(pushes, self.snapshot, reviewer)
        self._clock = clock
        self.registrations = registrations or Registrations(clock=clock)
        self._pending = _Pending()
        self._debounce = Debounce()
        self._wake = asyncio.Event()
        self._listeners: list[Callable[[Snapshot], None]] = []
        self._followers: list[Callable[[], None]] = []
        self._prepare: Callable[[Sequence[Change]], Awaitable[None]] | None = None
        self._pushed_generation = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._findings = Findings()
        self._addresses = Addresses()
        self.meters = LoopMeters()

    @property
    def config(self) -> ConfigSet:
        """The objects that the newest snapshot was made from, whether proxies know of them or not."""
        return self.snapshot.inputs.config

    @property
    def addresses(self) -> Mapping[str, str]:
        """The virtual addresses that were given out, by host."""
        return self._addresses.by_host

    def remember_addresses(self, addresses: Mapping[str, str]) -> None:
        """Take over virtual addresses that were given out before a restart, so that clients' connections stay valid."""
        self._addresses = known_addresses(addresses)

    def submit(self, changes: Iterable[Change]) -> int:
        """Take in accepted changes of the configuration; returns the generation that contains them."""
        found = list(changes)
        if found:
            self._pending.changes += found
            self.meters.updates.add(len(found), "config")
            self._count()
            self.changed_at.update((change.key, self.generation) for change in found)
        return self.generation

    def report_workloads(self, upserts: Iterable[Workload], removals: Iterable[WorkloadKey] = ()) -> int:
        """Take in what the platform says about running instances; returns the generation that contains it."""
        pending, is_new = self._pending, False
        for workload in upserts:
            pending.upserts[workload.key] = self.registrations.report(workload)
            pending.removals.discard(workload.key)
            is_new = True
        for key in removals:
            self.registrations.remove(key)
            pending.removals.add(key)
            pending.upserts.pop(key, None)
            is_new = True
        if is_new:
            self.meters.updates.add(1, "endpoint")
            self._count()
        return self.generation

    @property
    def key_sets(self) -> tuple[KeySet, ...]:
        """What is known of the keys with which tokens are verified."""
        return tuple(self.snapshot.inputs.key_sets.values())

    def report_keys(self, key_sets: Mapping[str, KeySet]) -> int:
        """Take in all that is known of the keys of token issuers, by URL; returns the generation that contains it."""
        self._pending.key_sets = dict(key_sets)
        self.meters.updates.add(1, "keys")
        self._count()
        return self.generation

    def reviewed(self) -> None:
        """Note that Envoy has said more about patches: what waits for that is published, if nothing else is lacking."""
        self._classes.look_again(self._pushed_generation)
        for follower in self._followers:
            follower()

    def subscribe(self, listener: Callable[[Snapshot], None]) -> None:
        """Have `listener` called with every new snapshot, before it is pushed."""
        self._listeners.append(listener)

    def follow(self, follower: Callable[[], None]) -> None:
        """Have `follower` called after every push."""
        self._followers.append(follower)

    def prepare_with(self, prepare: Callable[[Sequence[Change]], Awaitable[None]]) -> None:
        """Have `prepare` awaited before changes are pushed that come by themselves; it must end soon."""
        self._prepare = prepare

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """List what is legal but doubtful in the configuration, as far as any connected proxy is concerned."""
        return self._classes.diagnostics(datetime.now(UTC))

    async def findings(self, generation: int = 0) -> tuple[Diagnostic, ...]:
        """List all that is doubtful, as plans show it and as the whole does, once a generation has been pushed."""
        while self._pushed_generation < generation:
            pushed = asyncio.get_running_loop().create_future()
            self._waiters.append(pushed)
            await pushed
        return await self._findings.at(self.moment())

    def moment(self) -> Moment:
        """Return the mesh as it is pushed now, to ask for its findings later."""
        return Moment(self.snapshot, self.diagnostics())

    async def findings_at(self, moment: Moment) -> tuple[Diagnostic, ...]:
        """List all that was doubtful at a moment."""
        return await self._findings.at(moment)

    def known_plan(self, key: ClassKey) -> ProxyPlan | None:
        """Return what the connected proxies of a class do; None where there are none."""
        return self._classes.plan(key)

    def bootstrap_patches(self, key: WorkloadKey, role: Role) -> tuple[PatchSet, ...] | None:
        """Return the patches that the proxy of a workload is started with; None until Envoy has said which it takes."""
        self.push()
        workload = self.snapshot.workloads.get(key)
        return self._classes.bootstrap_patches(proxies.of_workload(workload, role)) if workload is not None else ()

    def connect(self, node: NodeIdentity, outlet: Outlet, peer: WorkloadKey | None = None) -> Connection:
        """Take up the proxy of a known workload and bring it to the state of its class.

        Raises `ProtocolError` for a node id of another form, `NotPermitted` for one of no workload of the mesh or of
        another workload than the `peer` whose certificate the connection has shown.
        """
        workload, role = self._identify(node, peer)
        member = self.registrations.connect(workload.key)
        if member is not None and member != workload:
            self._see_anew([member])
        proxy = proxies.of_workload(member or workload, role)
        self.push()
        connection = self._pushes.connect(str(proxy.key), outlet)
        self._pushes.place(connection, self._classes.admit(proxy, self.generation))
        return connection

    def disconnect(self, connection: Connection) -> None:
        """Note that a proxy's stream has ended."""
        is_newest = self._pushes.connections.get(connection.proxy) is connection
        self._pushes.disconnect(connection)
        if is_newest:
            key = _workload_key(str(connection.proxy))
            self.registrations.disconnect(key)
            self._classes.dismiss(key)

    async def wait_settled(
        self, generation: int, timeout_seconds: float, concerned: Callable[[WorkloadKey], bool] | None = None
    ) -> tuple[str, ...]:
        """Wait until every connected proxy that is concerned has acknowledged a generation.

        Returns the proxies, as `workload.namespace`, that have not when the time is over; none when all have.
        """
        among = None if concerned is None else [p for p in self._pushes.connections if concerned(_workload_key(str(p)))]
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._pushes.settle(generation, among)
        except TimeoutError:
            return tuple(sorted(str(connection.proxy) for connection in self._pushes.unsettled(generation, among)))
        return ()

    def concerns(self, key: ObjectKey) -> Callable[[WorkloadKey], bool]:
        """Return a test of which proxies an object matters to: those that can see it."""
        return self._classes.concerns(key)

    def origins(self, proxy: str, kind: str, resource: str) -> tuple[ObjectKey, ...]:
        """List the objects that a resource of a proxy comes from; `kind` is short, such as `RDS`."""
        return self._classes.origins(_workload_key(proxy), kind, resource)

    def as_seen(self, workload: Workload) -> Workload:
        """Return a workload that the platform describes as the mesh sees it: registered in its group, if it has one."""
        return self.registrations.as_seen(workload)

    def entries(self) -> tuple[Entry, ...]:
        """List the WorkloadEntries that stand for members of groups."""
        return self.registrations.entries()

    def _identify(self, node: NodeIdentity, peer: WorkloadKey | None) -> tuple[Workload, Role]:
        """Return the workload of a proxy that says who it is, and what the proxy stands for."""
        identity = names.parse_node_id(node.id)
        if identity is None:
            raise ProtocolError(
                f"node id {node.id!r} must be of the form role~address~workload.namespace~namespace.svc.domain"
            )
        key = WorkloadKey(identity.namespace, identity.workload)
        if peer is not None and peer != key:
            raise NotPermitted(f"{peer} says that it is {key}: a proxy gets the configuration of its own workload only")
        workload = self._pending.upserts.get(key) or self.snapshot.workloads.get(key)
        if workload is None or key in self._pending.removals:
            raise NotPermitted(f"proxy {identity.proxy} is of no workload of this mesh")
        return workload, Role(identity.role)

    def _see_anew(self, members: Sequence[Workload]) -> None:
        """Take in that members of groups are to be seen otherwise than before."""
        if members:
            self._pending.upserts.update((member.key, member) for member in members)
            self.meters.updates.add(1, "endpoint")
            self._count()

    async def run(self) -> None:
        """Push whatever comes in, bundled, and keep proxies from waiting for ever; until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._push_bundles())
            tasks.create_task(self._lose_patience())

    async def _push_bundles(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._debounce.delay(self._clock()))
            if self._prepare is not None:
                await self._prepare(self._pending.changes)
            self.push()

    async def _lose_patience(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._pushes.stop_waiting()
            self._see_anew(self.registrations.expire())

    def push(self) -> None:
        """Make the next snapshot of what came in, and push what differs, now."""
        if not self._pending:
            return
        start = self._clock()
        pending, self._pending = self._pending, _Pending()
        self._measure(pending, start)
        self._wake.clear()
        difference = self._advance(pending)
        for listener in self._listeners:
            listener(self.snapshot)
        self._classes.publish(self.snapshot, difference, self.generation)
        for workload in pending.upserts.values():
            if workload.membership is not None:
                self._classes.follow(workload, self.generation)
        self._pushed_generation = self.generation
        for follower in self._followers:
            follower()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        end = self._clock()
        self._debounce.pushed(start, end)
        self.meters.push.observe(end - start)
        _log.debug("pushed generation %d in %.1f ms", self.generation, 1000 * (end - start))

    def _measure(self, pending: _Pending, now: float) -> None:
        """Note why a push became necessary, and how long its first change has waited."""
        reasons = {"config": pending.changes, "endpoint": pending.upserts or pending.removals, "keys": pending.key_sets}
        for reason, found in reasons.items():
            if found:
                self.meters.triggers.add(1, reason)
        if pending.since is not None:
            self.meters.debounce.observe(now - pending.since)

    def _count(self) -> None:
        self.generation += 1
        if self._pending.since is None:
            self._pending.since = self._clock()
        self._wake.set()

    def _advance(self, pending: _Pending) -> Difference:
        before = self.snapshot
        known = before.inputs.config
        config = known.apply(pending.changes) if pending.changes else known
        mesh = mesh_config(config)
        if config is not known:
            self._addresses = self._addresses.assign(config)
            pending.upserts.update((member.key, member) for member in self.registrations.look(config))
        touched = pending.upserts.keys() | pending.removals
        workloads = before.workloads.apply(pending.upserts.values(), pending.removals) if touched else before.workloads
        key_sets = before.inputs.key_sets if pending.key_sets is None else pending.key_sets
        inputs = Inputs(config, workloads, self.addresses, mesh, key_sets, before.inputs.session_key)
        self.snapshot, difference = next_snapshot(before, inputs, touched)
        return difference


def _workload_key(proxy: str) -> WorkloadKey:
    name, _, namespace = proxy.rpartition(".")
    return WorkloadKey(namespace, name)
