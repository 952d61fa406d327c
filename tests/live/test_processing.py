"""What is done to requests that are let in: keys are asked for, and processors change messages."""

from collections.abc import Iterator

import pytest

from tests.live import servers
from tests.live.mesh import Caller, Mesh, until
from tests.live.yaml_texts import container, pod, service, together

BODY = "http://httpbin:8000/anything"
KEYS = """
apiVersion: v1
kind: Secret
metadata: {name: clients}
stringData: {alice: key-of-alice-1, bob: key-of-bob-2}
---
apiVersion: lateen.dev/v1
kind: ApiKeyAuthentication
metadata: {name: keys}
spec:
  selector: {matchLabels: {app: httpbin}}
  secret: {name: clients}
  from: [{header: authorization}, {header: x-api-key}, {query: key}]
"""
PROCESSOR = """
apiVersion: lateen.dev/v1
kind: ExternalProcessor
metadata: {name: loud}
spec:
  selector: {matchLabels: {app: httpbin}}
  provider: {name: loud}
  match: {paths: [/headers], methods: [GET]}
  request: {headers: SEND}
  response: {headers: SEND, body: BUFFERED}
"""
SETTINGS = """
apiVersion: mesh.istio.io/v1alpha1
kind: MeshConfig
metadata: {name: mesh, namespace: istio-system}
spec:
  extensionProviders:
  - {name: loud, envoyExtProcGrpc: {service: loud.default.svc.cluster.local, port: 9000, timeout: 5s}}
"""


@pytest.fixture(scope="module")
def processor(httpbin: Mesh) -> Iterator[None]:
    """A processor that writes bodies in capitals, as a workload of the mesh."""
    server = pod("loud", container([httpbin.python, "-c", servers.PROCESSOR, "9000"]))
    with httpbin.having(together(SETTINGS, service("loud", "{name: grpc, port: 9000}"), server)):
        yield


def test_only_who_shows_a_key_is_let_in_and_the_application_is_told_who(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(KEYS):
        until(lambda: {one.status for one in sleep.requests(BODY, 10)} == {401})
        for how in ({"headers": {"x-api-key": "key-of-bob-2"}}, {"headers": {"authorization": "Bearer key-of-bob-2"}}):
            told = sleep.get(BODY, **how)
            assert (told.status, told.json["headers"].get("x-api-client")) == (200, "bob")
            assert "key-of-bob-2" not in told.body
        assert sleep.get(f"{BODY}?key=key-of-alice-1").json["headers"]["x-api-client"] == "alice"
        assert sleep.get(BODY, headers={"x-api-key": "key-of-bob", "x-api-client": "bob"}).status == 401
        spoofed = sleep.get(BODY, headers={"x-api-key": "key-of-bob-2", "x-api-client": "alice"})
        assert spoofed.json["headers"]["x-api-client"] == "bob"


def test_nobody_reads_keys_in_what_proxies_and_the_control_plane_show(httpbin: Mesh) -> None:
    with httpbin.having(KEYS):
        name = next(row["name"] for row in httpbin.workloads() if row["app"] == "httpbin")
        shown = httpbin.do("proxy-config", "policies", name, "-o", "json")
        assert "api_key_auth" in shown
        assert "key-of-alice" not in shown
        assert "key-of-alice" not in httpbin.do("exec", name, "--", "curl", "-s", "localhost:15000/config_dump")


@pytest.mark.usefixtures("processor")
def test_a_processor_changes_headers_and_bodies_of_the_requests_it_is_for(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(PROCESSOR):

        def processed() -> bool:
            return {one.headers.get("x-loud") for one in sleep.requests("http://httpbin:8000/headers", 6)} == {"yes"}

        until(processed)
        told = sleep.get("http://httpbin:8000/headers", headers={"x-word": "quiet"})
        assert told.json["HEADERS"].items() >= {"X-WORD": "QUIET", "X-SEEN": "BY PROCESSOR"}.items()
        assert "x-loud" not in sleep.get(BODY).headers


@pytest.mark.usefixtures("processor")
def test_without_its_processor_a_request_fails_unless_it_may_pass(httpbin: Mesh, sleep: Caller) -> None:
    strict = PROCESSOR.replace("name: loud}", "name: nobody}")
    with httpbin.having(strict):
        until(lambda: {one.status for one in sleep.requests("http://httpbin:8000/headers", 6)} == {500})
    with httpbin.having(strict + "  failOpen: true\n"):
        until(lambda: {one.status for one in sleep.requests("http://httpbin:8000/headers", 6)} == {200})
