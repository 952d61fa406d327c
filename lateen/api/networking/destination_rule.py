"""DestinationRule: how a host is called after routing: load balancing, connection pools, ejection, TLS, subsets."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from lateen.api.fields import (
    EMPTY_MAP,
    FROZEN,
    Bool,
    Count,
    Duration,
    ExportScope,
    Float,
    HeaderName,
    Labels,
    NonEmpty,
    Percentage,
    Port,
    PositiveDuration,
    WildcardHost,
    is_label,
)
from lateen.api.networking.selectors import PortSelector, TypedSelector
from lateen.api.networking.tls import ClientTls
from lateen.api.structs import Checked, Problem, Struct, at_most_one, exactly_one

Percents = Annotated[int, Field(strict=True, ge=0, le=100)]
Shares = Annotated[Mapping[str, Count], FROZEN]


class SimpleLoadBalancer(StrEnum):
    """The load balancers without settings; LEAST_CONN is the old name of LEAST_REQUEST."""

    UNSPECIFIED = "UNSPECIFIED"
    LEAST_CONN = "LEAST_CONN"
    RANDOM = "RANDOM"
    PASSTHROUGH = "PASSTHROUGH"
    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_REQUEST = "LEAST_REQUEST"


class CookieAttribute(Struct):
    """One more attribute of a generated cookie, like `SameSite`."""

    name: NonEmpty
    value: str = ""


class HttpCookie(Struct):
    """The cookie that is hashed; with `ttl` it is generated when a request has none."""

    name: NonEmpty
    path: str = ""
    ttl: Duration | None = None
    attributes: tuple[CookieAttribute, ...] = ()


class RingHash(Struct):
    """Consistent hashing on a ring of at least this many positions."""

    minimum_ring_size: Count = 1024


class Maglev(Struct):
    """Consistent hashing by a Maglev table; its size is a prime number."""

    table_size: Annotated[int, Field(strict=True, ge=2, le=5000011)] = 65537


class ConsistentHash(Checked):
    """Sends requests with the same hash key to the same endpoint while the endpoints stay the same."""

    http_header_name: HeaderName | None = None
    http_cookie: HttpCookie | None = None
    use_source_ip: Bool | None = None
    http_query_parameter_name: str | None = None
    ring_hash: RingHash | None = None
    maglev: Maglev | None = None
    minimum_ring_size: Count | None = None

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "http_header_name", "http_cookie", "use_source_ip", "http_query_parameter_name")
        yield from at_most_one(self, "ring_hash", "maglev")
        yield from at_most_one(self, "minimum_ring_size", "maglev")
        if self.maglev is not None and not _is_prime(self.maglev.table_size):
            yield Problem(f"must be a prime number, not {self.maglev.table_size}", "maglev.tableSize")


class Distribution(Checked):
    """Where the requests from one locality go, in shares that sum to 100."""

    from_: NonEmpty
    to: Shares = EMPTY_MAP

    def problems(self) -> Iterator[Problem]:
        if sum(self.to.values()) != 100:
            yield Problem(f"must have shares that sum to 100, not {sum(self.to.values())}", "to")
        for locality, share in self.to.items():
            if share == 0:
                yield Problem("must be above 0: leave the locality out to send nothing there", f"to.{locality}")


class Failover(Checked):
    """The region that takes over when all endpoints of another one are unhealthy."""

    from_: NonEmpty
    to: NonEmpty

    def problems(self) -> Iterator[Problem]:
        for field, region in (("from", self.from_), ("to", self.to)):
            if "/" in region or "*" in region:
                yield Problem(f"must be a region without zone or wildcard, not {region!r}", field)
        if self.from_ == self.to:
            yield Problem("must be another region than from", "to")


class LocalityLoadBalancing(Checked):
    """Which localities a client prefers, and which ones take over."""

    distribute: tuple[Distribution, ...] = ()
    failover: tuple[Failover, ...] = ()
    failover_priority: tuple[NonEmpty, ...] = ()
    enabled: Bool | None = None

    @property
    def client_labels(self) -> frozenset[str]:
        """The labels of clients that it looks at."""
        return frozenset(written.partition("=")[0] for written in self.failover_priority)

    def problems(self) -> Iterator[Problem]:
        yield from at_most_one(self, "distribute", "failover")
        yield from at_most_one(self, "distribute", "failover_priority")


class ZoneAwareLoadBalancing(Struct):
    """Keeps as much traffic in the client's zone as the zones' sizes allow."""

    enabled: Bool | None = None
    failover: tuple[Failover, ...] = ()
    failover_priority: tuple[NonEmpty, ...] = ()
    min_cluster_size: Count | None = None

    @property
    def client_labels(self) -> frozenset[str]:
        """The labels of clients that it looks at."""
        return frozenset(written.partition("=")[0] for written in self.failover_priority)


class Warmup(Struct):
    """Gives a new endpoint its full share only after a while."""

    duration: PositiveDuration
    minimum_percent: Percentage | None = None
    aggression: Annotated[Float, Field(ge=1)] | None = None


class LoadBalancer(Checked):
    """How an endpoint is chosen for each request."""

    simple: SimpleLoadBalancer | None = None
    consistent_hash: ConsistentHash | None = None
    locality_lb_setting: LocalityLoadBalancing | None = None
    zone_aware_lb_setting: ZoneAwareLoadBalancing | None = None
    warmup_duration_secs: Duration | None = None
    warmup: Warmup | None = None

    def problems(self) -> Iterator[Problem]:
        yield from at_most_one(self, "simple", "consistent_hash")
        yield from at_most_one(self, "warmup_duration_secs", "warmup")
        yield from at_most_one(self, "locality_lb_setting", "zone_aware_lb_setting")


class TcpKeepalive(Struct):
    """TCP keep-alive probes; what is not set is the operating system's."""

    probes: Count | None = None
    time: PositiveDuration | None = None
    interval: PositiveDuration | None = None


class TcpPool(Struct):
    """Limits and timeouts of connections."""

    max_connections: Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)] | None = None
    connect_timeout: PositiveDuration | None = None
    tcp_keepalive: TcpKeepalive | None = None
    max_connection_duration: PositiveDuration | None = None
    idle_timeout: Duration | None = None


class Http2Upgrade(StrEnum):
    """Whether plain HTTP/1.1 requests are sent upstream as HTTP/2."""

    DEFAULT = "DEFAULT"
    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


class Http2KeepAlive(Struct):
    """HTTP/2 pings on upstream connections."""

    interval: PositiveDuration | None = None
    timeout: PositiveDuration | None = None


class HttpPool(Checked):
    """Limits and timeouts of requests."""

    http1_max_pending_requests: Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)] | None = None
    http2_max_requests: Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)] | None = None
    max_requests_per_connection: Annotated[int, Field(strict=True, ge=0, le=2**29)] | None = None
    max_retries: Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)] | None = None
    idle_timeout: Duration | None = None
    h2_upgrade_policy: Http2Upgrade | None = None
    use_client_protocol: Bool | None = None
    max_concurrent_streams: Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)] | None = None
    http2_keep_alive: Http2KeepAlive | None = None

    def problems(self) -> Iterator[Problem]:
        if self.use_client_protocol and self.h2_upgrade_policy is Http2Upgrade.UPGRADE:
            yield Problem(
                "must not be UPGRADE beside useClientProtocol, which keeps the client's protocol", "h2UpgradePolicy"
            )


class ConnectionPool(Struct):
    """Limits of what is open towards a host at once."""

    tcp: TcpPool | None = None
    http: HttpPool | None = None


class OutlierDetection(Checked):
    """Takes an endpoint out for a while when it fails too often."""

    consecutive_errors: Count | None = None
    split_external_local_origin_errors: Bool | None = None
    consecutive_local_origin_failures: Count | None = None
    consecutive_gateway_errors: Count | None = None
    consecutive_5xx_errors: Count | None = None
    interval: PositiveDuration | None = None
    base_ejection_time: PositiveDuration | None = None
    max_ejection_percent: Percents | None = None
    min_health_percent: Percents | None = None
    outlier_detection_http_error_codes: tuple[Annotated[int, Field(strict=True, ge=100, le=599)], ...] = ()

    def problems(self) -> Iterator[Problem]:
        if self.consecutive_local_origin_failures is not None and not self.split_external_local_origin_errors:
            yield Problem("must come with splitExternalLocalOriginErrors: true", "consecutiveLocalOriginFailures")


class Tunnel(Struct):
    """Sends connections through an HTTP proxy to a fixed target."""

    protocol: Annotated[str, Field(pattern="^(CONNECT|POST)?$")] = ""
    target_host: NonEmpty
    target_port: Port


class ProxyProtocolVersion(StrEnum):
    """The version of the PROXY protocol header."""

    V1 = "V1"
    V2 = "V2"


class ProxyProtocol(Struct):
    """Tells the upstream the client's address in a PROXY protocol header."""

    version: ProxyProtocolVersion = ProxyProtocolVersion.V1


class RetryBudget(Struct):
    """Bounds the retries that are under way at once, as a share of the requests that are."""

    percent: Percentage | None = None
    min_retry_concurrency: Count | None = None
    budget_interval: Duration | None = None


class PortTrafficPolicy(Struct):
    """The policy of one port; it replaces the host's policy for it, nothing is inherited."""

    port: PortSelector
    load_balancer: LoadBalancer | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTls | None = None


class TrafficPolicy(Checked):
    """How a host, or a subset of it, is called."""

    load_balancer: LoadBalancer | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTls | None = None
    port_level_settings: tuple[PortTrafficPolicy, ...] = ()
    tunnel: Tunnel | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None

    @property
    def load_balancers(self) -> Iterator[LoadBalancer]:
        """The load balancers of the policy and of its ports."""
        levels: tuple[TrafficPolicy | PortTrafficPolicy, ...] = (self, *self.port_level_settings)
        return (level.load_balancer for level in levels if level.load_balancer is not None)

    def problems(self) -> Iterator[Problem]:
        yield from at_most_one(self, "tunnel", "proxy_protocol")
        numbers = [setting.port.number for setting in self.port_level_settings]
        for position, number in enumerate(numbers):
            if number in numbers[:position]:
                yield Problem(f"must not set port {number} twice", f"portLevelSettings[{position}].port.number")


class Subset(Checked):
    """A named part of a host's endpoints: those with all these labels."""

    name: NonEmpty
    labels: Labels = EMPTY_MAP
    traffic_policy: TrafficPolicy | None = None

    def problems(self) -> Iterator[Problem]:
        if not is_label(self.name.lower()):
            yield Problem(f"must be letters, digits and -, like v1, not {self.name!r}", "name")


class DestinationRule(Checked):
    """The policies of a host after routing, and its subsets."""

    host: WildcardHost
    traffic_policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    export_to: tuple[ExportScope, ...] = ()
    workload_selector: TypedSelector | None = None

    @property
    def client_labels(self) -> frozenset[str]:
        """The labels of clients that it looks at: it selects them, or prefers endpoints that are like them."""
        selected = self.workload_selector.match_labels.keys() if self.workload_selector else ()
        return frozenset(selected).union(*(preferred_labels(policy) for policy in self._policies))

    @property
    def _policies(self) -> Iterator[TrafficPolicy | None]:
        yield self.traffic_policy
        yield from (subset.traffic_policy for subset in self.subsets)

    def problems(self) -> Iterator[Problem]:
        names = [subset.name for subset in self.subsets]
        for position, name in enumerate(names):
            if name in names[:position]:
                yield Problem(f"must be unique: subset {name} is already defined", f"subsets[{position}].name")


def preferred_labels(policy: TrafficPolicy | None) -> frozenset[str]:
    """List the labels of clients by which a policy prefers some endpoints to others."""
    balancers = policy.load_balancers if policy else ()
    settings = (setting for each in balancers for setting in (each.locality_lb_setting, each.zone_aware_lb_setting))
    return frozenset(label for setting in settings if setting for label in setting.client_labels)


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))
