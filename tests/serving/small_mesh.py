"""A mesh that exists only as values: what the API's tests, and those of the command line, talk to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lateen.api import decode
from lateen.api.changes import Change
from lateen.api.config_set import ConfigSet
from lateen.api.objects import ObjectKey
from lateen.manager.findings import Moment
from lateen.manager.liveness import Liveness
from lateen.manager.pushes import ProxyStatus, ResourceStatus, State
from lateen.manager.records import Record
from lateen.manager.registrations import Entry
from lateen.manager.store import Store
from lateen.model.key_sets import KeySet
from lateen.model.snapshot import Inputs, first_snapshot
from lateen.model.workload import WorkloadKey
from lateen.plan.types import Diagnostic
from lateen.platforms.local import report
from lateen.platforms.local.report import ContainerRow, Notice, PublishedRow, WorkloadRow
from lateen.serving.api import Api
from lateen.serving.ports import MeshFacts
from lateen.xds.channel import Rejection

NOW = 1_000_000.0
CONFIG = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {ports: [{port: 9080, name: http}], selector: {app: reviews}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews-v1}
spec:
  replicas: 1
  selector: {matchLabels: {app: reviews}}
  template:
    metadata: {labels: {app: reviews}}
    spec: {containers: [{name: reviews, command: [reviews]}]}
"""
VIRTUAL_SERVICE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews}}]}]
"""


class NoRecords:
    """Keeps nothing."""

    def load(self) -> Sequence[Record]:
        return ()

    def save(self, records: Sequence[Record]) -> None:
        pass


@dataclass
class SmallLoop:
    """Counts changes; `late` are the proxies that never acknowledge, `blind` those that see no object,
    `doubtful` what is doubtful about objects, `earlier` what was before an edit."""

    generation: int = 0
    changed_at: dict[ObjectKey, int] = field(default_factory=dict)
    late: tuple[str, ...] = ()
    blind: tuple[str, ...] = ()
    doubtful: tuple[Diagnostic, ...] = ()
    earlier: tuple[Diagnostic, ...] = ()
    key_sets: dict[str, KeySet] = field(default_factory=dict)
    registered: tuple[Entry, ...] = ()

    def submit(self, changes: Sequence[Change]) -> int:
        if changes:
            self.generation += 1
            self.changed_at.update((change.key, self.generation) for change in changes)
        return self.generation

    async def findings(self, generation: int = 0) -> Sequence[Diagnostic]:
        return self.doubtful

    def entries(self) -> Sequence[Entry]:
        return self.registered

    def moment(self) -> Moment:
        return Moment(first_snapshot(Inputs(ConfigSet())), self.earlier)

    async def findings_at(self, moment: Moment) -> Sequence[Diagnostic]:
        return moment.doubts

    def concerns(self, key: ObjectKey) -> Callable[[WorkloadKey], bool]:
        return lambda proxy: str(proxy) not in self.blind

    async def wait_settled(
        self, generation: int, timeout_seconds: float, concerned: Callable[[WorkloadKey], bool] | None = None
    ) -> tuple[str, ...]:
        return tuple(proxy for proxy in self.late if concerned is None or concerned(_key(proxy)))


@dataclass
class SmallWorkloads:
    """The rows that it was given."""

    rows: list[WorkloadRow] = field(default_factory=list)
    ports: list[PublishedRow] = field(default_factory=list)
    told: list[Notice] = field(default_factory=list)

    def workload_rows(self) -> Sequence[WorkloadRow]:
        return self.rows

    def find(self, reference: str, namespace: str = "") -> Sequence[WorkloadRow]:
        return report.find(self.rows, reference, namespace)

    def published(self) -> Sequence[PublishedRow]:
        return self.ports

    def notices(self) -> Sequence[Notice]:
        return self.told


@dataclass
class SmallProxies:
    """The statuses that it was given, and one object behind everything."""

    found: list[ProxyStatus] = field(default_factory=list)

    def statuses(self) -> Sequence[ProxyStatus]:
        return self.found

    def origins(self, proxy: str, kind: str, resource: str) -> Sequence[ObjectKey]:
        return (ObjectKey("networking.istio.io", "VirtualService", "default", "reviews"),)


@dataclass
class SmallMesh:
    """Two workloads, one of them in trouble, and the API that tells of them."""

    loop: SmallLoop = field(default_factory=SmallLoop)
    workloads: SmallWorkloads = field(default_factory=SmallWorkloads)
    proxies: SmallProxies = field(default_factory=SmallProxies)
    is_ready: bool = True

    def __post_init__(self) -> None:
        self.store = Store(NoRecords())
        self.loop.submit(
            self.store.read_files({"/etc/mesh/mesh.yaml": decode.decode_yaml(CONFIG, "/etc/mesh/mesh.yaml")})
        )
        self.workloads.rows = [workload("reviews-v1-1"), workload("ratings-v1-1", is_ready=False)]
        self.proxies.found = [synced("reviews-v1-1.default"), refusing("ratings-v1-1.default")]

    def api(self, name: str = "test", directory: str = "/run/lateen/test") -> Api:
        """Return the API of this mesh."""
        return Api(
            facts=MeshFacts(name=name, version="0.1.0", directory=directory, started_at=NOW - 60, pid=1),
            store=self.store,
            loop=self.loop,
            liveness=Liveness(
                self.store,
                self.loop,
                self.workloads.workload_rows,
                lambda: [str(status.proxy) for status in self.proxies.statuses()],
            ),
            workloads=self.workloads,
            proxies=self.proxies,
            origins=self.proxies,
            is_ready=lambda: self.is_ready,
            now=lambda: NOW,
        )


def workload(
    name: str, namespace: str = "default", *, is_ready: bool = True, log: str = "", admin_socket: str = ""
) -> WorkloadRow:
    """Build the row of an instance of the Deployment whose name comes before the last `-`."""
    app = name.partition("-")[0]
    container = ContainerRow(
        name=app, kind="app", state="running", ready=is_ready, started_at=NOW - 30, log=log or f"/nowhere/{app}.log"
    )
    return WorkloadRow(
        namespace=namespace,
        name=name,
        app=app,
        version="v1",
        address="10.244.1.1",
        ready="1/1" if is_ready else "0/1",
        is_ready=is_ready,
        status="Running" if is_ready else "CrashLoopBackOff",
        reason="" if is_ready else "exited with code 1",
        restarts=0 if is_ready else 4,
        created=NOW - 3700,
        owner=f"Deployment/{name.rpartition('-')[0]}",
        role="sidecar",
        containers=(container,),
        holder_pid=None,
        admin_socket=admin_socket,
    )


def synced(proxy: str) -> ProxyStatus:
    """Build the status of a proxy that has acknowledged everything."""
    types = tuple(ResourceStatus(short, State.SYNCED, 1, 1, 12.0) for short in ("CDS", "EDS", "LDS", "RDS"))
    return ProxyStatus(proxy, "class", 61.0, types)


def refusing(proxy: str) -> ProxyStatus:
    """Build the status of a proxy that refuses a route."""
    rejection = Rejection("9080", "v2", "no such cluster", 1, 2)
    route = ResourceStatus("RDS", State.ERROR, 2, 1, 3.0, "RDS was refused", (rejection,))
    return ProxyStatus(proxy, "class", 61.0, (ResourceStatus("CDS", State.STALE, 2, 1, 1.0), route))


def _key(proxy: str) -> WorkloadKey:
    name, _, namespace = proxy.rpartition(".")
    return WorkloadKey(namespace, name)
