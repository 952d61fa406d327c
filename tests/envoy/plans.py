"""Plans written by hand: a sidecar, a gateway, and a large mesh."""

from datetime import timedelta

from lateen.api.objects import ObjectKey
from lateen.model.endpoint import Endpoint, Health
from lateen.model.protocol import Protocol
from lateen.model.proxy import Role
from lateen.model.workload import Locality
from lateen.names import BLACK_HOLE_CLUSTER, INBOUND_PASSTHROUGH_CLUSTER, PASSTHROUGH_CLUSTER, outbound_cluster
from lateen.plan.destination_types import Keeping
from lateen.plan.telemetry_types import AccessLog, LogFile, Reports, Telemetry
from lateen.plan.types import (
    Balancing,
    Cluster,
    CorsRules,
    Discovery,
    DnsRecord,
    Fault,
    Forward,
    GatewayListener,
    HashKey,
    HeaderOperations,
    HttpChain,
    InboundPort,
    Keepalive,
    Limits,
    MatchKind,
    Mirror,
    NamedMatch,
    Origin,
    OutboundListener,
    OutlierDetection,
    ProxyPlan,
    Redirect,
    RequestMatch,
    Respond,
    Retry,
    Rewrite,
    Route,
    RouteTable,
    SniffedChain,
    Target,
    TcpChain,
    TextMatch,
    VirtualHost,
)

REVIEWS = "reviews.default.svc.cluster.local"
ORIGIN = Origin(ObjectKey("networking.istio.io", "VirtualService", "default", "reviews"), "spec.http[0]")
ANY = RequestMatch()


def exact(text: str) -> TextMatch:
    return TextMatch(MatchKind.EXACT, text)


def prefix(text: str) -> TextMatch:
    return TextMatch(MatchKind.PREFIX, text)


def regex(text: str) -> TextMatch:
    return TextMatch(MatchKind.REGEX, text)


def logged(log: LogFile) -> Telemetry:
    """Return the telemetry of a proxy that writes one log of all its calls."""
    reports = Reports(logs=(AccessLog(log),))
    return Telemetry(reports, reports)


def to(*clusters: str) -> Forward:
    return Forward(tuple(Target(cluster) for cluster in clusters))


V1 = outbound_cluster(REVIEWS, 9080, "v1")
V2 = outbound_cluster(REVIEWS, 9080, "v2")

EVERY_ACTION = (
    Route(
        RequestMatch(
            exact("/exact"),
            headers=(
                NamedMatch("end-user", exact("jason")),
                NamedMatch("x-not", TextMatch(MatchKind.REGEX, "a.*", inverted=True)),
                NamedMatch("x-absent", TextMatch(MatchKind.PRESENT, inverted=True)),
                NamedMatch(":method", exact("GET")),
            ),
            query=(NamedMatch("page", prefix("1")), NamedMatch("debug", TextMatch(MatchKind.PRESENT))),
        ),
        Forward(
            (Target(V1, 90), Target(V2, 10, response_headers=HeaderOperations(set=(("x-version", "v2"),)))),
            rewrite=Rewrite(path="/new", authority="other.example.com"),
            timeout=timedelta(seconds=3),
            retry=Retry(3, ("5xx", "retriable-status-codes"), (409,), timedelta(seconds=1), crosses_localities=True),
            mirrors=(Mirror(V2, 12.5),),
            hash_keys=(HashKey(header="x-user"), HashKey(cookie="c", cookie_ttl=timedelta(0)), HashKey(source_ip=True)),
        ),
        name="everything",
        fault=Fault(delay=timedelta(seconds=7), delay_percent=0.1, abort_status=500, abort_percent=50),
        cors=CorsRules((exact("https://example.com"), regex(".*")), ("GET", "POST"), max_age=timedelta(days=1)),
        request_headers=HeaderOperations(set=(("x-share", "100%"),), add=(("x-peer", "%DOWNSTREAM_REMOTE_ADDRESS%"),)),
        response_headers=HeaderOperations(remove=("server",)),
        origin=ORIGIN,
    ),
    Route(RequestMatch(prefix("/old")), Forward((Target(V1),), rewrite=Rewrite(prefix="/new"))),
    Route(
        RequestMatch(TextMatch(MatchKind.REGEX, "/item/[0-9]+", ignore_case=True)),
        Forward((Target(V1),), rewrite=Rewrite(regex="^/item/([0-9]+)$", substitution=r"/\1")),
    ),
    Route(RequestMatch(prefix("/moved")), Redirect(308, "https", "example.com", 8443, prefix="/")),
    Route(RequestMatch(prefix("/teapot")), Respond(418, b"short and stout")),
    Route(ANY, to(V1), name="default"),
)

EVERY_CLUSTER = (
    Cluster(
        V1,
        Discovery.EDS,
        REVIEWS,
        9080,
        "v1",
        (("version", "v1"),),
        Protocol.HTTP2,
        limits=Limits(concurrent_streams=100, keepalive=Keepalive(3, timedelta(seconds=60), timedelta(seconds=5))),
        outliers=OutlierDetection(7, 5, 3, splits_local=True, max_ejected_percent=50),
        origin=Origin(ObjectKey("networking.istio.io", "DestinationRule", "default", "reviews")),
    ),
    Cluster(V2, Discovery.EDS, REVIEWS, 9080, "v2", (("version", "v2"),), Protocol.HTTP, Balancing.RING_HASH, 1024),
    Cluster("outbound|80||maglev", Discovery.EDS, REVIEWS, 9080, balancing=Balancing.MAGLEV, table_size=65537),
    Cluster("outbound|80||slow", Discovery.EDS, REVIEWS, 9080, slow_start=timedelta(minutes=1)),
    Cluster(
        "outbound|443||dns.example.com",
        Discovery.DNS,
        protocol=Protocol.HTTP,
        balancing=Balancing.ROUND_ROBIN,
        limits=Limits(connections=1, pending_requests=1, requests_per_connection=1, idle_timeout=timedelta(seconds=30)),
        endpoints=(Endpoint("dns.example.com", 443),),
    ),
    Cluster("outbound|80||one.example.com", Discovery.DNS_ROUND_ROBIN, endpoints=(Endpoint("one.example.com", 80),)),
    Cluster("outbound|81||static", Discovery.STATIC, endpoints=(Endpoint("unix:///tmp/socket", 0),)),
    Cluster("inbound|9080||", Discovery.ORIGINAL_DESTINATION, protocol=Protocol.HTTP, bind_address="127.0.0.6"),
    Cluster(PASSTHROUGH_CLUSTER, Discovery.ORIGINAL_DESTINATION, follows_client_protocol=True),
    Cluster(INBOUND_PASSTHROUGH_CLUSTER, Discovery.ORIGINAL_DESTINATION, bind_address="127.0.0.6"),
    Cluster(BLACK_HOLE_CLUSTER, Discovery.NONE),
)

PASSTHROUGH = TcpChain((Target(PASSTHROUGH_CLUSTER),))
INBOUND_TABLE = RouteTable(
    "inbound|9080||", (VirtualHost("inbound|http|9080", ("*",), (Route(ANY, to("inbound|9080||"), "default"),)),)
)

SIDECAR = ProxyPlan(
    Role.SIDECAR,
    clusters=EVERY_CLUSTER,
    route_tables=(
        RouteTable("9080", (VirtualHost(f"{REVIEWS}:9080", (REVIEWS, "reviews"), EVERY_ACTION, requires_tls=False),)),
        RouteTable(f"{REVIEWS}:8000", (VirtualHost(f"{REVIEWS}:8000", ("*",), (Route(ANY, to(V1)),)),)),
    ),
    outbound=(
        OutboundListener("0.0.0.0", 9080, HttpChain("9080"), PASSTHROUGH),
        OutboundListener("10.96.0.7", 3306, TcpChain((Target(V1, 1), Target(V2, 3), Target("unused", 0)))),
        OutboundListener("10.96.0.8", 8000, SniffedChain(HttpChain(f"{REVIEWS}:8000"), TcpChain((Target(V1),)))),
    ),
    outbound_fallback=PASSTHROUGH,
    inbound=(
        InboundPort(9080, HttpChain("inbound|9080||", INBOUND_TABLE), REVIEWS),
        InboundPort(3306, TcpChain((Target("inbound|3306||"),), Keeping(timedelta(hours=1), timedelta(days=1)))),
        InboundPort(8000, SniffedChain(HttpChain("x", INBOUND_TABLE), TcpChain((Target("inbound|8000||"),)))),
        InboundPort(8001, SniffedChain(HttpChain("x", INBOUND_TABLE), TcpChain((Target("inbound|8001||"),)))),
    ),
    inbound_fallback=TcpChain((Target(INBOUND_PASSTHROUGH_CLUSTER),)),
    dns=(DnsRecord(REVIEWS, ("10.96.0.7",)), DnsRecord("reviews", ("10.96.0.7", "10.96.0.9"))),
    telemetry=logged(LogFile("/dev/stdout")),
)

GATEWAY = ProxyPlan(
    Role.GATEWAY,
    clusters=EVERY_CLUSTER[:2],
    route_tables=(
        RouteTable("http.8080", (VirtualHost("*:8080", ("*",), EVERY_ACTION), VirtualHost("s", ("s",), (), True))),
    ),
    gateway=(
        GatewayListener("0.0.0.0", 8080, HttpChain("http.8080")),
        GatewayListener("0.0.0.0", 9000, TcpChain((Target(V1),))),
    ),
    telemetry=logged(LogFile("/dev/stdout", json=True)),
)

ENDPOINTS = (
    Endpoint("10.244.0.3", 9080, {"app": "reviews", "version": "v1"}, "reviews-v1-abc", "default"),
    Endpoint("10.244.0.4", 9080, {"app": "reviews", "version": "v2"}, "reviews-v2-abc", "default", weight=3),
    Endpoint("10.244.0.5", 9080, {"version": "v2"}, "b", "default", health=Health.UNHEALTHY),
    Endpoint("10.244.0.6", 9080, {"version": "v2"}, "c", "default", locality=Locality("eu", "a")),
    Endpoint("10.244.0.7", 9080, {"version": "v2"}, "d", "default", health=Health.DRAINING),
)


def lookup(host: str, port: int) -> tuple[Endpoint, ...]:
    """The endpoints of the one service that has any."""
    return ENDPOINTS if (host, port) == (REVIEWS, 9080) else ()
