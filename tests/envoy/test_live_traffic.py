"""A real Envoy does with requests what the plan says."""

import json
import socket
import stat
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from lateen.model.endpoint import Endpoint
from lateen.model.protocol import Protocol
from lateen.model.proxy import Role
from lateen.names import outbound_cluster
from lateen.plan.http_types import HttpManner
from lateen.plan.telemetry_types import LogFile
from lateen.plan.types import (
    Cluster,
    CorsRules,
    Discovery,
    Fault,
    Forward,
    GatewayListener,
    HeaderOperations,
    HttpChain,
    Mirror,
    NamedMatch,
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
    VirtualHost,
)

from .plans import ANY, exact, logged, prefix, regex
from .running import HOST, RunningEnvoy, ask, free_port, greeting_server, http_server, running_envoy, split

pytestmark = pytest.mark.live

WEB = "web.default.svc.cluster.local"
V1, V2, DEAD = (outbound_cluster(WEB, 80, subset) for subset in ("v1", "v2", "dead"))
TO_V1 = Forward((Target(V1),))
ROUTES = (
    Route(RequestMatch(exact("/fault")), TO_V1, fault=Fault(abort_status=418)),
    Route(RequestMatch(exact("/slow")), TO_V1, fault=Fault(delay=timedelta(milliseconds=300))),
    Route(RequestMatch(prefix("/moved")), Redirect(302, authority="example.com", path="/here")),
    Route(RequestMatch(exact("/teapot")), Respond(418, b"short and stout")),
    Route(RequestMatch(prefix("/old/")), Forward((Target(V1),), rewrite=Rewrite(prefix="/new/"))),
    Route(RequestMatch(prefix("/whole/")), Forward((Target(V1),), rewrite=Rewrite(path=r"/one\1"))),
    Route(
        RequestMatch(regex("/item/[0-9]+")),
        Forward((Target(V1),), rewrite=Rewrite(regex="/item/(.*)", substitution=r"/\1")),
    ),
    Route(RequestMatch(exact("/name")), Forward((Target(V1, 80), Target(V2, 20)))),
    Route(RequestMatch(exact("/dead")), Forward((Target(DEAD),))),
    Route(RequestMatch(exact("/mirrored")), Forward((Target(V1),), mirrors=(Mirror(DEAD),))),
    Route(
        RequestMatch(exact("/half")),
        Forward((Target(V2),), retry=Retry(2, ("connect-failure",)), rewrite=Rewrite(authority="other")),
    ),
    Route(
        RequestMatch(exact("/headers")),
        TO_V1,
        request_headers=HeaderOperations(set=(("x-share", "100%"),), remove=("x-secret",)),
        response_headers=HeaderOperations(add=(("x-served", "yes"),)),
        cors=CorsRules((exact("https://a.example"),), credentials=True),
    ),
    Route(RequestMatch(headers=(NamedMatch("end-user", exact("jason")),)), Forward((Target(V2),))),
    Route(ANY, TO_V1),
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningEnvoy, int]]:
    """A gateway in front of two servers, and its port."""
    port = free_port()
    with http_server("v1") as first, http_server("v2") as second:
        endpoints = {
            "v1": (Endpoint(HOST, first, {"subset": "v1"}),),
            "v2": (Endpoint(HOST, second, {"subset": "v2"}), Endpoint("127.0.0.2", free_port(), {"subset": "v2"})),
        }
        known = (*endpoints["v1"], *endpoints["v2"])
        plan = ProxyPlan(
            Role.GATEWAY,
            clusters=tuple(_subset(name) for name in ("v1", "v2", "dead")),
            route_tables=(RouteTable(f"http.{port}", (VirtualHost("*:80", ("*",), ROUTES),)),),
            gateway=(GatewayListener(HOST, port, HttpChain(f"http.{port}")),),
            telemetry=logged(LogFile("/dev/stdout")),
        )
        with running_envoy(plan, lambda host, port: known, tmp_path_factory.mktemp("gateway")) as envoy:
            yield envoy, port


def test_a_request_goes_through(gateway: tuple[RunningEnvoy, int]) -> None:
    answer = ask(gateway[1], "/anything")
    assert (answer.status, json.loads(answer.body)["name"]) == (200, "v1")
    assert answer.headers["server"] == "istio-envoy"


def test_faults_are_injected(gateway: tuple[RunningEnvoy, int]) -> None:
    answer = ask(gateway[1], "/fault")
    assert (answer.status, answer.body) == (418, "fault filter abort")
    began = time.monotonic()
    assert ask(gateway[1], "/slow").status == 200
    assert time.monotonic() - began >= 0.29


def test_redirects_and_direct_responses_need_no_server(gateway: tuple[RunningEnvoy, int]) -> None:
    moved = ask(gateway[1], "/moved/away")
    assert (moved.status, moved.headers["location"]) == (302, "http://example.com/here")
    answer = ask(gateway[1], "/teapot")
    assert (answer.status, answer.body) == (418, "short and stout")


@pytest.mark.parametrize(
    ("asked", "seen"),
    [("/old/a?b=c", "/new/a?b=c"), ("/whole/a/b?c=d", r"/one\1?c=d"), ("/item/7", "/7"), ("/a/../b", "/b")],
)
def test_paths_are_rewritten(gateway: tuple[RunningEnvoy, int], asked: str, seen: str) -> None:
    assert json.loads(ask(gateway[1], asked).body)["path"] == seen


def test_weights_split_the_requests(gateway: tuple[RunningEnvoy, int]) -> None:
    seen = split(gateway[1], "/name", 200)
    assert seen.keys() == {"v1", "v2"} or seen["v1"] + seen["v2"] > 150
    assert 130 <= seen["v1"] <= 185


def test_headers_are_changed(gateway: tuple[RunningEnvoy, int]) -> None:
    answer = ask(gateway[1], "/headers", x_secret="1", origin="https://a.example")
    seen = json.loads(answer.body)["headers"]
    assert (seen["x-share"], "x-secret" in seen, seen["x-envoy-attempt-count"]) == ("100%", False, "1")
    assert answer.headers["x-served"] == "yes"
    assert answer.headers["access-control-allow-origin"] == "https://a.example"


def test_a_header_picks_the_route(gateway: tuple[RunningEnvoy, int]) -> None:
    bodies = {ask(gateway[1], "/half").body for _ in range(10)}
    assert {json.loads(body)["headers"]["host"] for body in bodies} == {"other"}
    assert {json.loads(body)["name"] for body in bodies} == {"v2"}


def test_no_endpoint_is_no_healthy_upstream(gateway: tuple[RunningEnvoy, int]) -> None:
    answer = ask(gateway[1], "/dead")
    assert (answer.status, answer.body) == (503, "no healthy upstream")
    assert ask(gateway[1], "/mirrored").status == 200


def test_statistics_carry_whole_cluster_names(gateway: tuple[RunningEnvoy, int]) -> None:
    envoy, port = gateway
    ask(port, "/anything")
    ask(port, "/dead")
    labels = f'cluster_name="{V1}"'
    envoy.wait_for_statistic(f"envoy_cluster_upstream_rq_time_count{{{labels}}}")
    envoy.wait_for_statistic(f'envoy_cluster_upstream_rq{{response_code="200",{labels}}}')
    envoy.wait_for_statistic(f'envoy_cluster_upstream_rq{{response_code="503",cluster_name="{DEAD}"}}')
    listener = f'http_conn_manager_prefix="outbound_{HOST}_{port}"'
    envoy.wait_for_statistic(f'envoy_http_downstream_rq{{response_code_class="2xx",{listener}}}')


def test_the_admin_interface_is_for_the_owner_only(gateway: tuple[RunningEnvoy, int]) -> None:
    envoy, _ = gateway
    assert stat.S_IMODE(envoy.admin_socket.stat().st_mode) == 0o600
    assert ask(envoy.metrics_port, "/config_dump").status == 404
    assert ask(envoy.health_port, "/quitquitquit").status == 404


def test_detection_lets_http_be_routed_and_a_server_speak_first(tmp_path: Path) -> None:
    port = free_port()
    with greeting_server(b"220 hello\r\n") as server:
        plan = ProxyPlan(
            Role.GATEWAY,
            clusters=(Cluster(V1, Discovery.STATIC, protocol=Protocol.TCP, endpoints=(Endpoint(HOST, server),)),),
            route_tables=(RouteTable("t", (VirtualHost("v", ("*",), (Route(ANY, Respond(200, b"routed")),)),)),),
            gateway=(GatewayListener(HOST, port, SniffedChain(HttpChain("t"), TcpChain((Target(V1),)))),),
            manner=HttpManner(looks_for=timedelta(milliseconds=200)),
        )
        with running_envoy(plan, lambda host, port: (), tmp_path):
            assert ask(port, "/").body == "routed"
            with socket.create_connection((HOST, port), timeout=5) as connection:
                assert connection.recv(100) == b"220 hello\r\n"


def _subset(name: str) -> Cluster:
    cluster = outbound_cluster(WEB, 80, name)
    return Cluster(cluster, Discovery.EDS, WEB, 80, name, (("subset", name),), protocol=Protocol.HTTP)
