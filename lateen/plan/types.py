"""The plan of one class of proxies, in mesh words. Frozen, hashable where it is cached by, small enough to review.

Every part that a user's object caused carries an `Origin`, so that `explain`, status and the dashboard need no
second lookup.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from lateen.api.objects import ObjectKey
from lateen.model.endpoint import Endpoint
from lateen.model.protocol import Protocol
from lateen.model.proxy import Role


@dataclass(frozen=True, slots=True)
class Origin:
    """The config object, and the field path in it, that a part of the plan came from."""

    key: ObjectKey
    path: str = ""

    def __str__(self) -> str:
        return f"{self.key} {self.path}" if self.path else str(self.key)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """Something legal but doubtful in a user's object, and what Lateen makes of it."""

    origin: Origin
    message: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}"


class MatchKind(StrEnum):
    """How a text is compared. PRESENT asks only that it exists."""

    EXACT = "exact"
    PREFIX = "prefix"
    REGEX = "regex"
    PRESENT = "present"


@dataclass(frozen=True, slots=True)
class TextMatch:
    """A comparison of one text; `inverted` is true where it must not match."""

    kind: MatchKind
    value: str = ""
    ignore_case: bool = False
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class NamedMatch:
    """A comparison of the header or query parameter of a name. Header names are lower case (`:method` included)."""

    name: str
    match: TextMatch


@dataclass(frozen=True, slots=True)
class RequestMatch:
    """All of these must hold. `path` None matches every path."""

    path: TextMatch | None = None
    headers: tuple[NamedMatch, ...] = ()
    query: tuple[NamedMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class HeaderOperations:
    """Changes to a message's headers, applied in the order set, add, remove."""

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


NO_HEADER_OPERATIONS = HeaderOperations()


@dataclass(frozen=True, slots=True)
class Target:
    """Where a share of the requests goes; weights are relative to their sum."""

    cluster: str
    weight: int = 1
    request_headers: HeaderOperations = NO_HEADER_OPERATIONS
    response_headers: HeaderOperations = NO_HEADER_OPERATIONS
    authority: str = ""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Changes to path and authority. `prefix` replaces what the prefix match matched, `path` the whole path."""

    path: str = ""
    prefix: str = ""
    authority: str = ""
    regex: str = ""
    substitution: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """When and how often a failed request is tried again. `attempts` 0 turns retries off."""

    attempts: int
    conditions: tuple[str, ...]
    status_codes: tuple[int, ...] = ()
    per_try_timeout: timedelta | None = None
    backoff: timedelta = timedelta(milliseconds=25)
    avoids_previous_hosts: bool = True
    crosses_localities: bool = False


@dataclass(frozen=True, slots=True)
class Mirror:
    """A copy of a share of the requests; the answer is thrown away."""

    cluster: str
    percent: float = 100.0


@dataclass(frozen=True, slots=True)
class HashKey:
    """What consistent hashing looks at: exactly one of the fields is set."""

    header: str = ""
    cookie: str = ""
    cookie_path: str = ""
    cookie_ttl: timedelta | None = None
    query: str = ""
    source_ip: bool = False


@dataclass(frozen=True, slots=True)
class CorsRules:
    """Cross-origin rules of a route."""

    origins: tuple[TextMatch, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age: timedelta | None = None
    credentials: bool | None = None
    forwards_unmatched_preflights: bool = True


@dataclass(frozen=True, slots=True)
class Forward:
    """Send the request on. `timeout` None means that there is none. `websocket` upgrades are always allowed."""

    targets: tuple[Target, ...]
    rewrite: Rewrite | None = None
    timeout: timedelta | None = None
    retry: Retry | None = None
    mirrors: tuple[Mirror, ...] = ()
    hash_keys: tuple[HashKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Redirect:
    """Answer with a redirection. Empty fields keep the request's own part; `port` None keeps or derives it."""

    code: int = 301
    scheme: str = ""
    authority: str = ""
    port: int | None = None
    path: str = ""
    prefix: str = ""
    keeps_request_port: bool = False


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer at once."""

    status: int
    body: bytes = b""


Action = Forward | Redirect | Respond


@dataclass(frozen=True, slots=True)
class Fault:
    """Failures made on purpose, each for a share of the requests."""

    delay: timedelta | None = None
    delay_percent: float = 100.0
    abort_status: int | None = None
    abort_grpc_status: int | None = None
    abort_percent: float = 100.0


@dataclass(frozen=True, slots=True)
class Route:
    """One line of a virtual host: the first one that matches acts."""

    match: RequestMatch
    action: Action
    name: str = ""
    fault: Fault | None = None
    cors: CorsRules | None = None
    request_headers: HeaderOperations = NO_HEADER_OPERATIONS
    response_headers: HeaderOperations = NO_HEADER_OPERATIONS
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """The routes for the requests whose host, whatever the port in it, is one of `domains` (`*` for all others)."""

    name: str
    domains: tuple[str, ...]
    routes: tuple[Route, ...]
    requires_tls: bool = False


@dataclass(frozen=True, slots=True)
class RouteTable:
    """What listeners look requests up in; its name is what they subscribe to."""

    name: str
    virtual_hosts: tuple[VirtualHost, ...]


class Discovery(StrEnum):
    """Where a cluster's endpoints come from.

    EDS: the control plane. DNS and DNS_ROUND_ROBIN: the proxy resolves `endpoints`' names. ORIGINAL_DESTINATION: the
    connection's own. STATIC: `endpoints` as they are. NONE: there are none, connections are refused.
    """

    EDS = "eds"
    DNS = "dns"
    DNS_ROUND_ROBIN = "dns-round-robin"
    ORIGINAL_DESTINATION = "original-destination"
    STATIC = "static"
    NONE = "none"


class Balancing(StrEnum):
    """How an endpoint is picked."""

    LEAST_REQUEST = "least-request"
    ROUND_ROBIN = "round-robin"
    RANDOM = "random"
    RING_HASH = "ring-hash"
    MAGLEV = "maglev"
    ORIGINAL_DESTINATION = "original-destination"


@dataclass(frozen=True, slots=True)
class Keepalive:
    """TCP keepalive; None leaves the kernel's setting."""

    probes: int | None = None
    time: timedelta | None = None
    interval: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a connection pool; None is Istio's default, which is no bound."""

    connect_timeout: timedelta = timedelta(seconds=10)
    connections: int | None = None
    pending_requests: int | None = None
    requests: int | None = None
    retries: int | None = None
    requests_per_connection: int | None = None
    concurrent_streams: int | None = None
    idle_timeout: timedelta | None = None
    tcp_idle_timeout: timedelta | None = None
    connection_duration: timedelta | None = None
    keepalive: Keepalive | None = None


@dataclass(frozen=True, slots=True)
class OutlierDetection:
    """When endpoints that fail are left out for a while; None turns a detector off."""

    consecutive_5xx: int | None = 5
    consecutive_gateway: int | None = None
    consecutive_local: int | None = None
    splits_local: bool = False
    interval: timedelta = timedelta(seconds=10)
    ejection_time: timedelta = timedelta(seconds=30)
    max_ejected_percent: int = 10
    min_healthy_percent: int = 0


@dataclass(frozen=True, slots=True)
class Cluster:
    """A destination of traffic: how its endpoints are found, picked and protected.

    `host`, `port` and `subset` say what it stands for (empty for special clusters); `labels` select the subset's
    endpoints. `endpoints` are only for the kinds of discovery that need them in the cluster itself.
    `follows_client_protocol` keeps HTTP/1.1 or HTTP/2 as the client speaks it. `bind_address` is the source address.
    """

    name: str
    discovery: Discovery
    host: str = ""
    port: int = 0
    subset: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    protocol: Protocol = Protocol.TCP
    balancing: Balancing = Balancing.LEAST_REQUEST
    ring_size: int | None = None
    table_size: int | None = None
    slow_start: timedelta | None = None
    slow_start_aggression: float = 1.0
    slow_start_min_percent: float = 10.0
    limits: Limits = Limits()
    outliers: OutlierDetection | None = None
    endpoints: tuple[Endpoint, ...] = ()
    includes_unready: bool = False
    follows_client_protocol: bool = False
    bind_address: str = ""
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class HttpChain:
    """Requests are looked up in a route table: a shared one by name, or one that only this chain has."""

    table: str
    inline: RouteTable | None = None


@dataclass(frozen=True, slots=True)
class TcpChain:
    """Connections go to clusters by weight."""

    targets: tuple[Target, ...]
    idle_timeout: timedelta | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class SniffedChain:
    """HTTP where the first bytes look like it, else TCP."""

    http: HttpChain
    tcp: TcpChain


Chain = HttpChain | TcpChain | SniffedChain


@dataclass(frozen=True, slots=True)
class OutboundListener:
    """What happens to captured connections to `address:port` (`0.0.0.0` for every address of the port).

    On `0.0.0.0`, connections that are not HTTP take `fallback` (the mesh's policy for unknown destinations).
    """

    address: str
    port: int
    chain: Chain
    fallback: TcpChain | None = None


@dataclass(frozen=True, slots=True)
class InboundPort:
    """A port of the workload: connections to it become requests of `host`, or stay connections."""

    port: int
    chain: Chain
    host: str = ""


@dataclass(frozen=True, slots=True)
class GatewayListener:
    """A gateway's open port: `port` as bound in the workload, HTTP by a shared route table or TCP."""

    address: str
    port: int
    chain: Chain
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """A name that the proxy's own DNS answers."""

    host: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccessLog:
    """Where and how requests are logged; an empty path is off."""

    path: str = ""
    json: bool = False
    format: str = ""


@dataclass(frozen=True, slots=True)
class ProxyPlan:
    """All that one class of proxies does. Order of the tuples is meaningful and stable.

    `outbound_fallback` is where captured connections go that no listener knows: PassthroughCluster or BlackHoleCluster.
    `diagnostics` tell what was doubtful in the objects that the plan was made from.
    """

    role: Role
    clusters: tuple[Cluster, ...]
    route_tables: tuple[RouteTable, ...]
    outbound: tuple[OutboundListener, ...] = ()
    outbound_fallback: TcpChain | None = None
    inbound: tuple[InboundPort, ...] = ()
    inbound_fallback: TcpChain | None = None
    gateway: tuple[GatewayListener, ...] = ()
    dns: tuple[DnsRecord, ...] = ()
    access_log: AccessLog = AccessLog()
    diagnostics: tuple[Diagnostic, ...] = ()
