"""A made-up mesh of the size that the targets speak of, without a control loop: it measures pushing alone."""

from collections.abc import Mapping
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from google.protobuf.json_format import ParseDict

from lateen.envoy import framing
from lateen.manager.ports import NodeIdentity
from lateen.manager.pushes import Connection, Outlet, Pushes
from lateen.xds import order
from lateen.xds.resources import Resource

ADS = {"ads": {}, "resource_api_version": "V3"}


def cluster_name(number: int) -> str:
    return f"outbound|9080||service-{number:04}.default.svc.cluster.local"


def resource(url: str, name: str, message: Any) -> Resource:
    body = message.SerializeToString(deterministic=True)
    version = framing.version(body)
    return Resource(name, version, framing.frame(name, url, version, body))


def cluster(number: int) -> Resource:
    name = cluster_name(number)
    thresholds = {
        "max_connections": 4294967295,
        "max_pending_requests": 4294967295,
        "max_requests": 4294967295,
        "max_retries": 99,
    }
    service = {"host": name, "name": f"service-{number:04}", "namespace": "default", "note": "x" * 300}
    content = {
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": ADS},
        "connect_timeout": "10s",
        "lb_policy": "LEAST_REQUEST",
        "circuit_breakers": {"thresholds": [thresholds]},
        "metadata": {"filter_metadata": {"lateen": {"services": [service]}}},
    }
    return resource(order.CLUSTER, name, ParseDict(content, cluster_pb2.Cluster()))


def endpoints(number: int, addresses: int, first: int = 0) -> Resource:
    name = cluster_name(number)
    assignment = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    locality = assignment.endpoints.add()
    locality.locality.region, locality.locality.zone = "local", "a"
    locality.load_balancing_weight.value = addresses
    for index in range(first, first + addresses):
        added = locality.lb_endpoints.add()
        address = added.endpoint.address.socket_address
        address.address = f"10.{244 + number % 4}.{number % 250}.{index % 250}"
        address.port_value = 9080
        added.load_balancing_weight.value = 1
    return resource(order.ENDPOINT, name, assignment)


def listener(name: str, port: int, route: str, kind: str) -> Resource:
    manager = http_connection_manager_pb2.HttpConnectionManager(stat_prefix=kind)
    manager.rds.route_config_name = route
    manager.rds.config_source.ads.SetInParent()
    made = listener_pb2.Listener(name=name)
    made.address.socket_address.address = "0.0.0.0"
    made.address.socket_address.port_value = port
    made.filter_chains.add().filters.add(name="http").typed_config.Pack(manager)
    return resource(order.LISTENER, name, made)


def routes(name: str, services: int, changed: Mapping[int, int]) -> Resource:
    """One virtual host a service; `changed` gives the weight of a few."""
    table = route_pb2.RouteConfiguration(name=name)
    for number in range(services):
        host = f"service-{number:04}.default.svc.cluster.local"
        aliases = [
            host,
            f"{host}:9080",
            f"service-{number:04}",
            f"service-{number:04}:9080",
            f"service-{number:04}.default",
            f"service-{number:04}.default:9080",
            f"service-{number:04}.default.svc",
        ]
        virtual_host = table.virtual_hosts.add(name=f"{host}:9080", domains=aliases)
        route = virtual_host.routes.add(name="default")
        route.match.prefix = "/"
        route.decorator.operation = f"{host}:9080/*"
        target = route.route.weighted_clusters.clusters.add(name=cluster_name(number))
        target.weight.value = changed.get(number, 100)
    return resource(order.ROUTE, name, table)


class SyntheticMesh:
    """`services` services, their proxies in `classes` classes that differ in their listeners."""

    def __init__(self, services: int, addresses: int, classes: int) -> None:
        self.pushes = Pushes()
        self._services = services
        self._addresses = addresses
        self._generation = 1
        self._weights: dict[int, int] = {}
        clusters = map(cluster, range(services))
        assignments = (endpoints(number, addresses) for number in range(services))
        self._shared = {
            order.CLUSTER: {item.name: item for item in clusters},
            order.ENDPOINT: {item.name: item for item in assignments},
            order.ROUTE: {"9080": routes("9080", services, {})},
        }
        self._listeners = {
            kind: {name: listener(name, 9000 + index, "9080", kind) for index, name in enumerate(names)}
            for kind in (f"class-{number}" for number in range(classes))
            for names in [[f"listener-{index}" for index in range(20)]]
        }
        self._publish()

    # What the server wants of a mesh

    def connect(self, node: NodeIdentity, outlet: Outlet) -> Connection:
        connection = self.pushes.connect(node.id, outlet)
        self.pushes.place(connection, node.cluster)
        return connection

    def disconnect(self, connection: Connection) -> None:
        self.pushes.disconnect(connection)

    def nodes(self, count: int) -> list[Mapping[str, Any]]:
        """Describe `count` proxies, spread over the classes."""
        kinds = list(self._listeners)
        return [
            {"node": {"id": f"proxy-{index}", "cluster": kinds[index % len(kinds)]}, "class": kinds[index % len(kinds)]}
            for index in range(count)
        ]

    def publish(self, change: str, step: int) -> int:
        """Make a change and push it; return its generation. The steps of a kind of change differ from each other."""
        self._generation += 1
        if change == "endpoint":
            self._change_endpoint(step)
        elif change == "route":
            self._weights[step % self._services] = 1 + step % 99
            self._shared[order.ROUTE] = {"9080": routes("9080", self._services, self._weights)}
            self._publish()
        else:
            raise ValueError(f"no change {change!r}: expected endpoint or route")
        return self._generation

    def _change_endpoint(self, step: int) -> None:
        number = step % self._services
        made = endpoints(number, self._addresses + 1 - step % 2, first=1 + step % 7)
        self._shared[order.ENDPOINT] = {**self._shared[order.ENDPOINT], made.name: made}
        self.pushes.publish_endpoints(self._listeners, {made.name: made}, self._generation)

    def _publish(self) -> None:
        for kind, listeners in self._listeners.items():
            self.pushes.publish(kind, {**self._shared, order.LISTENER: listeners}, self._generation)
