"""The commands that show and change a running mesh."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.live.mesh import Caller, Mesh, until
from tests.live.servers import NAMED
from tests.live.yaml_texts import TO_V1, VERSIONS, container, pod, rule, service, together

# A program of some 54000 instructions, which is more than Envoys are told to allow.
VAST = "x{900}" * 60


@pytest.fixture
def file(httpbin: Mesh) -> Iterator[Path]:
    """A file with a VirtualService that is not applied yet; what it names is deleted in the end."""
    path = httpbin.base / "rule.yaml"
    path.write_text(rule("directResponse: {status: 418}"))
    yield path
    httpbin.run("delete", "vs", "httpbin", "--ignore-not-found")


def test_apply_wait_and_delete_of_a_file(httpbin: Mesh, sleep: Caller, file: Path) -> None:
    said = httpbin.do("apply", "-f", file)
    waited = httpbin.run("wait", "vs/httpbin")
    teapot = sleep.get("http://httpbin:8000/get").status
    again = httpbin.do("apply", "-f", file)
    deleted = httpbin.do("delete", "-f", file)
    until(lambda: sleep.get("http://httpbin:8000/get").status == 200, 10, "the rule to be gone")
    missing = httpbin.run("get", "vs", "httpbin")
    assert [said, again, deleted] == [
        f"VirtualService default/httpbin {what}\n" for what in ("created", "unchanged", "deleted")
    ]
    assert (waited.code, teapot, missing.code) == (0, 418, 1)
    assert "vs 'httpbin' does not exist" in missing.err


def test_get_prints_objects_in_all_forms(httpbin: Mesh, file: Path) -> None:
    httpbin.do("apply", "-f", file)
    written = yaml.safe_load(file.read_text())
    as_yaml = yaml.safe_load(httpbin.do("get", "vs", "httpbin", "-o", "yaml"))
    as_json = json.loads(httpbin.do("get", "virtualservices", "httpbin", "-o", "json"))
    assert as_yaml["spec"] == as_json["spec"] == written["spec"]
    assert (as_json["kind"], as_json["metadata"]["namespace"]) == ("VirtualService", "default")
    assert httpbin.do("get", "vs", "-o", "name") == "virtualservice/httpbin\n"
    wide = httpbin.do("get", "vs", "-o", "wide").splitlines()
    assert [*wide[0].split()[:4], *wide[1].split()[:3]] == [
        "KIND",
        "NAME",
        "STATE",
        "SOURCE",
        "VirtualService",
        "httpbin",
        "accepted",
    ]
    assert httpbin.do("get", "deploy", "-n", "istio-system", "-o", "name") == "deployment/istio-ingressgateway\n"


def test_a_printed_object_can_be_applied_again(httpbin: Mesh, file: Path) -> None:
    httpbin.do("apply", "-f", file)
    printed = httpbin.do("get", "vs", "httpbin", "-o", "yaml")
    assert "unchanged" in httpbin.run("apply", "-f", "-", stdin=printed).out


def test_what_is_not_valid_is_refused_and_the_rest_applied(httpbin: Mesh, file: Path) -> None:
    file.write_text(
        together(file.read_text(), file.read_text().replace("name: httpbin", "name: wrong").replace("418", "'many'"))
    )
    line = next(number for number, text in enumerate(file.read_text().splitlines(), 1) if "many" in text)
    ended = httpbin.run("apply", "-f", file)
    assert ended.code == 2
    assert set(ended.out.splitlines()) == {
        "VirtualService default/wrong refused",
        "VirtualService default/httpbin created",
    }
    assert f"rule.yaml:{line}: spec.http[0].directResponse.status: " in ended.err


def test_an_object_of_a_file_stays_deleted_until_the_file_changes(httpbin: Mesh, sleep: Caller) -> None:
    said = httpbin.do("delete", "service", "httpbin")
    assert said.startswith("Service default/httpbin deleted")
    until(lambda: sleep.resolve("httpbin") == [], 10, "the name to be gone")
    httpbin.do("apply", "-f", Path(__file__).parents[2] / "examples" / "httpbin")
    until(lambda: sleep.get("http://httpbin:8000/get").status == 200, 10, "the service to be back")


def test_what_was_waited_for_can_be_called(httpbin: Mesh, sleep: Caller) -> None:
    """A pod is live when its endpoint is in all proxies, and not yet when its process is ready."""
    ready = "readinessProbe: {tcpSocket: {port: 7000}, periodSeconds: 1}"
    named = pod("named", container([httpbin.python, "-c", NAMED, "7000"], more=ready))
    with httpbin.having(service("named", "{name: http, port: 7000}")):
        statuses = []
        for _ in range(3):
            httpbin.api.post("v1", "apply", body={"documents": [{"file": "", "text": named}]})
            httpbin.live(yaml.safe_load(named))
            statuses.append(sleep.get("http://named:7000/").status)
            httpbin.delete(named)
    assert statuses == [200] * 3


def test_wait_tells_what_is_missing(httpbin: Mesh) -> None:
    never = pod("never", container(["sleep", "1000"], more="readinessProbe: {exec: {command: ['false']}}"))
    httpbin.run("apply", "-f", "-", stdin=never)
    try:
        ended = httpbin.run("wait", "pod/never", "--timeout", "2s")
        unknown = httpbin.run("wait", "vs/nobody")
    finally:
        httpbin.delete(never)
    assert (ended.code, "pod/never is not live" in ended.err, "never" in ended.err) == (1, True, True)
    assert (unknown.code, "does not exist" in unknown.err) == (1, True), unknown


def test_a_refusal_by_a_proxy_is_shown_with_the_object_behind_it(httpbin: Mesh, sleep: Caller) -> None:
    """Envoy knows limits that no schema tells: here of the length of a pattern's program."""
    vast = rule(f"match: [{{uri: {{regex: '{VAST}'}}}}]\n{TO_V1}", TO_V1)
    with httpbin.having(together(VERSIONS, rule(TO_V1))):
        httpbin.run("apply", "-f", "-", stdin=vast)
        try:
            waited = httpbin.run("wait", "vs/httpbin", "--timeout", "3s")
            shown = httpbin.run("proxy-status", "deploy/sleep")
            listed = next(line for line in httpbin.do("ps").splitlines() if line.startswith("sleep"))
            answer = sleep.get("http://httpbin:8000/get")
        finally:
            httpbin.apply(rule(TO_V1))
        httpbin.settled()
    assert (waited.code, "vs/httpbin is not live" in waited.err) == (1, True), waited
    assert "refuses RDS" in shown.said
    assert "VirtualService default/httpbin" in shown.said
    assert "error" in listed
    assert (answer.status, answer.version) == (200, "v1")


def test_proxy_status_lists_all_proxies(httpbin: Mesh) -> None:
    httpbin.settled()
    shown = httpbin.do("proxy-status").replace(".istio-system", ".istio_system")
    rows = [line.split() for line in shown.splitlines()]
    assert rows[0] == ["NAME", "ROLE", "CDS", "LDS", "ECDS", "EDS", "RDS", "SDS", "CONNECTED"]
    assert {(row[0].rsplit("-", 2)[0], row[1], row[2]) for row in rows[1:]} == {
        ("httpbin", "sidecar", "synced"),
        ("httpbin-v2", "sidecar", "synced"),
        ("sleep", "sidecar", "synced"),
        ("istio-ingressgateway", "router", "synced"),
    }


@pytest.mark.parametrize(
    "what, expected",
    [
        ("listeners", "15001"),
        ("policies", "policies|inbound|80 "),
        ("clusters", "httpbin.default.svc.cluster.local"),
        ("routes", "httpbin.default.svc.cluster.local:8000"),
        ("endpoints", "outbound|8000||httpbin.default.svc.cluster.local"),
        ("bootstrap", "sidecar~"),
        ("all", "15006"),
    ],
)
def test_proxy_config_shows_what_a_proxy_runs(httpbin: Mesh, what: str, expected: str) -> None:
    assert expected in httpbin.do("proxy-config", what, "deploy/sleep")
    json.loads(httpbin.do("proxy-config", what, "deploy/sleep", "-o", "json"))


def test_ps_lists_everything(httpbin: Mesh) -> None:
    rows = json.loads(httpbin.do("ps", "-o", "json"))
    listed = httpbin.do("ps").splitlines()
    assert [line.split()[0] for line in listed[1:]] == [row["name"] for row in rows]
    assert {row["owner"] for row in rows} == {
        f"Deployment/{name}" for name in ("httpbin", "httpbin-v2", "sleep", "istio-ingressgateway")
    }


def test_a_workload_is_found_by_all_its_names(httpbin: Mesh) -> None:
    (row,) = httpbin.ready("sleep")
    names = ("sleep", "deploy/sleep", row["name"], f"{row['name']}.default", "sleep.default")
    assert [httpbin.run("exec", name, "--", "true").code for name in names] == [0] * len(names)
    assert httpbin.run("exec", "nobody", "--", "true").code == 1


def test_health_and_metrics_of_a_proxy_are_there(httpbin: Mesh, sleep: Caller) -> None:
    address = httpbin.instances("httpbin")[0]["address"]
    assert sleep.get("http://127.0.0.1:15021/healthz/ready").status == 200
    assert "envoy_server_live" in sleep.get("http://127.0.0.1:15090/stats/prometheus").body
    assert sleep.get(f"http://{address}:15000/config_dump").status != 200


def test_without_a_mesh_commands_say_so(httpbin: Mesh) -> None:
    other = Mesh(httpbin.user, httpbin.base, httpbin.prefix, name="nowhere")
    ended = other.run("ps")
    assert (ended.code, "mesh 'nowhere' is not running" in ended.err) == (3, True)


def test_a_second_up_of_the_same_name_is_refused(httpbin: Mesh) -> None:
    ended = httpbin.run("up", "-d", Path(__file__).parents[2] / "examples" / "sleep")
    assert (ended.code, "already running" in ended.err) == (1, True)
    httpbin.ready("sleep")
