"""The only composer and parser of names on the wire.

The forms are Istio's, because dashboards, scripts and people know them:
`outbound|9080|v1|reviews.default.svc.cluster.local`, `inbound|9080||`, `sidecar~10.0.0.1~pod.ns~ns.svc.cluster.local`.
"""

from dataclasses import dataclass
from typing import Final, Literal

PASSTHROUGH_CLUSTER: Final = "PassthroughCluster"
BLACK_HOLE_CLUSTER: Final = "BlackHoleCluster"
INBOUND_PASSTHROUGH_CLUSTER: Final = "InboundPassthroughCluster"
VIRTUAL_OUTBOUND: Final = "virtualOutbound"
VIRTUAL_INBOUND: Final = "virtualInbound"
DNS_LISTENER: Final = "dns"
ALLOW_ANY: Final = "allow_any"
BLOCK_ALL: Final = "block_all"

DEFAULT_DOMAIN: Final = "cluster.local"

PROXY_SOCKET_MARK: Final = 1337
"""The mark on the proxies' own connections, which keeps them from being captured."""

Direction = Literal["outbound", "inbound"]
ROLES: Final = ("sidecar", "router", "waypoint")


@dataclass(frozen=True, slots=True)
class ClusterName:
    """The parts of a cluster's name; `str()` composes it again."""

    direction: Direction
    port: int
    subset: str
    host: str

    def __str__(self) -> str:
        return f"{self.direction}|{self.port}|{self.subset}|{self.host}"


def outbound_cluster(host: str, port: int, subset: str = "") -> str:
    """Compose the name of the cluster that carries traffic to a service's port, or to one subset of it."""
    return f"outbound|{port}|{subset}|{host}"


def inbound_cluster(port: int) -> str:
    """Compose the name of the cluster that carries traffic into the workload's own port."""
    return f"inbound|{port}||"


def parse_cluster(name: str) -> ClusterName | None:
    """Take a cluster's name apart; None for names of another form, such as `PassthroughCluster`."""
    parts = name.split("|")
    if len(parts) != 4 or not parts[1].isdecimal():
        return None
    directions: dict[str, Direction] = {"outbound": "outbound", "inbound": "inbound"}
    direction = directions.get(parts[0])
    return ClusterName(direction, int(parts[1]), parts[2], parts[3]) if direction else None


def service_host(name: str, namespace: str, domain: str = DEFAULT_DOMAIN) -> str:
    """Compose a Kubernetes Service's fully qualified host."""
    return f"{name}.{namespace}.svc.{domain}"


def qualified_host(host: str, namespace: str, domain: str = DEFAULT_DOMAIN) -> str:
    """Resolve a host as written in a rule of `namespace`: a name without dots is a Service of that namespace."""
    if "." in host or host.startswith("*"):
        return host
    return service_host(host, namespace, domain)


def host_aliases(host: str, client_namespace: str, domain: str = DEFAULT_DOMAIN) -> tuple[str, ...]:
    """List the names under which a client of a namespace may call `host`, the full one first.

    `reviews.default.svc.cluster.local` is also `reviews.default.svc` and `reviews.default`, and for clients of the
    namespace `default` it is `reviews`.
    """
    suffix = f".svc.{domain}"
    if not host.endswith(suffix):
        return (host,)
    short = host.removesuffix(suffix)
    name, _, namespace = short.rpartition(".")
    if not name:
        return (host,)
    aliases = (host, f"{short}.svc", short)
    return (*aliases, name) if namespace == client_namespace else aliases


def virtual_host(host: str, port: int) -> str:
    """Compose a virtual host's name."""
    return f"{host}:{port}"


def http_route_table(port: int) -> str:
    """Compose the name of a sidecar's route configuration for all HTTP services of a port."""
    return str(port)


def sniffed_route_table(host: str, port: int) -> str:
    """Compose the name of the route configuration of one service whose protocol is detected."""
    return f"{host}:{port}"


def gateway_route_table(port: int) -> str:
    """Compose the name of a gateway's route configuration for a plaintext HTTP port."""
    return f"http.{port}"


def listener(address: str, port: int) -> str:
    """Compose the name of an outbound or gateway listener."""
    return f"{address}_{port}"


@dataclass(frozen=True, slots=True)
class NodeId:
    """Who an Envoy says it is: `role~address~workload.namespace~namespace.svc.domain`."""

    role: str
    address: str
    workload: str
    namespace: str
    domain: str = DEFAULT_DOMAIN

    def __str__(self) -> str:
        return f"{self.role}~{self.address}~{self.workload}.{self.namespace}~{self.namespace}.svc.{self.domain}"

    @property
    def proxy(self) -> str:
        """The proxy's name for people: `workload.namespace`."""
        return f"{self.workload}.{self.namespace}"


def parse_node_id(text: str) -> NodeId | None:
    """Take a node id apart; None when it is not of the form."""
    parts = text.split("~")
    if len(parts) != 4 or parts[0] not in ROLES:
        return None
    workload, _, namespace = parts[2].rpartition(".")
    prefix = f"{namespace}.svc."
    if not workload or not namespace or not parts[3].startswith(prefix):
        return None
    return NodeId(parts[0], parts[1], workload, namespace, parts[3].removeprefix(prefix))
