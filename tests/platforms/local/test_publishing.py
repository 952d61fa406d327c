"""Published ports: which, under which number, and what happens when somebody else has it."""

from lateen.api.config_set import ConfigSet
from lateen.api.decode import decode_yaml
from lateen.model.workload import Workload, WorkloadKey
from lateen.platforms.local.protocol import Failure, PortOutcome, PublishedPort
from lateen.platforms.local.publishing import HostPorts, metrics_publication, wanted_publications

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


TOLD = """
apiVersion: mesh.istio.io/v1alpha1
kind: MeshConfig
metadata: {name: mesh, namespace: istio-system}
spec: {defaultConfig: {gatewayTopology: {proxyProtocol: {}}}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: door}
spec: {selector: {istio: ingress}, servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {type: NodePort, selector: {app: a}, ports: [{name: http, port: 8090}]}
"""


def test_only_gateways_are_told_who_their_clients_are() -> None:
    app = Workload(WorkloadKey("default", "a"), "10.244.1.9", {"app": "a"})
    found = wanted_publications(ConfigSet(decode_yaml(f"{GATEWAY}---{TOLD}").objects), [gateway(1), app])
    assert {each.service: each.tells_client for each in found} == {"ingress": True, "app": False}
    assert not any(each.tells_client for each in wanted_publications(CONFIG, [gateway(1), app]))


def test_without_a_ready_gateway_nobody_is_told() -> None:
    config = ConfigSet(decode_yaml(f"{GATEWAY}---{TOLD}").objects)
    assert not any(each.tells_client for each in wanted_publications(config, [gateway(1, ready=False)]))


async def test_the_mesh_s_metrics_are_published_at_the_same_number_or_the_next_free_one() -> None:
    door = metrics_publication(15014)
    ports = HostPorts(Host(15014), {})
    await ports.publish((door,))
    assert [(row.service, row.namespace, row.url) for row in ports.rows] == [
        ("istiod", "istio-system", "http://localhost:15015")
    ]
    assert door.targets == ("127.0.0.1:15014",)


def test_ports_of_gateways_that_speak_http3_are_opened_for_udp_too() -> None:
    text = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: site, annotations: {lateen.dev/http3: "true"}}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 443, name: a, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: a}}
  - {port: {number: 80, name: b, protocol: HTTP}, hosts: ["*"]}
---
apiVersion: v1
kind: Service
metadata: {name: door}
spec:
  type: LoadBalancer
  selector: {istio: ingressgateway}
  ports: [{name: https, port: 443, targetPort: 8443}, {name: http, port: 80}]
"""
    config = ConfigSet(decode_yaml(text, "edge.yaml").objects)
    door = Workload(WorkloadKey("default", "door"), "10.244.1.1", {"istio": "ingressgateway"}, ready=True)
    assert [(one.port, one.speaks_http3) for one in wanted_publications(config, [door])] == [(443, True), (80, False)]
