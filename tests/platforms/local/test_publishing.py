"""Published ports: which, under which number, and what happens when somebody else has it."""

from lateen.api.config_set import ConfigSet
from lateen.api.decode import decode_yaml
from lateen.model.workload import Workload, WorkloadKey
from lateen.platforms.local.protocol import Failure, PortOutcome, PublishedPort
from lateen.platforms.local.publishing import HostPorts, wanted_publications

GATEWAY = """
apiVersion: v1
kind: Service
metadata: {name: ingress}
spec:
  type: LoadBalancer
  selector: {istio: ingress}
  ports:
  - {name: status-port, port: 15021}
  - {name: http2, port: 80, targetPort: 8080}
  - {name: https, port: 443, targetPort: tls}
  - {name: tcp-db, port: 5432, nodePort: 31000}
---
apiVersion: v1
kind: Service
metadata: {name: inner}
spec: {selector: {istio: ingress}, ports: [{port: 80}]}
"""
CONFIG = ConfigSet(decode_yaml(GATEWAY).objects)


class Host:
    """Opens ports except those that somebody else has."""

    def __init__(self, *taken: int) -> None:
        self._taken = taken
        self.open: tuple[PublishedPort, ...] = ()

    async def set_published_ports(self, ports: tuple[PublishedPort, ...]) -> tuple[PortOutcome, ...]:
        self.open = tuple(port for port in ports if port.host_port not in self._taken)
        return tuple(
            PortOutcome(host_address=port.host_address, host_port=port.host_port, failure=self._failure(port))
            for port in ports
        )

    def _failure(self, port: PublishedPort) -> Failure | None:
        return None if port in self.open else Failure(code="address_in_use", message="taken")


def gateway(number: int, ready: bool = True) -> Workload:
    labels = {"istio": "ingress"}
    key = WorkloadKey("default", f"ingress-{number}")
    return Workload(key, f"10.244.1.{number}", labels, ports={"tls": 8443}, ready=ready)


def test_ports_of_load_balancers_with_their_ready_endpoints() -> None:
    wanted = wanted_publications(CONFIG, [gateway(1), gateway(2, ready=False)])
    assert [(each.port, each.preferred, each.scheme, each.targets) for each in wanted] == [
        (80, 8080, "http", ("10.244.1.1:8080",)),
        (443, 8443, "https", ("10.244.1.1:8443",)),
        (5432, 31000, "tcp", ("10.244.1.1:5432",)),
    ]


async def test_a_taken_port_makes_way_to_the_next_and_is_remembered() -> None:
    host = Host(8080, 8081)
    ports = HostPorts(host, {})
    assert await ports.publish(wanted_publications(CONFIG, [gateway(1)]))
    assert [row.url for row in ports.rows] == [
        "http://localhost:8082",
        "https://localhost:8443",
        "tcp://localhost:31000",
    ]
    assert ports.given["default/ingress:80"] == 8082
    again = HostPorts(Host(), ports.given)
    await again.publish(wanted_publications(CONFIG, [gateway(1)]))
    assert again.rows[0].host_port == 8082


async def test_the_same_wish_is_not_asked_twice() -> None:
    ports = HostPorts(Host(), {})
    wanted = wanted_publications(CONFIG, [gateway(1)])
    assert [await ports.publish(wanted), await ports.publish(wanted)] == [True, False]


async def test_a_host_without_any_free_port_is_said() -> None:
    ports = HostPorts(Host(*range(8000, 9000)), {})
    await ports.publish(wanted_publications(CONFIG, [])[:1])
    assert ports.rows[0].error == "no free port from 8080 on"
