"""What workloads without a sidecar reach, and that the mesh's rules are not theirs."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.live.mesh import EXAMPLES, Answer, Mesh, a_mesh, until
from tests.live.yaml_texts import TO_V1, VERSIONS, container, pod, rule, service, together
from tests.platforms.local.live_mesh import users

HTTPBIN = "http://httpbin:8000/get"
SLEEP = container(["sleep", "1000"])
BARE = pod("bare", SLEEP, annotations='{sidecar.istio.io/inject: "false"}')
PASSING = pod("passing", SLEEP, annotations='{traffic.sidecar.istio.io/excludeOutboundPorts: "8000"}')
NAMES = together(
    service("pods", "{name: http, port: 8000, targetPort: 8080}", more="clusterIP: None", app="httpbin"),
    """
apiVersion: v1
kind: Service
metadata: {name: binary}
spec: {type: ExternalName, externalName: httpbin}
""",
)


@pytest.fixture(scope="module", params=users())
def mixed(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    """Httpbin in two versions and a gateway; sleep has a sidecar, `bare` has none, that of `passing` has an exception."""
    with a_mesh(request.param) as made:
        workloads = made.base / "workloads.yaml"
        workloads.write_text(together(BARE, PASSING, NAMES))
        gateway = EXAMPLES / "bookinfo" / "ingressgateway.yaml"
        made.up(EXAMPLES / "httpbin", EXAMPLES / "sleep", gateway, workloads)
        yield made


def versions(answers: list[Answer]) -> set[str]:
    """The versions that answered; all answers are good ones."""
    assert {answer.status for answer in answers} == {200}, answers
    return {answer.version for answer in answers}


def test_services_are_reached_by_name_and_by_address(mixed: Mesh) -> None:
    with mixed.call_from("bare") as bare:
        (address,) = bare.resolve("httpbin")
        assert bare.resolve("httpbin.default") == bare.resolve("httpbin.default.svc.cluster.local") == [address]
        assert bare.resolve("nobody.default") == []
        for host in ("httpbin", "httpbin.default.svc.cluster.local", address):
            assert versions(bare.requests(f"http://{host}:8000/get", 16)) == {"v1", "v2"}
        assert bare.get(f"http://{address}:8001/get").error.startswith("ConnectionRefusedError")


def test_headless_services_and_aliases_have_names_too(mixed: Mesh) -> None:
    pods = sorted(row["address"] for row in mixed.workloads() if row["app"] == "httpbin")
    with mixed.call_from("bare") as bare:
        assert bare.resolve("pods") == pods
        assert bare.resolve("binary") == bare.resolve("httpbin")
        assert bare.get("http://pods:8080/get").status == 200


def test_rules_hold_only_where_a_sidecar_takes_the_connection(mixed: Mesh) -> None:
    with (
        mixed.having(together(VERSIONS, rule(TO_V1))),
        mixed.call_from("deploy/sleep") as sleep,
        mixed.call_from("bare") as bare,
        mixed.call_from("passing") as passing,
    ):
        assert versions(sleep.requests(HTTPBIN, 16)) == {"v1"}
        assert versions(bare.requests(HTTPBIN, 16)) == {"v1", "v2"}
        assert versions(passing.requests(HTTPBIN, 16)) == {"v1", "v2"}


def test_a_gateway_knows_the_names_of_the_mesh(mixed: Mesh) -> None:
    with mixed.call_from("deploy/istio-ingressgateway") as gateway:
        assert len(gateway.resolve("httpbin.default")) == 1
        assert versions(gateway.requests("http://httpbin.default:8000/get", 16)) == {"v1", "v2"}


def test_an_endpoint_that_leaves_takes_no_request_with_it(mixed: Mesh) -> None:
    with mixed.call_from("bare") as bare:
        mixed.do("scale", "httpbin-v2", "--replicas", 0)
        until(lambda: versions(bare.requests(HTTPBIN, 20)) == {"v1"}, what="v2 to be gone")
        until(
            lambda: versions(bare.requests(HTTPBIN, 5)) and not mixed.instances("httpbin-v2"), what="its pod to be gone"
        )
        mixed.do("scale", "httpbin-v2", "--replicas", 1)
        until(lambda: versions(bare.requests(HTTPBIN, 20)) == {"v1", "v2"}, what="v2 to be back")


def test_names_and_routes_outlive_the_control_plane(mixed: Mesh) -> None:
    before = mixed.control_plane()
    with mixed.call_from("bare") as bare:
        os.kill(before, signal.SIGKILL)
        assert versions(bare.requests(HTTPBIN, 16)) == {"v1", "v2"}
        until(lambda: mixed.control_plane() not in (0, before), what="another control plane")
        assert versions(bare.requests(HTTPBIN, 16)) == {"v1", "v2"}
