"""DestinationRules: which ones hold for a host, and what they come to for one of its ports and subsets."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from lateen.api.networking import destination_rule as api
from lateen.api.networking.destination_rule import ConnectionPool, DestinationRule, LoadBalancer, TrafficPolicy
from lateen.api.networking.tls import ClientTls
from lateen.api.objects import ConfigObject
from lateen.api.structs import alias
from lateen.plan import defaults as mesh_defaults
from lateen.plan.defaults import Defaults
from lateen.plan.destination_types import FOREVER, Keeping, Ping, RetryBudget, Tunnel
from lateen.plan.diagnostics import Doubt, Notes, below
from lateen.plan.types import Balancing, Diagnostic, HashKey, Limits, Origin, OutlierDetection

_BY_CLIENT: Final = LoadBalancer(consistent_hash=api.ConsistentHash(use_source_ip=True))
Rules = tuple[ConfigObject[DestinationRule], ...]

_BALANCING: Final = {
    api.SimpleLoadBalancer.RANDOM: Balancing.RANDOM,
    api.SimpleLoadBalancer.ROUND_ROBIN: Balancing.ROUND_ROBIN,
    api.SimpleLoadBalancer.PASSTHROUGH: Balancing.ORIGINAL_DESTINATION,
}


@dataclass(frozen=True, slots=True, eq=False)
class SubsetPolicy:
    """A subset as one of the host's rules defines it."""

    subset: api.Subset
    origin: Origin


@dataclass(frozen=True, slots=True, eq=False)
class HostPolicy:
    """All that DestinationRules say of one host, merged: subsets of all rules, the traffic policy of the first."""

    policy: TrafficPolicy | None = None
    origin: Origin | None = None
    subsets: Mapping[str, SubsetPolicy] = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = ()


NO_POLICY: Final = HostPolicy()


@dataclass(frozen=True, slots=True)
class Settings:
    """What a policy comes to for one port of a host or subset."""

    load_balancer: LoadBalancer | None = None
    pool: ConnectionPool | None = None
    outliers: api.OutlierDetection | None = None
    tls: ClientTls | None = None
    tunnel: api.Tunnel | None = None
    proxy_protocol: api.ProxyProtocol | None = None
    retry_budget: api.RetryBudget | None = None


def merge_rules(rules: Rules) -> HostPolicy:
    """Merge the rules of one host, in their order: of subsets with one name, and of policies, the first counts."""
    if not rules:
        return NO_POLICY
    notes = Notes()
    subsets: dict[str, SubsetPolicy] = {}
    policy: TrafficPolicy | None = None
    origin: Origin | None = None
    for rule in rules:
        if rule.spec.traffic_policy is not None:
            place = Origin(rule.key, "spec.trafficPolicy")
            if policy is None:
                policy, origin = rule.spec.traffic_policy, place
                _note_without_effect(notes, place, policy)
            else:
                notes.add(place, f"has no effect: {origin} decides for this host", Doubt.OVERRULED)
        _add_subsets(subsets, rule, notes)
    return HostPolicy(policy, origin, subsets, notes.all)


def _add_subsets(subsets: dict[str, SubsetPolicy], rule: ConfigObject[DestinationRule], notes: Notes) -> None:
    for position, subset in enumerate(rule.spec.subsets):
        place = Origin(rule.key, f"spec.subsets[{position}]")
        known = subsets.setdefault(subset.name, SubsetPolicy(subset, place))
        if known.origin != place:
            notes.add(place, f"has no effect: subset {subset.name} is already defined by {known.origin}")
        elif subset.traffic_policy is not None:
            _note_without_effect(notes, below(place, "trafficPolicy"), subset.traffic_policy)


def keeping_clients(host: HostPolicy) -> HostPolicy:
    """Pick endpoints by the client's address where no rule says how they are picked."""
    policy = host.policy or TrafficPolicy()
    if policy.load_balancer is not None:
        return host
    return replace(host, policy=policy.model_copy(update={"load_balancer": _BY_CLIENT}))


def settle(host: HostPolicy, port: int, subset: str, defaults: Defaults) -> Settings:
    """Settle the levels of a policy for one port: the mesh's default, the host's, its port's, the subset's, its port's.

    A port's settings replace those around them as a whole; a subset's replace the host's one by one.
    """
    settled = _of_level(host.policy, port, Settings())
    defined = host.subsets.get(subset)
    if defined is not None:
        settled = _of_level(defined.subset.traffic_policy, port, settled)
    return replace(settled, pool=settled.pool or defaults.pool, outliers=settled.outliers or defaults.outliers)


def _of_level(policy: TrafficPolicy | None, port: int, inherited: Settings) -> Settings:
    if policy is None:
        return inherited
    level = replace(
        inherited,
        tunnel=policy.tunnel or inherited.tunnel,
        proxy_protocol=policy.proxy_protocol or inherited.proxy_protocol,
        retry_budget=policy.retry_budget or inherited.retry_budget,
    )
    for own in policy.port_level_settings:
        if own.port.number == port:
            return replace(
                level,
                load_balancer=own.load_balancer,
                pool=own.connection_pool,
                outliers=own.outlier_detection,
                tls=own.tls,
            )
    return replace(
        level,
        load_balancer=policy.load_balancer or inherited.load_balancer,
        pool=policy.connection_pool or inherited.pool,
        outliers=policy.outlier_detection or inherited.outliers,
        tls=policy.tls or inherited.tls,
    )


def preferred_labels(host: HostPolicy, defaults: Defaults) -> frozenset[str]:
    """List the labels of clients that some preference for localities looks at."""
    found: frozenset[str] = frozenset()
    if defaults.localities is not None:
        found |= defaults.localities.client_labels
    if defaults.zones is not None:
        found |= defaults.zones.client_labels
    policies = (host.policy, *(defined.subset.traffic_policy for defined in host.subsets.values()))
    return found.union(*map(api.preferred_labels, policies))


def balancing(setting: LoadBalancer | None) -> Balancing:
    """Choose how endpoints are picked; the default is the one with the fewest requests."""
    if setting is None:
        return Balancing.LEAST_REQUEST
    if setting.consistent_hash is not None:
        return Balancing.MAGLEV if setting.consistent_hash.maglev else Balancing.RING_HASH
    return _BALANCING.get(setting.simple or api.SimpleLoadBalancer.UNSPECIFIED, Balancing.LEAST_REQUEST)


def ring_size(setting: LoadBalancer | None) -> int | None:
    """Read the smallest size of the ring, where a ring is used."""
    if balancing(setting) is not Balancing.RING_HASH or setting is None or setting.consistent_hash is None:
        return None
    hashing = setting.consistent_hash
    if hashing.ring_hash is not None:
        return hashing.ring_hash.minimum_ring_size
    return hashing.minimum_ring_size or 1024


def table_size(setting: LoadBalancer | None) -> int | None:
    """Read the size of the Maglev table, where there is one."""
    hashing = setting.consistent_hash if setting else None
    return hashing.maglev.table_size if hashing and hashing.maglev else None


def hash_keys(setting: LoadBalancer | None) -> tuple[HashKey, ...]:
    """Read what consistent hashing looks at; nothing without it."""
    hashing = setting.consistent_hash if setting else None
    if hashing is None:
        return ()
    if hashing.http_header_name is not None:
        return (HashKey(header=hashing.http_header_name.lower()),)
    if hashing.http_cookie is not None:
        cookie = hashing.http_cookie
        attributes = tuple((each.name, each.value) for each in cookie.attributes)
        return (
            HashKey(cookie=cookie.name, cookie_path=cookie.path, cookie_ttl=cookie.ttl, cookie_attributes=attributes),
        )
    if hashing.http_query_parameter_name is not None:
        return (HashKey(query=hashing.http_query_parameter_name),)
    return (HashKey(source_ip=True),) if hashing.use_source_ip else ()


def keeps_clients(keys: tuple[HashKey, ...]) -> bool:
    """Tell whether hashing looks at the client's address, all that is known of a connection."""
    return any(key.source_ip for key in keys)


@dataclass(frozen=True, slots=True)
class SlowStart:
    """How an endpoint that is new gets its share."""

    duration: timedelta | None = None
    aggression: float = 1.0
    minimum_percent: float = 10.0


def slow_start(setting: LoadBalancer | None) -> SlowStart:
    """Read the warm-up of new endpoints; only LEAST_REQUEST and ROUND_ROBIN have one."""
    if setting is None or balancing(setting) not in (Balancing.LEAST_REQUEST, Balancing.ROUND_ROBIN):
        return SlowStart()
    if setting.warmup is None:
        return SlowStart(setting.warmup_duration_secs)
    warmup = setting.warmup
    percent = 10.0 if warmup.minimum_percent is None else warmup.minimum_percent
    return SlowStart(warmup.duration, warmup.aggression or 1.0, percent)


def limits(settings: Settings, defaults: Defaults) -> Limits:
    """Read the bounds of what is open towards a destination at once."""
    pool, budget = settings.pool, settings.retry_budget
    tcp = (pool.tcp if pool else None) or api.TcpPool()
    http = (pool.http if pool else None) or api.HttpPool()
    return Limits(
        connect_timeout=tcp.connect_timeout or defaults.connect_timeout,
        connections=tcp.max_connections or None,
        pending_requests=http.http1_max_pending_requests or None,
        requests=http.http2_max_requests or None,
        retries=http.max_retries or None,
        requests_per_connection=http.max_requests_per_connection or None,
        concurrent_streams=http.max_concurrent_streams or None,
        idle_timeout=http.idle_timeout,
        connection_duration=tcp.max_connection_duration,
        keepalive=mesh_defaults.keepalive(tcp.tcp_keepalive) or defaults.keepalive,
        ping=_ping(http.http2_keep_alive),
        retry_budget=_retry_budget(budget) if budget else None,
    )


def keeping(settings: Settings) -> Keeping:
    """Read how long connections last that are not looked into."""
    tcp = settings.pool.tcp if settings.pool else None
    return Keeping(tcp.idle_timeout, tcp.max_connection_duration) if tcp else FOREVER


def tunnel(setting: api.Tunnel | None) -> Tunnel | None:
    """Read where an HTTP proxy is asked to connect to."""
    if setting is None:
        return None
    return Tunnel(setting.target_host, setting.target_port, by_post=setting.protocol == "POST")


def _ping(setting: api.Http2KeepAlive | None) -> Ping | None:
    return Ping(setting.interval, setting.timeout) if setting else None


def _retry_budget(setting: api.RetryBudget) -> RetryBudget:
    """Read a budget: 20 % of the requests, and three in any case."""
    return RetryBudget(
        percent=20.0 if setting.percent is None else setting.percent,
        minimum=3 if setting.min_retry_concurrency is None else setting.min_retry_concurrency,
        interval=setting.budget_interval or None,
    )


def outlier_detection(setting: api.OutlierDetection | None) -> OutlierDetection | None:
    """Read when failing endpoints are left out; None when nobody asks for it."""
    if setting is None:
        return None
    splits = bool(setting.split_external_local_origin_errors)
    local = setting.consecutive_local_origin_failures
    gateway = setting.consecutive_gateway_errors
    return OutlierDetection(
        consecutive_5xx=_detector(setting.consecutive_5xx_errors, 5),
        consecutive_gateway=_detector(setting.consecutive_errors if gateway is None else gateway, 0),
        consecutive_local=_detector(local, 5) if splits else None,
        splits_local=splits,
        interval=setting.interval or timedelta(seconds=10),
        ejection_time=setting.base_ejection_time or timedelta(seconds=30),
        max_ejected_percent=10 if setting.max_ejection_percent is None else setting.max_ejection_percent,
        min_healthy_percent=setting.min_health_percent or 0,
        failure_codes=setting.outlier_detection_http_error_codes,
    )


def _detector(count: int | None, default: int) -> int | None:
    """Return how many failures a detector waits for; 0 turns it off."""
    return (default if count is None else count) or None


def _note_without_effect(notes: Notes, place: Origin, policy: TrafficPolicy) -> None:
    """Note what a policy says and nothing comes of, at the policy itself and at its ports."""
    for path, level in _levels(policy):
        at = below(place, path) if path else place
        if level.load_balancer is not None:
            _note_localities(notes, below(at, "loadBalancer"), level, policy)


def _levels(policy: TrafficPolicy) -> Iterator[tuple[str, TrafficPolicy | api.PortTrafficPolicy]]:
    yield "", policy
    for position, setting in enumerate(policy.port_level_settings):
        yield f"portLevelSettings[{position}]", setting


def _note_localities(
    notes: Notes, at: Origin, level: TrafficPolicy | api.PortTrafficPolicy, policy: TrafficPolicy
) -> None:
    """Note a preference that nobody can act on: without ejection no endpoint is ever known to fail."""
    balancer = level.load_balancer
    if balancer is None:
        return
    if balancer.zone_aware_lb_setting is not None and balancer.consistent_hash is not None:
        notes.add(below(at, alias("zone_aware_lb_setting")), "has no effect beside consistentHash, which picks alone")
    setting = balancer.locality_lb_setting
    if setting is None or setting.enabled is False or level.outlier_detection or policy.outlier_detection:
        return
    for name in ("failover", "failover_priority"):
        if getattr(setting, name):
            path = f"{alias('locality_lb_setting')}.{alias(name)}"
            notes.add(below(at, path), "has no effect without outlierDetection, which finds out what fails")
