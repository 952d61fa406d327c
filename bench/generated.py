"""A mesh of made-up services behind the real control loop: from an accepted change to what proxies are sent."""

from collections.abc import Iterator, Mapping
from typing import Any

from lateen import names
from lateen.api.changes import Upsert
from lateen.api.decode import decode_mapping
from lateen.manager.loop import ControlLoop
from lateen.manager.ports import NodeIdentity
from lateen.manager.pushes import Connection, Outlet, Pushes
from lateen.model.workload import Workload, WorkloadKey

NAMESPACES = 10
PORT = 9080


def upserts(document: Mapping[str, Any]) -> Iterator[Upsert]:
    """Decode one document, which must be right."""
    decoded = decode_mapping(document)
    if decoded.violations:
        raise ValueError(str(decoded.violations[0]))
    return map(Upsert, decoded.objects)


def service_name(number: int) -> str:
    return f"service-{number:04}"


def namespace(number: int) -> str:
    return f"namespace-{number % NAMESPACES}"


def service(number: int) -> Iterator[Upsert]:
    name = service_name(number)
    spec = {"selector": {"app": name}, "ports": [{"name": "http", "port": PORT, "targetPort": 8080}]}
    metadata = {"name": name, "namespace": namespace(number)}
    return upserts({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})


def weights(number: int, share: int) -> Iterator[Upsert]:
    """A rule that sends a share of a service's requests to the next one; it concerns every proxy of the mesh."""
    name, other = service_name(number), names.service_host(service_name(number + 1), namespace(number + 1))
    route = [
        {"destination": {"host": name}, "weight": 100 - share},
        {"destination": {"host": other}, "weight": share},
    ]
    spec = {"hosts": [name], "http": [{"route": route}]}
    metadata = {"name": name, "namespace": namespace(number)}
    document = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": metadata, "spec": spec}
    return upserts(document)


def instance(number: int, index: int, *, ready: bool = True) -> Workload:
    """One workload of a service; one that is not ready has a proxy and gets no traffic."""
    name = service_name(number)
    address = f"10.{1 + index // 250}.{number // 250}.{number % 250}" if ready else "10.99.0.1"
    key = WorkloadKey(namespace(number), f"{name}-{index}")
    return Workload(key, address, {"app": name, "version": f"v{index % 3}"}, ready=ready)


class GeneratedMesh:
    """`services` services with `addresses` endpoints each; proxies of the first `classes` services are the clients."""

    def __init__(self, services: int, addresses: int, classes: int) -> None:
        self.pushes = Pushes()
        self._services = services
        self._classes = classes
        self._addresses = addresses
        self._loop = ControlLoop(self.pushes)
        for number in range(services):
            self._loop.submit(service(number))
        self._loop.submit(weights(0, 10))
        self._loop.report_workloads(instance(number, index) for number in range(services) for index in range(addresses))
        self._loop.push()

    def connect(self, node: NodeIdentity, outlet: Outlet, peer: WorkloadKey | None = None) -> Connection:
        return self._loop.connect(node, outlet, peer)

    def disconnect(self, connection: Connection) -> None:
        self._loop.disconnect(connection)

    def nodes(self, count: int) -> list[Mapping[str, Any]]:
        """Describe `count` proxies, spread over the classes: workloads that wait for their readiness."""
        waiting = [instance(index % self._classes, 1000 + index, ready=False) for index in range(count)]
        self._loop.report_workloads(waiting)
        self._loop.push()
        return [
            {
                "node": {"id": str(names.NodeId("sidecar", each.address, each.key.name, each.key.namespace))},
                "class": each.labels["app"],
            }
            for each in waiting
        ]

    def publish(self, change: str, step: int) -> int:
        """Make a change and push it; return its generation."""
        if change == "endpoint":
            number = self._classes + step % (self._services - self._classes)
            generation = self._loop.report_workloads([instance(number, self._addresses + step)])
        elif change == "route":
            generation = self._loop.submit(weights(0, 10 + step % 80))
        else:
            raise ValueError(f"no change {change!r}: expected endpoint or route")
        self._loop.push()
        return generation
