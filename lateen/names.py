"""The only composer and parser of names on the wire.

The forms are Istio's, because dashboards, scripts and people know them:
`outbound|9080|v1|reviews.default.svc.cluster.local`, `inbound|9080||`, `sidecar~10.0.0.1~pod.ns~ns.svc.cluster.local`.
"""

import re
from dataclasses import dataclass, fields
from typing import Final, Literal

PASSTHROUGH_CLUSTER: Final = "PassthroughCluster"
BLACK_HOLE_CLUSTER: Final = "BlackHoleCluster"
DYNAMIC_DNS_CLUSTER: Final = "AllowAnyDynamicDNSCluster"
INBOUND_PASSTHROUGH_CLUSTER: Final = "InboundPassthroughCluster"
LOCAL_CLUSTER: Final = "local_cluster"
"""The replicas of a workload as its own proxy knows them, to compare where they are with where others are."""

VIRTUAL_OUTBOUND: Final = "virtualOutbound"
VIRTUAL_INBOUND: Final = "virtualInbound"
DNS_LISTENER: Final = "dns"
ALLOW_ANY: Final = "allow_any"
BLOCK_ALL: Final = "block_all"

DEFAULT_DOMAIN: Final = "cluster.local"

SDS_CLUSTER: Final = "sds-grpc"
MIXER_CLUSTER: Final = "lateen-mixer"
TRACES_CLUSTER: Final = "lateen-traces"
METRICS_CLUSTER: Final = "lateen-metrics"
RATE_LIMIT_DOMAIN: Final = "lateen"
WORKLOAD_SECRET: Final = "default"  # noqa: S105 -- a name
ROOT_SECRET: Final = "ROOTCA"  # noqa: S105 -- a name
"""Where a proxy gets its workload's certificate and the roots to check others by, and their names there."""
OWN_ROOT_SECRET: Final = "OWNROOTCA"  # noqa: S105 -- a name
"""The roots of the mesh's own trust domain alone: nobody else's may vouch for the control plane."""

PROXY_SOCKET_MARK: Final = 1337
"""The mark on the proxies' own connections, which keeps them from being captured."""

AUTHORITY_SUFFIX: Final = "-cacert"

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


def policies(place: str) -> str:
    """Compose the name of the resource with the filters that policies come to, for one port of a proxy."""
    return f"policies|{place}"


def parse_cluster(name: str) -> ClusterName | None:
    """Take a cluster's name apart; None for names of another form, such as `PassthroughCluster`."""
    parts = name.split("|")
    if len(parts) != 4 or not parts[1].isdecimal():
        return None
    directions: dict[str, Direction] = {"outbound": "outbound", "inbound": "inbound"}
    direction = directions.get(parts[0])
    return ClusterName(direction, int(parts[1]), parts[2], parts[3]) if direction else None


def mesh_server_name(host: str, port: int, subset: str = "") -> str:
    """Compose the server name by which the mesh's TLS says where a connection is going: the cluster's, DNS-like."""
    return f"outbound_.{port}_.{subset}_.{host}"


_CREDENTIAL_SCHEME: Final = "kubernetes://"


def credential(name: str) -> str:
    """Compose the name of the secret with the certificate and key of a Kubernetes Secret."""
    return f"{_CREDENTIAL_SCHEME}{secret_of_credential(name)}"


def credential_authority(name: str) -> str:
    """Compose the name of the secret with the authority certificate of a Kubernetes Secret."""
    return f"{credential(name)}{AUTHORITY_SUFFIX}"


def secret_of_credential(name: str) -> str:
    """Return the name of the Kubernetes Secret that a `credentialName` means; it may be written as `kubernetes://NAME`."""
    return name.removeprefix(_CREDENTIAL_SCHEME)


def certificate_files(certificate: str, key: str) -> str:
    """Compose the name of the secret with a certificate and a key that a proxy reads from files."""
    return f"file-cert:{certificate}~{key}"


def authority_files(certificates: str, revocations: str = "") -> str:
    """Compose the name of the secret with authorities, and what they have revoked, that a proxy reads from files."""
    return f"file-root:{certificates}" + (f"~{revocations}" if revocations else "")


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
    return (*aliases, name) if namespace == client_namespace and name != "*" else aliases


def virtual_host(host: str, port: int) -> str:
    """Compose a virtual host's name."""
    return f"{host}:{port}"


HTTP_PROXY_TABLE: Final = "http_proxy"
"""The name of the route configuration of the port at which a sidecar is an HTTP proxy."""


def http_route_table(port: int) -> str:
    """Compose the name of a sidecar's route configuration for all HTTP services of a port."""
    return str(port)


def sniffed_route_table(host: str, port: int) -> str:
    """Compose the name of the route configuration of one service whose protocol is detected."""
    return f"{host}:{port}"


def gateway_route_table(port: int, socket: str = "") -> str:
    """Compose the name of a gateway's route configuration for a plaintext HTTP port, or for a socket."""
    return f"http.{port}|{socket}" if socket else f"http.{port}"


def gateway_tls_route_table(port: int, port_name: str, gateway: str, namespace: str) -> str:
    """Compose the name of the route configuration of one HTTPS server of a gateway."""
    return f"https.{port}.{port_name}.{gateway}.{namespace}"


def listener(address: str, port: int) -> str:
    """Compose the name of an outbound or gateway listener."""
    return f"{address}_{port}"


def quic_listener(address: str, port: int) -> str:
    """Compose the name of a gateway's listener for HTTP/3, which is on a port of UDP."""
    return f"udp_{listener(address, port)}"


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


_SPIFFE: Final = re.compile(r"spiffe://([a-z0-9._-]{1,255})/ns/([A-Za-z0-9._-]+)/sa/([A-Za-z0-9._-]+)")
_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9]([a-z0-9._-]{0,253}[a-z0-9])?")
_LONGEST_SPIFFE_ID: Final = 2048


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """Who a workload is: the service account it runs as, in a trust domain. `str()` composes its SPIFFE id."""

    trust_domain: str
    namespace: str
    service_account: str

    def __str__(self) -> str:
        return f"spiffe://{self.principal}"

    @property
    def principal(self) -> str:
        """The identity as authorization policies write it: the SPIFFE id without its scheme."""
        return f"{self.trust_domain}/ns/{self.namespace}/sa/{self.service_account}"


def parse_identity(text: str) -> Identity | None:
    """Take a SPIFFE id apart; None when it is no id of a service account, or not a well-formed one."""
    match = _SPIFFE.fullmatch(text)
    if match is None or len(text) > _LONGEST_SPIFFE_ID or not is_trust_domain(match[1]):
        return None
    return None if {match[2], match[3]} & {".", ".."} else Identity(match[1], match[2], match[3])


def is_trust_domain(text: str) -> bool:
    """Tell whether a text can be a trust domain: lower-case letters, digits, dots, dashes, underscores; at most 255."""
    return _TRUST_DOMAIN.fullmatch(text) is not None and ".." not in text


CERTIFICATE_DOMAIN: Final = "lateen.internal"
CONTROL_PLANE_NAMESPACE: Final = "istio-system"
CONTROL_PLANE_ACCOUNT: Final = "istiod"
CONTROL_PLANE_HOST: Final = "istiod.istio-system.svc"
OWNER_ACCOUNT: Final = "lateen-owner"
OWNER_HOST: Final = f"owner.{CERTIFICATE_DOMAIN}"
"""Who the control plane is, and who may ask its API. The hosts are in their certificates and in nobody else's, so that
a workload which runs as one of these accounts is still neither of them."""
_INSTANCE_SUFFIX: Final = f".pod.{CERTIFICATE_DOMAIN}"
_PEER_SUFFIX: Final = f".peer.{CERTIFICATE_DOMAIN}"
UNKNOWN: Final = "unknown"
LATEST: Final = "latest"
MESH_CLUSTER: Final = "Kubernetes"
"""The cluster of machines that everything runs in, by Istio's default name."""
OWN_METADATA: Final = "lateen"
"""The metadata of clusters and endpoints that our telemetry reads."""
_ESCAPED: Final = re.compile(rb"[^A-Za-z0-9_.-]|-(?![A-Za-z0-9_])|^-|^\.|\.(?![A-Za-z0-9_])")
_ESCAPE: Final = re.compile(rb"--([0-9a-f]{2})")
_PEER_PARTS: Final = ("x--a", "x--v", "x--s", "x--r", "x--i")
"""The labels between the parts of a peer's name: no part has `--` in it but in front of two digits."""
_PEER: Final = re.compile("(.+)".join(("", *(f"[.]{part}[.]" for part in _PEER_PARTS), re.escape(_PEER_SUFFIX))))


def instance_name(workload: str, namespace: str) -> str:
    """Compose the DNS name by which a certificate says which workload instance holds it."""
    return f"{workload}.{namespace}{_INSTANCE_SUFFIX}"


def parse_instance_name(name: str) -> tuple[str, str] | None:
    """Return the workload and namespace in a certificate's DNS name; None for names of another form."""
    workload, _, namespace = name.removesuffix(_INSTANCE_SUFFIX).rpartition(".")
    return (workload, namespace) if name.endswith(_INSTANCE_SUFFIX) and workload and namespace else None


@dataclass(frozen=True, slots=True)
class PeerName:
    """What a certificate attests about its holder for telemetry; a part that is not known is `unknown`.

    `workload` is what runs the `instance`, such as a Deployment; `service` and `revision` are the canonical ones.
    """

    workload: str
    app: str = UNKNOWN
    version: str = UNKNOWN
    service: str = UNKNOWN
    revision: str = LATEST
    instance: str = UNKNOWN

    def __str__(self) -> str:
        said = (self.workload, self.app, self.version, self.service, self.revision or LATEST, self.instance)
        first, *others = (_escaped(part or UNKNOWN) for part in said)
        return (
            ".".join((first, *(f"{mark}.{part}" for mark, part in zip(_PEER_PARTS, others, strict=True))))
            + _PEER_SUFFIX
        )


def parse_peer_name(name: str) -> PeerName | None:
    """Take a certificate's attested DNS name apart; None for names of another form."""
    match = _PEER.fullmatch(name)
    if match is None:
        return None
    found = PeerName(*(_unescaped(part) for part in match.groups()))
    return found if str(found) == name else None


def peer_text(text: str) -> str:
    """Return a fact of a workload as it stands in its peer's name, and so in what a proxy keeps of its caller."""
    return _escaped(text or UNKNOWN)


def peer_pattern(fact: str) -> str:
    """Return a regular expression whose group is one part of a peer's name, the field `fact` of a PeerName.

    It is small: expressions of Envoy take no large ones.
    """
    position = [each.name for each in fields(PeerName)].index(fact)
    before = f"[.]{_PEER_PARTS[position - 1]}[.]" if position else "^"
    after = f"[.]{_PEER_PARTS[position]}[.].+" if position < len(_PEER_PARTS) else ""
    return f"{before}(.+){after}[.]peer[.]lateen[.]internal$"


def peer_state(fact: str) -> str:
    """Compose the name under which a proxy keeps what is attested of a connection's caller: the field of its PeerName,
    or `namespace`.
    """
    return f"lateen.peer.{fact}"


def _escaped(text: str) -> str:
    """Write any text so that it can stand in a DNS name: others than `A-Za-z0-9_.-` become `--` and two digits a byte.

    What labels may be stays as it is. Nothing is cut: such a name is read in certificates, never looked up.
    """
    return _ESCAPED.sub(lambda found: b"--%02x" % found[0][0], text.encode()).decode()


def _unescaped(part: str) -> str:
    return _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), part.encode()).decode(errors="replace")
