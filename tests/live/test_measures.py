"""Metrics of real traffic: at the doors, in commands, in a real Prometheus and on the dashboards."""

import json
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from lateen.telemetry import dashboards, exposition
from lateen.telemetry.dashboard_types import queries
from tests.envoy.running import free_port
from tests.live.mesh import Caller, Mesh, until
from tests.platforms.local.live_mesh import users

pytestmark = pytest.mark.parametrize("bookinfo", users()[:1], indirect=True, scope="session")

OWN_METRICS = """
apiVersion: v1
kind: Pod
metadata:
  name: librarian
  labels: {{app: librarian}}
  annotations: {{prometheus.io/scrape: "true", prometheus.io/port: "8000", prometheus.io/path: /books}}
spec:
  containers:
  - name: librarian
    command: [python3, -m, http.server, "8000", --directory, "{folder}"]
    ports: [{{containerPort: 8000}}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: librarian}}
spec: {{selector: {{matchLabels: {{app: librarian}}}}, mtls: {{mode: STRICT}}}}
"""


@pytest.fixture
def sleeper(bookinfo: Mesh) -> Iterator[Caller]:
    """Calls from the workload sleep."""
    with bookinfo.call_from("deploy/sleep") as caller:
        yield caller


def door(mesh: Mesh) -> str:
    """The URL of the metrics of a mesh."""

    def published() -> str:
        ports = mesh.api.get("v1", "ports")["ports"]
        return next((port["url"] for port in ports if port["service"] == "istiod" and not port["error"]), "")

    return until(published, 15, "a published door for metrics")


def read(url: str) -> str:
    """The text at an address."""
    with urllib.request.urlopen(url, timeout=20) as answer:
        return str(answer.read().decode())


def test_discovery_lists_what_runs_and_all_of_it_can_be_read(bookinfo: Mesh) -> None:
    url = door(bookinfo)
    groups = json.loads(read(f"{url}/sd"))
    listed = {group["labels"].get("instance") for group in groups if group["labels"]["job"] == "envoy-stats"}
    assert listed == {f"{row['name']}.{row['namespace']}" for row in bookinfo.workloads()}
    for group in groups:
        found = exposition.read(read(f"http://{group['targets'][0]}{group['labels']['__metrics_path__']}"))
        assert len(found.families) > 10
        assert found.unreadable == 0


def test_a_workload_s_metrics_have_its_application_s_with_them(bookinfo: Mesh, sleeper: Caller) -> None:
    with tempfile.TemporaryDirectory(dir=bookinfo.base) as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "books").write_text("# TYPE books_lent_total counter\nbooks_lent_total 7\n")
        with bookinfo.having(OWN_METRICS.format(folder=folder)):
            bookinfo.ready("librarian")
            told = read(f"{door(bookinfo)}/workloads/default/librarian/metrics")
            whole = read(f"{door(bookinfo)}/mesh/metrics")
            inside = sleeper.get(f"http://{bookinfo.instances('librarian')[0]['address']}:15020/stats/prometheus")
    assert "books_lent_total 7" in told.splitlines()
    assert "envoy_server_live 1" in " ".join(told.split())
    assert 'books_lent_total{namespace="default",pod="librarian"} 7' in whole.splitlines()
    assert (inside.status, "books_lent_total 7" in inside.body.splitlines()) == (200, True)


def test_the_control_plane_tells_istiod_s_metrics(bookinfo: Mesh) -> None:
    text = read(f"{door(bookinfo)}/metrics")
    values = {(sample.name, sample.labels): sample.value for sample in exposition.samples(text)}
    names = {name for name, _ in values}
    proxied = len([row for row in bookinfo.workloads() if row["role"]])
    assert sum(value for (name, _), value in values.items() if name == "pilot_xds") == proxied
    assert values["pilot_xds_pushes", (("type", "cds"),)] >= proxied
    assert values["citadel_server_success_cert_issuance_count", ()] >= proxied
    assert names >= {"pilot_services", "pilot_proxy_convergence_time_count", "pilot_debounce_time_count"}
    assert values["citadel_server_root_cert_expiry_seconds", ()] > 86400


def test_top_shows_who_calls_whom(bookinfo: Mesh, sleeper: Caller) -> None:
    with sleeper.load("http://productpage:9080/productpage") as load:
        load.more(20)
        found = json.loads(bookinfo.do("top", "--interval", "2s", "-o", "json"))
    edges = {(edge["source_name"], edge["destination_name"]): edge for edge in found["edges"]}
    assert {("sleep", "productpage"), ("productpage-v1", "details"), ("productpage-v1", "reviews")} <= edges.keys()
    edge = edges["sleep", "productpage"]
    assert (edge["mtls"], edge["error_share"]) == ("yes", 0.0)
    assert edge["requests_per_second"] > 0
    assert 0 < edge["p50_ms"] <= edge["p90_ms"] <= edge["p99_ms"]


def test_a_question_is_answered_from_the_mesh(bookinfo: Mesh, sleeper: Caller) -> None:
    sleeper.requests("http://details:9080/details/0", 3)
    query = "sum(istio_requests_total{reporter='destination',destination_app='details'}) by (response_code)"
    found = json.loads(bookinfo.do("metrics", query, "-o", "json"))
    values = {row["metric"]["response_code"]: float(row["value"]) for row in found}
    assert values["200"] >= 3


class Prometheus:
    """A real one, that scrapes what a mesh's discovery lists."""

    def __init__(self, folder: Path, discovery: str) -> None:
        self._port = free_port()
        file = folder / "prometheus.yml"
        job = {"job_name": "mesh", "http_sd_configs": [{"url": discovery, "refresh_interval": "1s"}]}
        file.write_text(yaml.safe_dump({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}))
        self._process = subprocess.Popen(
            [
                *("prometheus", "--config.file", str(file), "--storage.tsdb.path", str(folder / "data")),
                *("--web.listen-address", f"127.0.0.1:{self._port}", "--log.level", "error"),
            ]
        )

    def __enter__(self) -> "Prometheus":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series that answer a query; none while it does not answer."""
        try:
            answer = json.loads(read(f"http://127.0.0.1:{self._port}/api/v1/query?query={quote(query)}"))
        except urllib.error.HTTPError as error:
            assert error.code == STARTING, f"{query}: {error.read().decode()}"
            return []
        except OSError:
            return []
        assert answer["status"] == "success", (query, answer)
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result


STARTING = 503
CHOSEN = {"__rate_interval": "20s", "service": ".*", "namespace": ".*", "workload": ".*"}
WITHOUT_DATA = ("5..", "4..", "response_flags!=", "tcp", "rejects", "failure", "scrape_failures", "total_connections")
"""What of the dashboards is empty while nothing goes wrong and nobody speaks anything but HTTP."""


def test_a_real_prometheus_finds_the_mesh_and_answers_every_query_of_the_dashboards(
    bookinfo: Mesh, sleeper: Caller, tmp_path: Path
) -> None:
    url = door(bookinfo)
    asked = [query for each in dashboards.DASHBOARDS for query in queries(each, CHOSEN)]
    needed = [query for query in asked if not any(word in query for word in WITHOUT_DATA)]
    with Prometheus(tmp_path, f"{url}/sd") as prometheus, sleeper.load("http://productpage:9080/productpage"):
        for query in needed:
            until(lambda query=query: prometheus.ask(query), 30, f"data for {query}")  # type: ignore[misc]
        assert prometheus.ask("up == 0") == []
        for query in asked:
            prometheus.ask(query)
