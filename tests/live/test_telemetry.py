"""What proxies tell of calls: exactly Istio's metrics, from both ends, and what Telemetry objects change about them."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.live import metrics_of
from tests.live.mesh import Caller, Mesh, until
from tests.live.metrics_of import Series
from tests.live.yaml_texts import container, pod, service, sidecar, together

HTTPBIN = "http://httpbin:8000"
REQUESTS = "istio_requests_total"
ECHO = """
import socketserver
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while said := self.request.recv(100):
            self.request.sendall(said)
socketserver.ThreadingTCPServer(("", 9000), Echo).serve_forever()
"""
SLEEP = {
    "source_workload": "sleep",
    "source_canonical_service": "sleep",
    "source_canonical_revision": "latest",
    "source_workload_namespace": "default",
    "source_principal": "spiffe://cluster.local/ns/default/sa/sleep",
    "source_app": "sleep",
    "source_version": "unknown",
    "source_cluster": "Kubernetes",
}
NOBODY = {name: "latest" if name.endswith("revision") else "unknown" for name in SLEEP}
NOWHERE = {
    **{name.replace("source", "destination"): value for name, value in NOBODY.items()},
    "destination_service_namespace": "unknown",
}
HTTPBIN_V2 = {
    "destination_workload": "httpbin-v2",
    "destination_canonical_service": "httpbin",
    "destination_canonical_revision": "v2",
    "destination_workload_namespace": "default",
    "destination_principal": "spiffe://cluster.local/ns/default/sa/httpbin",
    "destination_app": "httpbin",
    "destination_version": "v2",
    "destination_cluster": "Kubernetes",
    "destination_service": "httpbin.default.svc.cluster.local",
    "destination_service_name": "httpbin",
    "destination_service_namespace": "default",
}
HTTP = {"request_protocol": "http", "response_code": "200", "grpc_response_status": "", "response_flags": "-"}
AT_SOURCE = {"reporter": "source", "connection_security_policy": "unknown"}
AT_DESTINATION = {"reporter": "destination", "connection_security_policy": "mutual_tls"}
UNPROTECTED = {"reporter": "destination", "connection_security_policy": "none"}


@dataclass(frozen=True)
class Watch:
    """What the proxy of a workload told before."""

    mesh: Mesh
    workload: str
    before: Counter[Series]

    def news(self) -> dict[Series, float]:
        """What it has told since then."""
        return metrics_of.news(self.before, metrics_of.told(self.mesh, self.workload))

    def until_told(self, name: str, labels: dict[str, str]) -> None:
        """Waits until a call with exactly these labels has been told.

        Histograms are a second old when they are read: calls from before the watch may be among the news.
        """

        def is_told() -> bool:
            return any(told == labels and count >= 1 for told, count in metrics_of.of(self.news(), name))

        until(is_told, 10, f"{name} of {self.workload}")

    def only(self, name: str) -> tuple[dict[str, str], float]:
        """The one series of a metric that has grown."""
        found = until(lambda: metrics_of.of(self.news(), name), 10, f"{name} of {self.workload}")
        assert len(found) == 1, found
        return found[0]


@pytest.fixture
def watch(httpbin: Mesh) -> Callable[[str], Watch]:
    """Begins to watch a workload of the httpbin mesh."""
    return lambda workload: Watch(httpbin, workload, metrics_of.told(httpbin, workload))


@pytest.fixture(scope="module")
def echo(httpbin: Mesh) -> Iterator[str]:
    """A server that is not HTTP."""
    said = together(service("raw-echo", "{name: tcp, port: 9000}"), _server("raw-echo", [httpbin.python, "-c", ECHO]))
    with httpbin.having(said):
        httpbin.ready("raw-echo")
        yield "raw-echo"


@pytest.fixture(scope="module")
def stranger(httpbin: Mesh) -> Iterator[Caller]:
    """Calls from a workload without a proxy."""
    outside = pod("stranger", container(["sleep", "infinity"])).replace(
        "{app: stranger}", '{app: stranger, sidecar.istio.io/inject: "false"}'
    )
    with httpbin.having(outside), httpbin.call_from("stranger") as caller:
        yield caller


def _server(name: str, command: list[str]) -> str:
    ready = "readinessProbe: {tcpSocket: {port: 9000}, periodSeconds: 1}"
    return pod(name, container(command, more=ready))


def _to_v2(sleep: Caller, path: str = "/get", **how: Any) -> None:
    """Asks until version 2 has answered once, on a connection of its own each time."""
    until(lambda: sleep.get(f"{HTTPBIN}{path}", **how).version == "v2", 10, "an answer of v2")


def test_both_ends_tell_istios_metrics_of_a_request(
    httpbin: Mesh, sleep: Caller, watch: Callable[[str], Watch]
) -> None:
    client, server = watch("sleep"), watch("httpbin-v2")
    _to_v2(sleep, headers={"x-envoy-peer-metadata": "Zm9yZ2Vk", "x-forwarded-client-cert": "By=spiffe://a;URI=b"})
    for seen, ends in ((client, AT_SOURCE), (server, AT_DESTINATION)):
        labels = {**SLEEP, **HTTPBIN_V2, **HTTP, **ends}
        seen.until_told(REQUESTS, labels)
        for metric in ("request_duration_milliseconds", "request_bytes", "response_bytes"):
            seen.until_told(f"istio_{metric}_count", labels)


def test_the_status_of_grpc_is_told(sleep: Caller, watch: Callable[[str], Watch]) -> None:
    client = watch("sleep")
    sleep.get(f"{HTTPBIN}/response-headers?grpc-status=5", headers={"content-type": "application/grpc"})
    labels, count = client.only(REQUESTS)
    told = (labels["request_protocol"], labels["response_code"], labels["grpc_response_status"], count)
    assert told == ("grpc", "200", "5", 1)


def test_both_ends_tell_istios_metrics_of_a_connection(echo: str, sleep: Caller, watch: Callable[[str], Watch]) -> None:
    client, server = watch("sleep"), watch(echo)
    assert sleep.talk(echo, 9000, send="x" * 50)["reply"] == "x" * 50
    destination = {
        **NOWHERE,
        "destination_workload": echo,
        "destination_canonical_service": echo,
        "destination_workload_namespace": "default",
        "destination_principal": "spiffe://cluster.local/ns/default/sa/default",
        "destination_app": echo,
        "destination_cluster": "Kubernetes",
        "destination_service": f"{echo}.default.svc.cluster.local",
        "destination_service_name": echo,
        "destination_service_namespace": "default",
    }
    for seen, ends in ((client, AT_SOURCE), (server, AT_DESTINATION)):
        labels = {**SLEEP, **destination, **ends, "request_protocol": "tcp", "response_flags": "-"}
        for metric, value in (
            ("connections_opened", 1),
            ("connections_closed", 1),
            ("sent_bytes", 50),
            ("received_bytes", 50),
        ):
            assert seen.only(f"istio_tcp_{metric}_total") == (labels, value)


def test_who_calls_without_a_certificate_is_unknown(stranger: Caller, watch: Callable[[str], Watch]) -> None:
    server = watch("httpbin-v2")
    _to_v2(stranger, headers={"x-envoy-peer-metadata-id": "sidecar~1~sleep.default~x"})
    server_labels, _ = server.only(REQUESTS)
    unproven = {**HTTPBIN_V2, "destination_principal": "unknown"}
    assert server_labels == {**NOBODY, **unproven, **HTTP, **UNPROTECTED}


def test_a_host_that_nobody_knows_is_told_as_passthrough(sleep: Caller, watch: Callable[[str], Watch]) -> None:
    client = watch("sleep")
    sleep.get(f"{HTTPBIN}/get", headers={"host": "elsewhere.example"})
    service_ = {"destination_service": "elsewhere.example", "destination_service_name": "PassthroughCluster"}
    unproven = {**SLEEP, "source_principal": "unknown"}
    assert client.only(REQUESTS)[0] == {**unproven, **NOWHERE, **service_, **HTTP, **AT_SOURCE}


def test_what_may_not_leave_is_told_as_a_black_hole(
    httpbin: Mesh, sleep: Caller, watch: Callable[[str], Watch]
) -> None:
    with httpbin.having(sidecar("outboundTrafficPolicy: {mode: REGISTRY_ONLY}")):
        client = watch("sleep")
        assert sleep.get(f"{HTTPBIN}/get", headers={"host": "elsewhere.example"}).status == 502
        labels, _ = client.only(REQUESTS)
    told = {name: labels[name] for name in ("destination_service", "destination_service_name", "response_code")}
    assert told == {
        "destination_service": "elsewhere.example",
        "destination_service_name": "BlackHoleCluster",
        "response_code": "502",
    }


def test_the_port_for_metrics_tells_the_same_under_istios_names(httpbin: Mesh, sleep: Caller) -> None:
    sleep.get(f"{HTTPBIN}/get")
    sleep.get("http://127.0.0.1:15090/stats/prometheus")
    page = until(lambda: sleep.get("http://127.0.0.1:15090/stats/prometheus").body, 10)
    here = metrics_of.series(page)
    assert here.pop(("istio_build", frozenset({("component", "proxy"), ("tag", version("lateen"))}))) == 1
    there = metrics_of.told(httpbin, "sleep")
    assert {labels for _, labels in here} == {labels for name, labels in there if name != "istio_build"}
    assert "\nistio_requests_total{" in page
    assert "envoy_istio_" not in page


def telemetry(name: str, spec: str) -> str:
    """A Telemetry for sleep."""
    return f"""
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: sleep}}}}
{spec}
"""


def test_labels_come_and_go_and_metrics_too(httpbin: Mesh, sleep: Caller, watch: Callable[[str], Watch]) -> None:
    changes = """
  metrics:
  - overrides:
    - match: {metric: REQUEST_COUNT, mode: CLIENT}
      tagOverrides:
        response_flags: {operation: REMOVE}
        team: {value: "request.headers['x-team']"}
        place: {value: "'port ' + string(destination.port)"}
    - match: {metric: REQUEST_SIZE}
      disabled: true
    - match: {customMetric: by_team, mode: CLIENT}
      tagOverrides: {team: {value: "request.headers['x-team']"}}
"""
    with httpbin.having(telemetry("labels", changes)):
        client = watch("sleep")
        sleep.get(f"{HTTPBIN}/status/202", headers={"x-team": "blue"})  # no other test has this status
        labels, _ = client.only(REQUESTS)
        assert client.only("istio_by_team")[0]["team"] == "blue"
        usual = {name: value for name, value in labels.items() if name not in ("team", "place")} | {
            "response_flags": "-"
        }
        client.until_told("istio_response_bytes_count", usual)
        assert usual not in [told for told, _ in metrics_of.of(client.news(), "istio_request_bytes_count")]
    assert "response_flags" not in labels
    assert (labels["team"], labels["place"], labels["reporter"]) == ("blue", "port 8000", "source")


def test_only_errors_are_logged(httpbin: Mesh, sleep: Caller, tmp_path: Path) -> None:
    log = tmp_path / "errors.log"
    provider = f"""
apiVersion: mesh.istio.io/v1alpha1
kind: MeshConfig
metadata: {{name: mesh, namespace: istio-system}}
spec:
  extensionProviders:
  - name: errors
    envoyFileAccessLog:
      path: {log}
      logFormat: {{labels: {{code: "%RESPONSE_CODE%", path: "%REQ(:PATH)%"}}}}
"""
    errors = """
  accessLogging:
  - providers: [{name: errors}]
    match: {mode: CLIENT}
    filter: {expression: "response.code >= 400"}
"""
    with httpbin.having(together(provider, telemetry("errors", errors))):
        for code in (200, 404, 201, 503):
            sleep.get(f"{HTTPBIN}/status/{code}")
        lines = until(lambda: found if len(found := _lines(log)) >= 2 else [], 10, "two lines")
    assert [(line["code"], line["path"]) for line in lines] == [(404, "/status/404"), (503, "/status/503")]


def _lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
