"""What each command prints, and how it ends."""

import json
import re
from pathlib import Path

import pytest

from lateen.cli import execute, logs
from lateen.cli.up import read_image_map
from lateen.platforms.local.report import PublishedRow
from tests.cli.conftest import Machine
from tests.serving.small_mesh import VIRTUAL_SERVICE, SmallMesh, workload

TYPO = VIRTUAL_SERVICE.replace("hosts: [reviews]", "host: [reviews]")


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.yaml"
    path.write_text(VIRTUAL_SERVICE)
    return path


def test_ps_lists_workloads_and_where_to_reach_them(machine: Machine, mesh: SmallMesh) -> None:
    mesh.workloads.ports = [
        PublishedRow(
            namespace="default",
            service="gateway",
            port=80,
            host_address="127.0.0.1",
            host_port=8080,
            url="http://127.0.0.1:8080",
            ready_targets=1,
        )
    ]
    result = machine.run("ps")
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["NAME", "NAMESPACE", "APP", "VERSION", "ADDRESS", "READY", "STATUS", "RESTARTS", "PROXY", "AGE"],
        ["reviews-v1-1", "default", "reviews", "v1", "10.244.1.1", "1/1", "Running", "0", "synced", "61m40s"],
        ["ratings-v1-1", "default", "ratings", "v1", "10.244.1.1", "0/1", "CrashLoopBackOff", "4", "error", "61m40s"],
    ]
    assert result.stderr == "gateway.default port 80: http://127.0.0.1:8080\n"
    assert machine.run_json("ps", "-o", "json")[0]["proxy"] == {"state": "synced", "message": "", "age_seconds": 61.0}
    assert "exited with code 1" in machine.run("ps", "-o", "wide").stdout
    assert machine.run("ps", "-n", "other", "-o", "name").stdout == ""


def test_apply_says_what_became_of_each_object(machine: Machine, mesh: SmallMesh, yaml: Path) -> None:
    assert machine.run("apply", "-f", "reviews.yaml").stdout == "VirtualService default/reviews created\n"
    assert machine.run("apply", "-f", ".").stdout == "VirtualService default/reviews unchanged\n"
    assert machine.run("apply", "-f", "-", "-n", "other", stdin=VIRTUAL_SERVICE).stdout == (
        "VirtualService other/reviews created\n"
    )


def test_apply_of_a_typo_is_refused_with_line_and_field(machine: Machine, mesh: SmallMesh, yaml: Path) -> None:
    yaml.write_text(TYPO)
    result = machine.run("apply", "-f", str(yaml))
    assert result.exit_code == 2
    assert result.stdout == "VirtualService default/reviews refused\n"
    assert "  reviews.yaml:6: spec.host: unknown field" in result.stderr


def test_get_lists_and_prints(machine: Machine, mesh: SmallMesh, yaml: Path) -> None:
    machine.run("apply", "-f", "reviews.yaml")
    lines = machine.run("get", "vs").stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["KIND", "NAME", "STATE", "SOURCE", "GENERATION"],
        ["VirtualService", "reviews", "accepted", "applied", "reviews.yaml:2", "2"],
    ]
    assert machine.run("get", "vs/reviews", "-o", "yaml").stdout.startswith("apiVersion: networking.istio.io/v1\n")
    assert machine.run_json("get", "vs", "reviews", "-o", "json")["spec"]["hosts"] == ["reviews"]
    assert machine.run_json("get", "svc", "-o", "json")["kind"] == "List"
    assert machine.run("get", "all", "-o", "name").stdout == (
        "service/reviews\ndeployment/reviews-v1\nvirtualservice/reviews\n"
    )


def test_what_get_prints_can_be_applied(machine: Machine, mesh: SmallMesh) -> None:
    text = machine.run("get", "all", "-A", "-o", "yaml").stdout
    result = machine.run("apply", "-f", "-", stdin=text)
    assert result.stdout == "Service default/reviews unchanged\nDeployment default/reviews-v1 unchanged\n"


def test_get_of_what_is_not_there_fails(machine: Machine, mesh: SmallMesh) -> None:
    result = machine.run("get", "vs", "x")
    assert (result.exit_code, result.stderr) == (1, "error: vs 'x' does not exist in namespace 'default'\n")
    result = machine.run("get", "vss")
    assert result.exit_code == 2


def test_delete_by_name_warns_when_a_file_still_holds_it(machine: Machine, mesh: SmallMesh) -> None:
    result = machine.run("delete", "svc", "reviews")
    assert (result.exit_code, result.stdout) == (0, "Service default/reviews deleted\n")
    assert "note: it is still written at /etc/mesh/mesh.yaml:2" in result.stderr
    assert machine.run("delete", "svc/reviews").exit_code == 1
    assert machine.run("delete", "svc/reviews", "--ignore-not-found").exit_code == 0


def test_delete_by_file(machine: Machine, mesh: SmallMesh, yaml: Path) -> None:
    machine.run("apply", "-f", "reviews.yaml")
    assert machine.run("delete", "-f", "reviews.yaml").stdout == "VirtualService default/reviews deleted\n"
    assert machine.run("delete", "-f", "reviews.yaml", "svc", "x").exit_code == 2


def test_scale(machine: Machine, mesh: SmallMesh) -> None:
    result = machine.run("scale", "deploy/reviews-v1", "--replicas", "2")
    assert (result.exit_code, result.stdout) == (0, "Deployment default/reviews-v1 configured\n")
    assert machine.run("scale", "svc/reviews", "--replicas", "2").exit_code == 2
    assert "does not exist" in machine.run("scale", "x", "--replicas", "2").stderr


def test_wait_answers_by_its_exit_code(machine: Machine, mesh: SmallMesh) -> None:
    assert machine.run("wait", "svc/reviews").exit_code == 0
    mesh.loop.late = ("ratings-v1-1.default",)
    result = machine.run("wait", "svc/reviews", "--timeout", "100ms")
    assert result.exit_code == 1
    assert result.stderr == "ratings-v1-1.default: error: RDS was refused\nsvc/reviews is not live\n"
    assert machine.run("wait", "svc/x").exit_code == 1


def test_proxy_status_shows_states_by_type_and_what_is_refused(machine: Machine, mesh: SmallMesh) -> None:
    result = machine.run("proxy-status")
    assert result.exit_code == 0
    assert [line.split("   ") for line in _squeezed(result.stdout)] == [
        ["NAME", "ROLE", "CDS", "LDS", "ECDS", "EDS", "RDS", "SDS", "CONNECTED"],
        ["reviews-v1-1.default", "sidecar", *["synced (12s)"] * 2, "-", *["synced (12s)"] * 2, "-", "61s"],
        ["ratings-v1-1.default", "sidecar", "stale (1s)", "-", "-", "-", "error (3s)", "-", "61s"],
    ]
    assert result.stderr == (
        "ratings-v1-1.default refuses RDS: RDS was refused\n"
        "  9080: no such cluster, made from VirtualService default/reviews\n"
    )
    mesh.proxies.found.clear()
    assert machine.run("proxy-status", "deploy/ratings-v1").exit_code == 1


@pytest.fixture
def log(mesh: SmallMesh, tmp_path: Path) -> Path:
    path = tmp_path / "reviews.log"
    path.write_text("".join(f"line {number}\n" for number in range(1, 31)))
    mesh.workloads.rows = [workload("reviews-v1-1", log=str(path))]
    return path


def test_logs_print_all_or_the_last_lines(machine: Machine, mesh: SmallMesh, log: Path) -> None:
    assert machine.run("logs", "reviews-v1").stdout == log.read_text()
    assert machine.run("logs", "deploy/reviews-v1", "--tail", "2").stdout == "line 29\nline 30\n"
    assert machine.run("logs", "reviews-v1-1.default", "-c", "reviews", "--tail", "0").stdout == ""
    assert machine.run("logs", "reviews-v1", "--tail", "100").stdout == log.read_text()


def test_logs_of_a_container_that_is_not_there_names_those_that_are(
    machine: Machine, mesh: SmallMesh, log: Path
) -> None:
    result = machine.run("logs", "reviews-v1", "-c", "proxy")
    assert (result.exit_code, result.stderr) == (
        2,
        "error: reviews-v1-1.default has no container 'proxy'; it has reviews\n",
    )


def test_a_followed_log_is_read_on_and_begun_anew_when_it_was_shortened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    path.write_text("one\n")
    steps = iter([lambda: path.open("a").write("two\n"), lambda: path.write_text("3\n"), lambda: 1 / 0])
    monkeypatch.setattr(logs.time, "sleep", lambda _: next(steps)())
    seen: list[bytes] = []
    with path.open("rb") as file, pytest.raises(ZeroDivisionError):
        seen.extend(logs._chunks(file, path))
    assert b"".join(seen) == b"one\ntwo\n3\n"


def test_exec_enters_the_namespaces_of_the_workload(
    machine: Machine, mesh: SmallMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = machine.run("exec", "reviews-v1", "--", "curl", "-s", "ratings:9080")
    assert (result.exit_code, "has no network yet" in result.stderr) == (1, True)
    row = mesh.workloads.rows[0]
    mesh.workloads.rows = [type(row)(**{name: getattr(row, name) for name in row.__slots__} | {"holder_pid": 4711})]
    entered = []
    monkeypatch.setattr(execute.os, "execvpe", lambda file, argv, environment: entered.append(argv))
    assert machine.run("exec", "reviews-v1", "--", "curl", "-s", "ratings:9080").exit_code == 0
    assert entered[0][entered[0].index("--target") + 1] == "4711"
    assert entered[0][-3:] == ("curl", "-s", "ratings:9080")


def test_validate_prints_every_fault_without_a_mesh(machine: Machine, yaml: Path) -> None:
    assert machine.run("validate", "-f", "reviews.yaml").stdout == "1 valid objects, no errors\n"
    yaml.write_text(TYPO)
    result = machine.run("validate", "reviews.yaml")
    assert result.exit_code == 2
    assert "reviews.yaml:6: VirtualService default/reviews: spec.host: unknown field" in result.stderr
    told = json.loads(machine.run("validate", "-o", "json", "reviews.yaml").stdout)
    assert told[0].keys() == {"code", "level", "message", "resource", "source"}
    assert (told[0]["code"], told[0]["level"], told[0]["source"]) == ("IST0106", "Error", "reviews.yaml:6")


def test_kinds_lists_the_table(machine: Machine) -> None:
    rows = machine.run_json("kinds", "-o", "json")
    (found,) = [row for row in rows if row["kind"] == "VirtualService"]
    assert "vs" in found["words"]
    assert machine.run("kinds").stdout.splitlines()[0].split()[0] == "KIND"


def test_version_tells_of_running_meshes(machine: Machine, mesh: SmallMesh) -> None:
    found = machine.run_json("version", "-o", "json")
    assert found["meshes"] == [{"name": "test", "version": "0.1.0", "generation": 1}]


def test_down_without_a_mesh_is_done(machine: Machine) -> None:
    result = machine.run("down")
    assert (result.exit_code, result.stdout) == (0, "no mesh is running\n")


def test_down_cleans_up_after_a_killed_supervisor(machine: Machine) -> None:
    left = machine.base / "dead"
    left.mkdir(parents=True)
    (left / "ledger").write_text("{}\n")
    result = machine.run("down")
    assert (result.exit_code, result.stdout) == (0, "removed what mesh 'dead' left behind\n")
    assert not left.exists()


def test_up_refuses_when_nothing_is_valid(machine: Machine, yaml: Path) -> None:
    yaml.write_text(TYPO)
    result = machine.run("up", "reviews.yaml")
    assert result.exit_code == 2
    assert "spec.host: unknown field" in result.stderr
    assert "error: there is no valid object in reviews.yaml\n" in result.stderr


def test_up_refuses_a_mesh_that_runs(machine: Machine, mesh: SmallMesh, yaml: Path) -> None:
    result = machine.run("up", "reviews.yaml", "--name", "test")
    assert (result.exit_code, result.stderr) == (
        1,
        "error: mesh 'test' is already running; `lateen down --name test` stops it, --name starts another\n",
    )


def test_up_becomes_the_supervisor(machine: Machine, yaml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr("lateen.platforms.local.preflight.problems", lambda: ())
    monkeypatch.setattr("lateen.cli.up.os.execv", lambda file, argv: became.append(argv))
    result = machine.run("up", "reviews.yaml", "--image-map", "a=b c", "--host-address", "0.0.0.0")
    assert result.exit_code == 0, result.output
    (argv,) = became
    assert argv[1:5] == ["-m", "lateen.platforms.local.supervisor", "--name", "default"]
    control_plane = argv[argv.index("--control-plane") + 1]
    assert f'"{yaml}"' in control_plane
    assert '"--image-map", "a=b c"' in control_plane
    assert '"--host-address", "0.0.0.0"' in control_plane


def test_up_names_what_the_machine_lacks(machine: Machine, yaml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lateen.platforms.local.preflight.problems", lambda: ("nft not found: install it",))
    result = machine.run("up", "reviews.yaml")
    assert (result.exit_code, result.stderr) == (
        2,
        "error: this machine cannot run a mesh yet\n  nft not found: install it\n",
    )


def test_image_maps_are_read_from_files_too(tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_text("# ours\nreviews:1 = python -m reviews\n\n")
    assert read_image_map((str(path), "a=b 'c d'")) == ("reviews:1=python -m reviews", "a=b 'c d'")


def _squeezed(text: str) -> list[str]:
    """Make three blanks of three or more, as between columns."""
    return [re.sub(" {3,}", "   ", line) for line in text.splitlines()]
