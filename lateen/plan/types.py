"""The plan of one class of proxies, in mesh words. Frozen, hashable where it is cached by, small enough to review.

Every part that a user's object caused carries an `Origin`, so that `explain`, status and the dashboard need no
second lookup.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from lateen.api.networking.destination_rule import ProxyProtocolVersion
from lateen.api.networking.envoy_filter import ConfigPatch
from lateen.api.networking.gateway import TlsVersion
from lateen.api.objects import ObjectKey
from lateen.api.security.oidc_login import SameSite
from lateen.model.endpoint import Endpoint
from lateen.model.peers import PeerMode
from lateen.model.protocol import Protocol
from lateen.model.proxy import Role
from lateen.plan.destination_types import FOREVER, HealthProbe, Keeping, Ping, RetryBudget, Session, Spread, Tunnel
from lateen.plan.http_types import USUAL_MANNER, HttpManner
from lateen.plan.telemetry_types import SILENCE, ServiceName, Telemetry

if TYPE_CHECKING:
    from lateen.plan.mixer_types import MixerGuard
    from lateen.plan.processing_types import HeaderChanges, KeyCheck, Processor
    from lateen.plan.rate_limit_types import RateLimits


@dataclass(frozen=True, slots=True)
class Origin:
    """The config object, and the field path in it, that a part of the plan came from."""

    key: ObjectKey
    path: str = ""

    def __str__(self) -> str:
        return f"{self.key} {self.path}" if self.path else str(self.key)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """Something legal but doubtful in a user's object, and what Lateen makes of it. `analysis.codes` has the codes."""

    origin: Origin
    message: str
    code: str = "LAT0001"

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}"


class MatchKind(StrEnum):
    """How a text is compared. PRESENT asks only that it exists."""

    EXACT = "exact"
    PREFIX = "prefix"
    SUFFIX = "suffix"
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
class ClaimMatch:
    """A comparison of a claim of the request's verified token; `path` leads to a claim inside claims."""

    path: tuple[str, ...]
    match: TextMatch


@dataclass(frozen=True, slots=True)
class RequestMatch:
    """All of these must hold. `path` None matches every path."""

    path: TextMatch | None = None
    headers: tuple[NamedMatch, ...] = ()
    query: tuple[NamedMatch, ...] = ()
    claims: tuple[ClaimMatch, ...] = ()


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
    cookie_attributes: tuple[tuple[str, str], ...] = ()
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
    """Send the request on. `timeout` None means that there is none. `websocket` upgrades are always allowed.

    With `appends_host`, servers are told in `x-forwarded-host` which host was asked for before it was rewritten.
    """

    targets: tuple[Target, ...]
    rewrite: Rewrite | None = None
    timeout: timedelta | None = None
    retry: Retry | None = None
    mirrors: tuple[Mirror, ...] = ()
    hash_keys: tuple[HashKey, ...] = ()
    session: Session | None = None
    resolves_host: bool = False
    appends_host: bool = False


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
    statistics: str = ""
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """The routes for the requests whose host, whatever the port in it, is one of `domains` (`*` for all others).

    With `counts_attempts` servers are told how often a request was tried.
    """

    name: str
    domains: tuple[str, ...]
    routes: tuple[Route, ...]
    requires_tls: bool = False
    counts_attempts: bool = True


@dataclass(frozen=True, slots=True)
class RouteTable:
    """What listeners look requests up in; its name is what they subscribe to.

    The ports in requests' hosts are passed over, unless it is `by_port`.
    """

    name: str
    virtual_hosts: tuple[VirtualHost, ...]
    by_port: bool = False


class Discovery(StrEnum):
    """Where a cluster's endpoints come from.

    EDS: the control plane. DNS and DNS_ROUND_ROBIN: the proxy resolves `endpoints`' names. ORIGINAL_DESTINATION: the
    connection's own. DYNAMIC_DNS: the name that is asked for. STATIC: `endpoints` as they are. NONE: there are none,
    connections are refused.
    """

    EDS = "eds"
    DNS = "dns"
    DNS_ROUND_ROBIN = "dns-round-robin"
    ORIGINAL_DESTINATION = "original-destination"
    DYNAMIC_DNS = "dynamic-dns"
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
    connection_duration: timedelta | None = None
    keepalive: Keepalive | None = None
    ping: Ping | None = None
    retry_budget: RetryBudget | None = None


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
    failure_codes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class MeshTrust:
    """Whom proxies believe who speak the mesh's own TLS with them, and what it has to be at least.

    `domains` are the trust domain, its aliases, and others whose roots were brought in. Without suites and curves
    Envoy's own are used.
    """

    domains: tuple[str, ...] = ("cluster.local",)
    min_version: TlsVersion = TlsVersion.TLSV1_2
    cipher_suites: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()


OWN_DOMAIN = MeshTrust()


@dataclass(frozen=True, slots=True)
class MeshTls:
    """The mesh's own mutual TLS, with the certificate of the workload.

    `accounts` are the SPIFFE ids of which the server has to have one; empty is any of the trust domains. `automatic`
    is with those endpoints only that take it, otherwise with all.
    """

    server_name: str
    accounts: tuple[str, ...] = ()
    trust: MeshTrust = OWN_DOMAIN
    automatic: bool = True


@dataclass(frozen=True, slots=True)
class TlsBounds:
    """What TLS with others than the mesh's proxies has to be at least; without suites and curves Envoy's are used."""

    min_version: TlsVersion = TlsVersion.TLSV1_2
    cipher_suites: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()


USUAL_TLS = TlsBounds()


@dataclass(frozen=True, slots=True)
class OriginatedTls:
    """TLS with a server that has a certificate of its own, such as one outside of the mesh.

    `follows_host` asks for, and checks, the host of each request instead of `server_name`. Files are read by the proxy
    where it runs; without `authority_file` the authorities of its operating system are believed. `credential` is a
    Secret instead of files.
    """

    server_name: str = ""
    follows_host: bool = False
    accepted_names: tuple[str, ...] = ()
    presents_certificate: bool = False
    credential: str = ""
    certificate_file: str = ""
    key_file: str = ""
    authority_file: str = ""
    revocation_file: str = ""
    verifies: bool = True
    bounds: TlsBounds = USUAL_TLS


Material = bytes | str
"""PEM itself, or the path of a file with it that the proxy reads where it runs, and again whenever it changes."""


@dataclass(frozen=True, slots=True)
class ServedCertificate:
    """A certificate, leaf first, and its key, which a proxy asks for by `name`; `valid` is from when until when."""

    name: str
    chain: Material = field(repr=False)
    key: Material = field(repr=False)
    valid: tuple[datetime, datetime] | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class TrustedAuthorities:
    """The authorities that vouch for others, and the lists of what they have revoked, asked for by `name`."""

    name: str
    certificates: Material
    revocations: Material = b""
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """Something that a proxy and somebody else know, asked for by `name`."""

    name: str
    value: bytes = field(repr=False)
    origin: Origin | None = None


Secret = ServedCertificate | TrustedAuthorities | SharedSecret


@dataclass(frozen=True, slots=True)
class ClientCheck:
    """What clients prove: with `required` they have to, else they may.

    `authorities` names the secret that vouches for them; without it any certificate is taken. Hashes are SHA-256, of
    keys in base64, of certificates in hexadecimal digits.
    """

    required: bool = True
    authorities: str = ""
    accepted_names: tuple[str, ...] = ()
    key_hashes: tuple[str, ...] = ()
    certificate_hashes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EndedTls:
    """TLS that a gateway ends: the names of the secrets with its certificates, and what it asks of clients."""

    certificates: tuple[str, ...]
    client: ClientCheck | None = None
    min_version: TlsVersion = TlsVersion.TLSV1_2
    max_version: TlsVersion = TlsVersion.TLSV1_3
    cipher_suites: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A destination of traffic: how its endpoints are found, picked and protected.

    `host`, `port` and `subset` say what it stands for (empty for special clusters); `labels` select the subset's
    endpoints. `endpoints` are only for the kinds of discovery that need them in the cluster itself.
    `follows_client_protocol` keeps HTTP/1.1 or HTTP/2 as the client speaks it. `bind_address` is the source address.
    With `target_port`, connections go to that port of their original destination. `name_refresh` is how soon a name is
    asked for again that could not be resolved.
    `tells_client` has the PROXY protocol tell the endpoint who called. `spread` prefers some localities to others.
    `service` is what telemetry calls the service; with `describes_endpoints`, each fact of an endpoint can be asked for
    by itself. `keeps_case` sends the names of headers as they came.
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
    target_port: int | None = None
    tls: MeshTls | OriginatedTls | None = None
    tells_client: ProxyProtocolVersion | None = None
    name_refresh: timedelta = timedelta(seconds=60)
    spread: Spread | None = None
    probe: HealthProbe | None = None
    service: ServiceName | None = None
    describes_endpoints: bool = False
    keeps_case: bool = False
    buffer_bytes: int | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class HttpChain:
    """Requests are looked up in a route table: a shared one by name, or one that only this chain has."""

    table: str
    inline: RouteTable | None = None


@dataclass(frozen=True, slots=True)
class TcpChain:
    """Connections go to clusters by weight.

    With `says_tcp` the server's proxy, which has to know what is inside the mesh's TLS, is told that it is not HTTP.
    With a `tunnel` the targets are HTTP proxies, which are asked to connect to its host. With `resolves_name`, a port,
    connections go to that port of the server name that they ask for. With `keeps_clients`, where hashing picks the
    endpoint, it looks at the client's address.
    """

    targets: tuple[Target, ...]
    keeping: Keeping = FOREVER
    keeps_clients: bool = False
    says_tcp: bool = False
    tunnel: Tunnel | None = None
    resolves_name: int | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class SniffedChain:
    """HTTP where the first bytes look like it, else TCP."""

    http: HttpChain
    tcp: TcpChain


Chain = HttpChain | TcpChain | SniffedChain


@dataclass(frozen=True, slots=True)
class NamedChain:
    """TLS connections for any of these server names (`*.suffix` too); without names for all that no other one is for.

    `tls` is ended here: with certificates of its own, or as the mesh's. None leaves it to whoever is behind. With
    `http3`, requests may also come over QUIC to the same port, and answers say so.
    """

    server_names: tuple[str, ...]
    chain: HttpChain | TcpChain
    tls: EndedTls | MeshTrust | None = None
    origin: Origin | None = None
    http3: bool = False


@dataclass(frozen=True, slots=True)
class SubnetChain:
    """Connections to addresses in any of these subnets; of several that fit an address, the narrowest counts."""

    subnets: tuple[str, ...]
    chain: TcpChain


@dataclass(frozen=True, slots=True)
class OutboundListener:
    """What happens to captured connections to `address:port` (`0.0.0.0` for every address of the port).

    What goes to one of `subnets` takes that way before all others. TLS connections for a known server name take
    `named`. On `0.0.0.0`, others that are not HTTP take `fallback` (the mesh's policy for unknown destinations). One
    that `opens` is a port of its own, or the socket of `unix://path`, which the workload calls as such.
    """

    address: str
    port: int
    chain: Chain
    fallback: TcpChain | None = None
    named: tuple[NamedChain, ...] = ()
    opens: bool = False
    subnets: tuple[SubnetChain, ...] = ()


@dataclass(frozen=True, slots=True)
class InboundPort:
    """A port of the workload: connections to it become requests of `host`, or stay connections.

    `mode` is which connections it takes: with the mesh's TLS, without, or both. A port with `tls` takes only that, and
    ends it. One that `opens` is at that address also where connections are not captured.
    """

    port: int
    chain: Chain
    host: str = ""
    mode: PeerMode = PeerMode.PERMISSIVE
    tls: EndedTls | None = None
    opens: str = ""


class Arrival(StrEnum):
    """How connections come: ANY are not looked at; MESH is the mesh's TLS, as is all TLS for MESH_ONLY."""

    ANY = "any"
    PLAIN = "plain"
    MESH = "mesh"
    MESH_ONLY = "mesh only"
    OWN_TLS = "own TLS"


@dataclass(frozen=True, slots=True)
class Way:
    """A way into a port. `is_http` tells for which detected protocol it is; None is for all. `tls` is ended there."""

    arrival: Arrival
    carries: HttpChain | TcpChain
    is_http: bool | None = None
    tls: EndedTls | None = None


@dataclass(frozen=True, slots=True)
class GatewayFront:
    """What stands before a gateway: so many proxies that may say in `x-forwarded-for` who the client is.

    With `tells_client`, connections may begin with the client's address, in the form of the PROXY protocol.
    """

    trusted_proxies: int = 0
    tells_client: bool = False


NO_FRONT = GatewayFront()


@dataclass(frozen=True, slots=True)
class GatewayListener:
    """A gateway's open port: `port` as bound in the workload, HTTP by a shared route table or TCP.

    A port for TLS has no `chain`, but `named` ones; whatever they are not for is refused. `front` is what stands
    between it and its clients.
    """

    address: str
    port: int
    chain: Chain | None = None
    origin: Origin | None = None
    named: tuple[NamedChain, ...] = ()
    front: GatewayFront = NO_FRONT

    @property
    def speaks_http3(self) -> bool:
        """Tell whether requests may come over QUIC too."""
        return any(one.http3 for one in self.named)


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """A name that the proxy's own DNS answers."""

    host: str
    addresses: tuple[str, ...]


class Attribute(StrEnum):
    """What a rule asks about. A HEADER, a CLAIM and FILTER_METADATA also have names."""

    SOURCE_IP = "source.ip"
    REMOTE_IP = "remote.ip"
    NAMESPACE = "source.namespace"
    ACCOUNT = "source.serviceAccount"
    TRUST_DOMAIN = "source.trustDomain"
    PRINCIPAL = "source.principal"
    REQUEST_PRINCIPAL = "request.auth.principal"
    AUDIENCES = "request.auth.audiences"
    PRESENTER = "request.auth.presenter"
    CLAIM = "request.auth.claims"
    HEADER = "request.headers"
    HOST = "request.host"
    METHOD = "request.method"
    PATH = "request.path"
    DESTINATION_IP = "destination.ip"
    DESTINATION_PORT = "destination.port"
    SNI = "connection.sni"
    FILTER_METADATA = "experimental.envoy.filters."


class Comparison(StrEnum):
    """How a rule compares a text. RANGE is of addresses, TEMPLATE of paths, such as `/a/{*}/b/{**}`."""

    EXACT = "exact"
    PREFIX = "prefix"
    SUFFIX = "suffix"
    PRESENT = "present"
    TEMPLATE = "template"
    RANGE = "range"


@dataclass(frozen=True, slots=True)
class Pattern:
    """One value that a rule compares with, without its `*`.

    A PRINCIPAL is `domain/ns/namespace/sa/account`, an ACCOUNT `namespace/account`, a REQUEST_PRINCIPAL
    `issuer/subject`.
    """

    comparison: Comparison
    value: str = ""


@dataclass(frozen=True, slots=True)
class AccessCondition:
    """The attribute is any of the patterns; `inverted`: it is none of them, which also holds where it is missing."""

    attribute: Attribute
    patterns: tuple[Pattern, ...]
    inverted: bool = False
    names: tuple[str, ...] = ()


Alternatives = tuple[tuple[AccessCondition, ...], ...]
"""Any of several, of which all conditions must hold; without any alternative nothing is asked."""


@dataclass(frozen=True, slots=True)
class AccessRule:
    """Matches what comes from any of the sources, to any of the operations, where all conditions hold.

    `name` is what proxies report: `ns[NAMESPACE]-policy[NAME]-rule[POSITION]`.
    """

    name: str
    origin: Origin
    sources: Alternatives = ()
    operations: Alternatives = ()
    conditions: tuple[AccessCondition, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckedBody:
    """How much of a request's body an authorizer is shown."""

    max_bytes: int
    partial: bool = False
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Authorizer:
    """An external server that is asked whether a request may pass, over gRPC or with an HTTP request."""

    name: str
    cluster: str
    authority: str
    grpc: bool
    timeout: timedelta = timedelta(seconds=600)
    fails_open: bool = False
    status_on_error: int = 403
    path_prefix: str = ""
    shown_headers: tuple[TextMatch, ...] = ()
    added_headers: tuple[tuple[str, str], ...] = ()
    body: CheckedBody | None = None
    headers_to_upstream: tuple[TextMatch, ...] = ()
    headers_to_client_on_allow: tuple[TextMatch, ...] = ()
    headers_to_client_on_deny: tuple[TextMatch, ...] = ()
    clears_route_cache: bool = False


@dataclass(frozen=True, slots=True)
class CustomCheck:
    """An authorizer is asked about what any of the rules matches, and about nothing else."""

    authorizer: Authorizer
    rules: tuple[AccessRule, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call, asked in the order custom, deny, allow; the first that refuses decides.

    `allow` None means that no ALLOW policy applies, so everything passes; an empty one lets nothing pass. `audit` only
    marks what it matches. `tried_deny` and `tried_allow` are policies in dry-run: their verdict is only counted.
    """

    custom: tuple[CustomCheck, ...] = ()
    deny: tuple[AccessRule, ...] = ()
    allow: tuple[AccessRule, ...] | None = None
    audit: tuple[AccessRule, ...] = ()
    tried_deny: tuple[AccessRule, ...] = ()
    tried_allow: tuple[AccessRule, ...] | None = None


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Whose tokens are verified, by which keys (a JSON Web Key Set; empty when there is none), and where they are.

    Without any place the usual ones count: `Authorization: Bearer` and the query parameter `access_token`.
    """

    issuer: str
    keys: str
    audiences: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    params: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()
    payload_header: str = ""
    claim_headers: tuple[tuple[str, str], ...] = ()
    forwards_token: bool = False
    space_delimited_claims: tuple[str, ...] = ()
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """Browsers log in with an OpenID provider before they get at what is of any of the hosts, has any of the paths, and
    none of the excluded ones; no hosts and no paths are all.

    `client_secret` and `session_key` are names of secrets. Behind the login, the id token is in
    `id_token_header`. `refresh_lifetime` None asks for no refresh tokens.
    """

    name: str
    client_id: str
    authorization_endpoint: str
    token_endpoint: str
    token_cluster: str
    client_secret: str
    session_key: str
    cookie_suffix: str
    id_token_header: str
    end_session_endpoint: str = ""
    redirect_path: str = "/oauth2/callback"
    logout_path: str = "/oauth2/logout"
    scopes: tuple[str, ...] = ("openid",)
    resources: tuple[str, ...] = ()
    hosts: tuple[Pattern, ...] = ()
    paths: tuple[Pattern, ...] = ()
    excluded_paths: tuple[Pattern, ...] = ()
    cookie_domain: str = ""
    same_site: SameSite = SameSite.LAX
    forwards_access_token: bool = False
    lifetime: timedelta = timedelta(hours=1)
    refresh_lifetime: timedelta | None = None
    origin: Origin | None = None

    def cookie(self, purpose: str) -> str:
        """Compose the name of a cookie; logins of one host do not get at one another's."""
        return f"{purpose}-{self.cookie_suffix}"


@dataclass(frozen=True, slots=True)
class AuditTrail:
    """Where records of refused and audited calls go: a file of the proxy, a collector of OpenTelemetry, or both."""

    path: str = ""
    collector: str = ""
    authority: str = ""
    log_name: str = ""


@dataclass(frozen=True, slots=True)
class Guard:
    """What stands before a workload's ports: who has to log in, whose tokens are verified, who may call, where
    records of that go, whose keys are taken, how many requests may come, and what is changed in them.
    """

    issuers: tuple[TokenIssuer, ...] = ()
    access: Access = Access()
    logins: tuple[Login, ...] = ()
    api_keys: tuple["KeyCheck", ...] = ()
    limits: tuple["RateLimits", ...] = ()
    processors: tuple["Processor", ...] = ()
    headers: tuple["HeaderChanges", ...] = ()
    trail: AuditTrail | None = None
    mixer: "MixerGuard | None" = None


NO_GUARD = Guard()


@dataclass(frozen=True, slots=True)
class Guards:
    """The guard of all ports of a workload, and those of the ports that policies with targets concern."""

    everywhere: Guard = NO_GUARD
    by_port: tuple[tuple[int, Guard], ...] = ()

    def at(self, port: int) -> Guard:
        """Return the guard of one port."""
        return dict(self.by_port).get(port, self.everywhere)


NO_GUARDS = Guards()


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch of an EnvoyFilter, and where it is written."""

    origin: Origin
    written: ConfigPatch


@dataclass(frozen=True, slots=True)
class PatchSet:
    """The patches of one EnvoyFilter, which act together or not at all: a last step, in Envoy's own words."""

    key: ObjectKey
    patches: tuple[Patch, ...]


@dataclass(frozen=True, slots=True)
class ProxyPlan:
    """All that one class of proxies does. Order of the tuples is meaningful and stable.

    `outbound_fallback` is where captured connections go that no listener knows: PassthroughCluster or BlackHoleCluster.
    `inbound_mode` is what is taken on ports that are not in `inbound`. `replicas` are the endpoints of the workload's
    own service, for a proxy that compares them with others; the cluster that they are for is in its bootstrap.
    `diagnostics` tell what was doubtful in the objects that the plan was made from.
    """

    role: Role
    clusters: tuple[Cluster, ...]
    route_tables: tuple[RouteTable, ...]
    replicas: Cluster | None = None
    outbound: tuple[OutboundListener, ...] = ()
    outbound_fallback: TcpChain | None = None
    inbound: tuple[InboundPort, ...] = ()
    inbound_fallback: TcpChain | None = None
    inbound_mode: PeerMode = PeerMode.PERMISSIVE
    trust: MeshTrust = OWN_DOMAIN
    gateway: tuple[GatewayListener, ...] = ()
    secrets: tuple[Secret, ...] = ()
    dns: tuple[DnsRecord, ...] = ()
    guards: Guards = NO_GUARDS
    manner: HttpManner = USUAL_MANNER
    telemetry: Telemetry = SILENCE
    patches: tuple[PatchSet, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def assigned(self) -> tuple[Cluster, ...]:
        """The clusters whose endpoints the proxy may ask for."""
        return self.clusters if self.replicas is None else (*self.clusters, self.replicas)
