"""Ways to write a path or a host so that rules read something else than the workload: what the real Envoy makes of each.

Every path is sent to a port that denies `/admin`, and to one that allows nothing but `/public`.
"""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from lateen.api.mesh.connection_settings import EscapedSlashes
from lateen.model.endpoint import Endpoint
from lateen.model.proxy import Role
from lateen.names import INBOUND_PASSTHROUGH_CLUSTER, inbound_cluster
from lateen.plan import paths
from lateen.plan.http_types import HttpManner, PathReading
from lateen.plan.types import (
    Cluster,
    Discovery,
    Forward,
    Guard,
    Guards,
    HttpChain,
    InboundPort,
    ProxyPlan,
    Route,
    RouteTable,
    Target,
    TcpChain,
    VirtualHost,
)

from .identities import Authority
from .plans import ANY
from .running import HOST, free_port, http_server, running_envoy
from .test_authorization_agreement import guard_of, listening

pytestmark = pytest.mark.live

READINGS = {
    "none": PathReading(normalizes=False),
    "base": PathReading(),
    "merge": PathReading(merges_slashes=True),
    "decode": PathReading(merges_slashes=True, escaped_slashes=EscapedSlashes.FORWARD),
}


@dataclass(frozen=True)
class Doors:
    """Ports by the rules that stand there: `deny` /admin, `allow` /public only, `host` denies admin.example.com."""

    deny: int
    allow: int
    host: int


@pytest.fixture(scope="module", params=READINGS)
def reading(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def doors(reading: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """An Envoy that reads paths in one of the ways, before a server that tells which path it got."""
    place = tmp_path_factory.mktemp(reading)
    found = Doors(free_port(), free_port(), free_port())
    rules = {
        found.deny: _policy("DENY", {"paths": ["/admin", "/admin/*"]}),
        found.allow: _policy("ALLOW", {"paths": ["/public/*"]}),
        found.host: _policy("DENY", {"hosts": ["admin.example.com"]}),
    }
    with ExitStack() as stack:
        server = stack.enter_context(http_server("web"))
        plan = _plan({port: guard_of([document]) for port, document in rules.items()}, server, READINGS[reading])
        listens = lambda config: listening(list(rules), place, Authority(), config)  # noqa: E731
        stack.enter_context(running_envoy(plan, lambda *_: (), place, listens))
        yield found


PATHS = (
    # path, and what each reading does: denied by the rule about /admin, or the path that the workload gets
    ("/admin", "denied", "denied", "denied", "denied"),
    ("/admin/", "denied", "denied", "denied", "denied"),
    ("/admin?x=1", "denied", "denied", "denied", "denied"),
    ("/ADMIN", "/ADMIN", "/ADMIN", "/ADMIN", "/ADMIN"),
    ("//admin", "//admin", "//admin", "denied", "denied"),
    ("/./admin", "/./admin", "denied", "denied", "denied"),
    ("/x/../admin", "/x/../admin", "denied", "denied", "denied"),
    ("/x/%2e%2e/admin", "/x/%2e%2e/admin", "denied", "denied", "denied"),
    ("/x/.%2E/admin", "/x/.%2E/admin", "denied", "denied", "denied"),
    ("/%61dmin", "/%61dmin", "denied", "denied", "denied"),
    ("/%2561dmin", "/%2561dmin", "/%2561dmin", "/%2561dmin", "/%2561dmin"),
    ("/x%2f..%2fadmin", "/x%2f..%2fadmin", "/x%2f..%2fadmin", "/x%2f..%2fadmin", "denied"),
    ("/x/..%2fadmin", "/x/..%2fadmin", "/x/..%2fadmin", "/x/..%2fadmin", "denied"),
    ("/admin%2fx", "/admin%2fx", "/admin%2fx", "/admin%2fx", "denied"),
    ("/x\\..\\admin", "/x\\..\\admin", "denied", "denied", "denied"),
    ("/x%5c..%5cadmin", "/x%5c..%5cadmin", "/x%5c..%5cadmin", "/x%5c..%5cadmin", "denied"),
    ("/admin;v=1", "/admin;v=1", "/admin;v=1", "/admin;v=1", "/admin;v=1"),
    ("/admin/;v=1", "denied", "denied", "denied", "denied"),
    ("/x/..;/admin", "/x/..;/admin", "denied", "denied", "denied"),
    ("/x;/../admin", "/x;/../admin", "denied", "denied", "denied"),
    ("/admin%00", "/admin%00", "400", "400", "400"),
    ("/admin%20", "/admin%20", "/admin%20", "/admin%20", "/admin%20"),
    ("/admin#x", "400", "400", "400", "400"),
    ("/x?/../admin", "/x?/../admin", "/x?/../admin", "/x?/../admin", "/x?/../admin"),
    ("/..", "/..", "/", "/", "/"),
    ("/x//../admin", "/x//../admin", "/x/admin", "/x/admin", "/x/admin"),
)


@pytest.mark.parametrize("case", PATHS, ids=lambda case: case[0])
def test_a_path_is_denied_or_reaches_the_workload_as_it_was_read(
    doors: Doors, reading: str, case: tuple[str, ...]
) -> None:
    wanted = dict(zip(READINGS, case[1:], strict=True))[reading]
    assert _sent(doors.deny, case[0]) == wanted
    read = paths.read(READINGS[reading], case[0])
    assert wanted in ("denied", "400" if read is None else read)


ESCAPES = (
    # out of what is allowed, and what each reading makes of it
    ("/public/x", "/public/x", "/public/x", "/public/x", "/public/x"),
    ("/public/../admin", "/public/../admin", "denied", "denied", "denied"),
    ("/public/%2e%2e/admin", "/public/%2e%2e/admin", "denied", "denied", "denied"),
    ("/public/..%2fadmin", "/public/..%2fadmin", "/public/..%2fadmin", "/public/..%2fadmin", "denied"),
    ("/public/..;/admin", "/public/..;/admin", "denied", "denied", "denied"),
    # Envoy takes parameters off dots before it reads escapes: servers that do both may read this as /admin
    ("/public/%2e%2e;/admin", "/public/%2e%2e;/admin", "/public/..;/admin", "/public/..;/admin", "/public/..;/admin"),
    ("/public//../../admin", "/public//../../admin", "denied", "denied", "denied"),
    ("/public\\..\\..\\admin", "denied", "denied", "denied", "denied"),
    ("/Public/x", "denied", "denied", "denied", "denied"),
    ("/public", "denied", "denied", "denied", "denied"),
)


@pytest.mark.parametrize("case", ESCAPES, ids=lambda case: case[0])
def test_what_is_allowed_cannot_be_left(doors: Doors, reading: str, case: tuple[str, ...]) -> None:
    assert _sent(doors.allow, case[0]) == dict(zip(READINGS, case[1:], strict=True))[reading]


HOSTS = (
    ("admin.example.com", "denied"),
    ("ADMIN.example.COM", "denied"),
    ("admin.example.com:80", "denied"),
    ("admin.example.com:8080", "denied"),
    ("Admin.Example.Com:", "denied"),
    ("admin.example.com.", "denied"),
    ("admin.example.com.:80", "denied"),
    ("admin.example.com/x", "400"),
    # no hosts at all, yet Envoy passes them on: a rule that denies a host does not see it in them
    ("admin.example.com:80:80", "/"),
    ("x@admin.example.com", "/"),
    ("admin.example.com%00", "/"),
    ("x.admin.example.com", "/"),
    ("admin.example.comx", "/"),
)


@pytest.mark.parametrize(("host", "wanted"), HOSTS)
def test_a_host_is_the_same_however_it_is_written(doors: Doors, host: str, wanted: str) -> None:
    assert _sent(doors.host, "/", host) == wanted


def test_a_whole_url_counts_by_its_own_host(doors: Doors) -> None:
    assert _sent(doors.host, "http://admin.example.com/", "other.example.com") == "denied"
    assert _sent(doors.deny, "http://any.example.com/admin") == "denied"


def _sent(port: int, path: str, host: str = "shop.example.com") -> str:
    """Send a request as it is written; return `denied`, another status, or the path that the server got."""
    with socket.create_connection((HOST, port), timeout=10) as connection:
        head = f"GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
        connection.sendall(head.encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        status, body = answer.status, answer.read()
    if status == 200:
        return str(json.loads(body)["path"])
    return "denied" if status == 403 else str(status)


def _policy(action: str, operation: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "p", "namespace": "default"}
    spec = {"action": action, "rules": [{"to": [{"operation": operation}]}]}
    return {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": metadata, "spec": spec}


def _plan(guards: dict[int, Guard], server: int, reading: PathReading) -> ProxyPlan:
    chain = RouteTable("all", (VirtualHost("all", ("*",), (Route(ANY, Forward((Target("web"),))),)),))
    clusters = (
        Cluster(name, Discovery.STATIC, endpoints=(Endpoint(HOST, server),))
        for name in ("web", INBOUND_PASSTHROUGH_CLUSTER)
    )
    return ProxyPlan(
        Role.SIDECAR,
        clusters=tuple(clusters),
        route_tables=(),
        inbound=tuple(InboundPort(port, HttpChain(inbound_cluster(port), chain)) for port in guards),
        inbound_fallback=TcpChain((Target(INBOUND_PASSTHROUGH_CLUSTER),)),
        guards=Guards(by_port=tuple(guards.items())),
        manner=HttpManner(reading),
    )
