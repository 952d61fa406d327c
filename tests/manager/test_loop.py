"""What the control loop brings to connected proxies, seen as the deltas that they are sent."""

import asyncio
from textwrap import dedent

import pytest

from lateen.api.changes import Change, Remove, Upsert
from lateen.api.decode import decode_yaml
from lateen.api.objects import ObjectKey
from lateen.errors import NotPermitted, ProtocolError
from lateen.manager.loop import ControlLoop
from lateen.manager.ports import NodeIdentity
from lateen.manager.pushes import Pushes
from lateen.manager.registrations import GRACE_SECONDS
from lateen.model.registry import PortKey
from lateen.model.view import ClassKey
from lateen.model.workload import HealthVerdict, Membership, Workload, WorkloadKey
from lateen.xds import order
from lateen.xds.events import Ack, Subscribe
from lateen.xds.versions import Delta

SERVICE = "{apiVersion: v1, kind: Service, metadata: {name: %s}, spec: {selector: {app: %s}, ports: [{name: http, port: 80, targetPort: 8080}]}}"
ROUTE = "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: web}, spec: {hosts: [web], http: [{timeout: %s, route: [{destination: {host: web}}]}]}}"
WEB_CLUSTER = "outbound|80||web.default.svc.cluster.local"
WEB = ObjectKey("networking.istio.io", "VirtualService", "default", "web")


def changes(*documents: str) -> list[Change]:
    decoded = decode_yaml("\n---\n".join(map(dedent, documents)), "test.yaml")
    assert not decoded.violations, list(map(str, decoded.violations))
    return [Upsert(item) for item in decoded.objects]


def workload(name: str, address: str, app: str, ready: bool = True) -> Workload:
    return Workload(WorkloadKey("default", name), address, {"app": app}, ready=ready)


class Envoy:
    """A proxy that takes everything it is sent at once, and remembers it."""

    def __init__(self, loop: ControlLoop, name: str) -> None:
        self.sent: list[Delta] = []
        self.held: dict[str, dict[str, str]] = {}
        self.closed = ""
        self.acknowledges = True
        node = NodeIdentity(f"sidecar~10.0.0.1~{name}.default~default.svc.cluster.local", "", {})
        self.connection = loop.connect(node, self)
        for url in (order.CLUSTER, order.LISTENER):
            self.connection.receive(Subscribe(url, (), (), {}))
        self.settle()

    def send(self, delta: Delta) -> None:
        self.sent.append(delta)

    def close(self, reason: str) -> None:
        self.closed = reason

    def settle(self) -> list[str]:
        """Acknowledge what came, ask for what it refers to; returns the names that came, with their type."""
        came: list[str] = []
        while self.sent and self.acknowledges:
            delta = self.sent.pop(0)
            short, held = order.type_of(delta.type_url).short, self.held.setdefault(delta.type_url, {})
            held.update({item.name: item.version for item in delta.resources})
            for name in delta.removed:
                held.pop(name, None)
            came += [f"{short} {item.name}" for item in delta.resources]
            came += [f"{short} -{name}" for name in delta.removed]
            self._ask_for_references(delta)
            self.connection.receive(Ack(delta.type_url, delta.nonce))
        return came

    def _ask_for_references(self, delta: Delta) -> None:
        names = tuple(item.name for item in delta.resources)
        if delta.type_url == order.CLUSTER:
            wanted = tuple(name for name in names if name.startswith("outbound|"))
            self.connection.receive(Subscribe(order.ENDPOINT, wanted, (), {}))
        elif delta.type_url == order.LISTENER and "0.0.0.0_80" in names:
            self.connection.receive(Subscribe(order.ROUTE, ("80",), (), {}))


@pytest.fixture
def loop() -> ControlLoop:
    made = ControlLoop(Pushes())
    made.submit(changes(SERVICE % ("web", "web"), SERVICE % ("api", "api")))
    made.report_workloads([workload("web-1", "10.0.0.7", "web"), workload("a", "10.0.0.1", "client")])
    made.report_workloads([workload("b", "10.0.0.2", "client"), workload("api-1", "10.0.0.8", "api")])
    return made


async def test_a_proxy_that_connects_gets_clusters_endpoints_listeners_and_routes(loop: ControlLoop) -> None:
    envoy = Envoy(loop, "a")
    assert WEB_CLUSTER in envoy.held[order.CLUSTER]
    assert WEB_CLUSTER in envoy.held[order.ENDPOINT]
    assert "80" in envoy.held[order.ROUTE]
    assert await loop.wait_settled(loop.generation, 1) == ()


async def test_an_endpoint_change_sends_one_load_assignment_and_nothing_else(loop: ControlLoop) -> None:
    envoy = Envoy(loop, "a")
    loop.report_workloads([workload("web-2", "10.0.0.9", "web")])
    loop.push()
    assert envoy.settle() == [f"EDS {WEB_CLUSTER}"]


async def test_a_route_change_sends_one_route_table_and_nothing_else(loop: ControlLoop) -> None:
    loop.submit(changes(ROUTE % "1s"))
    envoy = Envoy(loop, "a")
    loop.submit(changes(ROUTE % "2s"))
    loop.push()
    assert envoy.settle() == ["RDS 80"]


async def test_equal_proxies_are_sent_the_same_bytes_made_once(loop: ControlLoop) -> None:
    first, second = Envoy(loop, "a"), Envoy(loop, "b")
    assert first.connection.class_key == second.connection.class_key
    loop.submit(changes(ROUTE % "3s"))
    loop.push()
    assert first.sent[0] is second.sent[0]


async def test_an_object_that_nobody_sees_moves_nothing(loop: ControlLoop) -> None:
    envoy = Envoy(loop, "a")
    loop.submit(changes("{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {a: b}}"))
    loop.push()
    assert envoy.settle() == []
    assert await loop.wait_settled(loop.generation, 1) == ()


async def test_waiting_names_the_proxies_that_have_not_acknowledged(loop: ControlLoop) -> None:
    first, second = Envoy(loop, "a"), Envoy(loop, "b")
    second.acknowledges = False
    generation = loop.submit(changes(ROUTE % "4s"))
    loop.push()
    first.settle()
    assert await loop.wait_settled(generation, 0.01, loop.concerns(WEB)) == ("b.default",)
    waiting = asyncio.create_task(loop.wait_settled(generation, 5, loop.concerns(WEB)))
    await asyncio.sleep(0)
    second.acknowledges = True
    second.settle()
    assert await waiting == ()


async def test_a_service_that_comes_to_select_a_workload_moves_its_proxy_to_another_class(loop: ControlLoop) -> None:
    envoy = Envoy(loop, "a")
    before = envoy.connection.class_key
    loop.submit(changes(SERVICE % ("client", "client")))
    loop.push()
    assert envoy.connection.class_key != before
    assert "LDS virtualInbound" in envoy.settle()


async def test_removing_a_service_takes_listeners_and_routes_before_its_cluster(loop: ControlLoop) -> None:
    envoy = Envoy(loop, "a")
    loop.submit([Remove(ObjectKey("", "Service", "default", "web"))])
    loop.push()
    came = envoy.settle()
    assert came.index("RDS 80") < came.index(f"CDS -{WEB_CLUSTER}")


@pytest.mark.parametrize(
    ("node", "error", "message"),
    [
        ("who", ProtocolError, "must be of the form"),
        ("sidecar~10.0.0.1~stranger.default~default.svc.cluster.local", NotPermitted, "no workload of this mesh"),
    ],
)
def test_strangers_are_turned_away(loop: ControlLoop, node: str, error: type[Exception], message: str) -> None:
    outlet = object.__new__(Envoy)
    with pytest.raises(error, match=message):
        loop.connect(NodeIdentity(node, "", {}), outlet)


def test_a_proxy_is_what_its_certificate_says(loop: ControlLoop) -> None:
    loop.push()
    web = WorkloadKey("default", "web-1")
    node = NodeIdentity(f"sidecar~10.0.0.1~{web}~{web.namespace}.svc.cluster.local", "", {})
    outlet = object.__new__(Envoy)
    stranger = WorkloadKey(web.namespace, "another")
    with pytest.raises(NotPermitted, match=f"{stranger} says that it is {web}"):
        loop.connect(node, outlet, stranger)
    assert loop.connect(node, outlet, web).proxy == str(web)


async def test_virtual_addresses_are_the_same_after_a_restart(loop: ControlLoop) -> None:
    loop.push()
    successor = ControlLoop(Pushes())
    successor.remember_addresses(loop.addresses)
    successor.submit(changes(SERVICE % ("zzz", "z"), SERVICE % ("web", "web"), SERVICE % ("api", "api")))
    successor.push()
    assert {host: successor.addresses[host] for host in loop.addresses} == loop.addresses


async def test_the_objects_behind_a_resource_can_be_named(loop: ControlLoop) -> None:
    loop.submit(changes(ROUTE % "1s"))
    Envoy(loop, "a")
    assert WEB in loop.origins("a.default", "RDS", "80")
    assert str(loop.origins("a.default", "CDS", WEB_CLUSTER)[0]) == "Service default/web"


async def test_what_is_doubtful_about_an_object_is_told_once_it_was_pushed(loop: ControlLoop) -> None:
    Envoy(loop, "a")
    dangling = (ROUTE % "1s").replace("{host: web}", "{host: web, subset: v9}")
    generation = loop.submit(changes(dangling))
    asking = asyncio.create_task(loop.findings(generation))
    await asyncio.sleep(0)
    loop.push()
    found = [doubt for doubt in await asking if doubt.origin.path == "spec.http[0].route[0].destination"]
    assert [(doubt.origin.key, "subset v9" in doubt.message) for doubt in found] == [(WEB, True)]


async def test_what_comes_in_and_what_it_leads_to_is_measured() -> None:
    now = [100.0]
    loop = ControlLoop(Pushes(), lambda: now[0])
    loop.submit(Upsert(item) for item in decode_yaml(SERVICE % ("web", "web")).objects)
    now[0] += 0.5
    loop.report_workloads([Workload(WorkloadKey("default", "web-1"), "10.0.0.1")])
    loop.push()
    told = [line for each in loop.meters.instruments for line in each.family().lines if "_bucket{" not in line]
    assert told == [
        'pilot_inbound_updates{type="config"} 1',
        'pilot_inbound_updates{type="endpoint"} 1',
        'pilot_push_triggers{type="config"} 1',
        'pilot_push_triggers{type="endpoint"} 1',
        "pilot_debounce_time_sum 0.5",
        "pilot_debounce_time_count 1",
        "lateen_push_duration_seconds_sum 0.0",
        "lateen_push_duration_seconds_count 1",
    ]


GROUP = "{apiVersion: networking.istio.io/v1, kind: WorkloadGroup, metadata: {name: vms}, spec: {metadata: {labels: {app: web}}, template: {ports: {http: 9000}}, probe: {tcpSocket: {port: 9000}}}}"
GROUP_KEY = ObjectKey("networking.istio.io", "WorkloadGroup", "default", "vms")


def vm(verdict: HealthVerdict | None = None) -> Workload:
    return Workload(WorkloadKey("default", "vm-1"), "10.0.0.20", membership=Membership("vms", verdict))


def web_endpoints(loop: ControlLoop) -> list[tuple[str, int]]:
    found = loop.snapshot.endpoints[PortKey("web.default.svc.cluster.local", 80)]
    return [(one.address, one.port) for one in found]


async def test_a_member_s_proxy_is_registered_before_it_is_placed(loop: ControlLoop) -> None:
    loop.submit(changes(GROUP))
    loop.report_workloads([vm(HealthVerdict(True, 1.0))])
    loop.push()
    assert web_endpoints(loop) == [("10.0.0.7", 8080)]
    envoy = Envoy(loop, "vm-1")
    assert [entry.object.name for entry in loop.entries()] == ["vms-10.0.0.20"]
    assert web_endpoints(loop) == [("10.0.0.20", 9000), ("10.0.0.7", 8080)]
    # it is one of the web's servers from its first configuration on
    assert isinstance(envoy.connection.class_key, ClassKey)
    assert [port.number for port in envoy.connection.class_key.own_ports] == [9000]


async def test_health_moves_one_load_assignment_and_nothing_else(loop: ControlLoop) -> None:
    loop.submit(changes(GROUP))
    loop.report_workloads([vm(HealthVerdict(True, 1.0))])
    Envoy(loop, "vm-1")
    envoy = Envoy(loop, "a")
    for verdict in (HealthVerdict(False, 2.0), HealthVerdict(True, 3.0)):
        loop.report_workloads([vm(verdict)])
        loop.push()
        assert envoy.settle() == [f"EDS {WEB_CLUSTER}"]


async def test_a_group_that_comes_later_registers_and_moves_proxies_that_are_connected(loop: ControlLoop) -> None:
    loop.report_workloads([vm(HealthVerdict(True, 1.0))])
    envoy = Envoy(loop, "vm-1")
    before = envoy.connection.class_key
    loop.submit(changes(GROUP))
    loop.push()
    assert "LDS virtualInbound" in envoy.settle()
    assert envoy.connection.class_key != before
    assert ("10.0.0.20", 9000) in web_endpoints(loop)
    assert await loop.wait_settled(loop.generation, 1) == ()
    loop.submit([Remove(GROUP_KEY)])
    loop.push()
    envoy.settle()
    assert envoy.connection.class_key == before
    assert web_endpoints(loop) == [("10.0.0.7", 8080)]


async def test_an_entry_goes_when_its_proxy_stays_away() -> None:
    now = [100.0]
    loop = ControlLoop(Pushes(), lambda: now[0])
    loop.submit(changes(SERVICE % ("web", "web"), GROUP))
    loop.report_workloads([vm(HealthVerdict(True, 1.0))])
    envoy = Envoy(loop, "vm-1")
    loop.disconnect(envoy.connection)
    running = asyncio.create_task(loop.run())
    assert web_endpoints(loop) == [("10.0.0.20", 9000)]
    now[0] += GRACE_SECONDS
    async with asyncio.timeout(10):
        while loop.entries():
            await asyncio.sleep(0.05)
        while web_endpoints(loop):
            await asyncio.sleep(0.05)
    running.cancel()
    assert len(loop.snapshot.workloads) == 1
