"""The control loop: changes come in at any time, and in bundles they become a snapshot, views, plans and pushes."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lateen import names
from lateen.api.changes import Change
from lateen.api.config_set import ConfigSet
from lateen.api.core.service import Service
from lateen.api.mesh.settings import mesh_config
from lateen.api.networking.service_entry import ServiceEntry
from lateen.api.objects import ObjectKey
from lateen.errors import NotPermitted, ProtocolError
from lateen.manager.addresses import SERVICE_ENTRY_RANGE, SERVICE_RANGE, AddressPool, pool_of
from lateen.manager.classes import Classes
from lateen.manager.debounce import Debounce
from lateen.manager.ports import NodeIdentity
from lateen.manager.pushes import Connection, Outlet, Pushes
from lateen.model import services
from lateen.model.key_sets import KeySet
from lateen.model.proxy import Proxy, Role
from lateen.model.snapshot import Difference, Inputs, Snapshot, first_snapshot, next_snapshot
from lateen.model.workload import Workload, WorkloadKey
from lateen.plan.types import Diagnostic

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pending:
    """What came in since the last push."""

    changes: list[Change] = field(default_factory=list)
    upserts: dict[WorkloadKey, Workload] = field(default_factory=dict)
    removals: set[WorkloadKey] = field(default_factory=set)
    key_sets: Mapping[str, KeySet] | None = None

    def __bool__(self) -> bool:
        return bool(self.changes or self.upserts or self.removals or self.key_sets is not None)


class ControlLoop:
    """Keeps every connected proxy at the newest state of the mesh.

    Every accepted change gets the number of a *generation*; a proxy that has acknowledged a generation runs all
    changes up to it. All methods belong to one event loop; nothing here waits for a proxy.
    """

    def __init__(
        self, pushes: Pushes, clock: Callable[[], float] = time.monotonic, *, session_key: bytes = b""
    ) -> None:
        self.snapshot: Snapshot = first_snapshot(Inputs(ConfigSet(), session_key=session_key))
        self.generation = 0
        self.changed_at: dict[ObjectKey, int] = {}
        self._pushes = pushes
        self._classes = Classes(pushes, self.snapshot)
        self._clock = clock
        self._pending = _Pending()
        self._debounce = Debounce()
        self._wake = asyncio.Event()
        self._listeners: list[Callable[[Snapshot], None]] = []
        self._followers: list[Callable[[], None]] = []
        self._pushed_generation = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._service_addresses = AddressPool(SERVICE_RANGE)
        self._entry_addresses = AddressPool(SERVICE_ENTRY_RANGE)

    @property
    def config(self) -> ConfigSet:
        """The objects that the newest snapshot was made from."""
        return self.snapshot.config

    @property
    def addresses(self) -> Mapping[str, str]:
        """The virtual addresses that were given out, by host."""
        return {**self._service_addresses.taken, **self._entry_addresses.taken}

    def remember_addresses(self, addresses: Mapping[str, str]) -> None:
        """Take over virtual addresses that were given out before a restart, so that clients' connections stay valid."""
        self._service_addresses = pool_of(SERVICE_RANGE, addresses)
        self._entry_addresses = pool_of(SERVICE_ENTRY_RANGE, addresses)

    def submit(self, changes: Iterable[Change]) -> int:
        """Take in accepted changes of the configuration; returns the generation that contains them."""
        found = list(changes)
        if found:
            self._pending.changes += found
            self._count()
            self.changed_at.update((change.key, self.generation) for change in found)
        return self.generation

    def report_workloads(self, upserts: Iterable[Workload], removals: Iterable[WorkloadKey] = ()) -> int:
        """Take in what the platform says about running instances; returns the generation that contains it."""
        pending, is_new = self._pending, False
        for workload in upserts:
            pending.upserts[workload.key] = workload
            pending.removals.discard(workload.key)
            is_new = True
        for key in removals:
            pending.removals.add(key)
            pending.upserts.pop(key, None)
            is_new = True
        if is_new:
            self._count()
        return self.generation

    @property
    def key_sets(self) -> tuple[KeySet, ...]:
        """What is known of the keys with which tokens are verified."""
        return tuple(self.snapshot.inputs.key_sets.values())

    def report_keys(self, key_sets: Mapping[str, KeySet]) -> int:
        """Take in all that is known of the keys of token issuers, by URL; returns the generation that contains it."""
        self._pending.key_sets = dict(key_sets)
        self._count()
        return self.generation

    def subscribe(self, listener: Callable[[Snapshot], None]) -> None:
        """Have `listener` called with every new snapshot, before it is pushed."""
        self._listeners.append(listener)

    def follow(self, follower: Callable[[], None]) -> None:
        """Have `follower` called after every push."""
        self._followers.append(follower)

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """List what is legal but doubtful in the configuration, as far as any connected proxy is concerned."""
        return self._classes.diagnostics(datetime.now(UTC))

    async def doubts(self, generation: int, keys: Collection[ObjectKey]) -> tuple[Diagnostic, ...]:
        """List what is doubtful about some objects, once a generation has been pushed."""
        while self._pushed_generation < generation:
            pushed = asyncio.get_running_loop().create_future()
            self._waiters.append(pushed)
            await pushed
        return tuple(found for found in self.diagnostics() if found.origin.key in keys)

    def connect(self, node: NodeIdentity, outlet: Outlet, peer: WorkloadKey | None = None) -> Connection:
        """Take up the proxy of a known workload and bring it to the state of its class.

        Raises `ProtocolError` for a node id of another form, `NotPermitted` for one of no workload of the mesh or of
        another workload than the `peer` whose certificate the connection has shown.
        """
        proxy = self._proxy_of(node, peer)
        self.push()
        connection = self._pushes.connect(str(proxy.key), outlet)
        self._pushes.place(connection, self._classes.admit(proxy, self.generation))
        return connection

    def disconnect(self, connection: Connection) -> None:
        """Note that a proxy's stream has ended."""
        is_newest = self._pushes.connections.get(connection.proxy) is connection
        self._pushes.disconnect(connection)
        if is_newest:
            self._classes.dismiss(_workload_key(str(connection.proxy)))

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

    def _proxy_of(self, node: NodeIdentity, peer: WorkloadKey | None) -> Proxy:
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
        return Proxy(
            key=key,
            role=Role(identity.role),
            labels=workload.labels,
            address=workload.address,
            locality=workload.locality,
            network=workload.network,
            ports=workload.ports,
        )

    async def run(self) -> None:
        """Push whatever comes in, bundled, and keep proxies from waiting for ever; until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._push_bundles())
            tasks.create_task(self._lose_patience())

    async def _push_bundles(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._debounce.delay(self._clock()))
            self.push()

    async def _lose_patience(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._pushes.stop_waiting()

    def push(self) -> None:
        """Make the next snapshot of what came in, and push what differs, now."""
        if not self._pending:
            return
        start = self._clock()
        pending, self._pending = self._pending, _Pending()
        self._wake.clear()
        difference = self._advance(pending)
        for listener in self._listeners:
            listener(self.snapshot)
        self._classes.publish(self.snapshot, difference, self.generation)
        self._pushed_generation = self.generation
        for follower in self._followers:
            follower()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        end = self._clock()
        self._debounce.pushed(start, end)
        _log.debug("pushed generation %d in %.1f ms", self.generation, 1000 * (end - start))

    def _count(self) -> None:
        self.generation += 1
        self._wake.set()

    def _advance(self, pending: _Pending) -> Difference:
        before = self.snapshot
        config = before.config.apply(pending.changes) if pending.changes else before.config
        mesh = mesh_config(config)
        if config is not before.config:
            self._assign_addresses(config)
        touched = pending.upserts.keys() | pending.removals
        workloads = before.workloads.apply(pending.upserts.values(), pending.removals) if touched else before.workloads
        key_sets = before.inputs.key_sets if pending.key_sets is None else pending.key_sets
        inputs = Inputs(config, workloads, self.addresses, mesh, key_sets, before.inputs.session_key)
        self.snapshot, difference = next_snapshot(before, inputs, touched)
        return difference

    def _assign_addresses(self, config: ConfigSet) -> None:
        """Give a virtual address to every host that needs one; addresses that users wrote are never given out."""
        kubernetes = config.of(Service)
        written = frozenset(item.spec.cluster_ip for item in kubernetes if item.spec.cluster_ip)
        self._service_addresses = self._service_addresses.assign(
            (names.service_host(item.name, item.namespace) for item in kubernetes if services.needs_address(item.spec)),
            written,
        )
        entries = config.of(ServiceEntry)
        taken = frozenset(address for item in entries for address in item.spec.addresses)
        self._entry_addresses = self._entry_addresses.assign(
            (
                host
                for item in entries
                if services.needs_automatic_addresses(item.spec)
                for host in item.spec.hosts
                if not host.startswith("*")
            ),
            taken,
        )


def _workload_key(proxy: str) -> WorkloadKey:
    name, _, namespace = proxy.rpartition(".")
    return WorkloadKey(namespace, name)
