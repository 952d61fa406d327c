"""How far a mesh has come up, and what is said when it does not."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lateen.api import decode
from lateen.cli import meshes, startup
from lateen.cli.failures import BadInput, Failed
from lateen.serving import answers
from tests.cli.conftest import Machine
from tests.serving.small_mesh import CONFIG, SmallMesh, workload

WANTED = startup.Wanted("default", "Deployment/reviews-v1", 2)


def rows(*found: object) -> list[startup.Row]:
    return [answers.workload(row, {}, 0.0) for row in found]


def started(program: str) -> startup.Started:
    said = tempfile.TemporaryFile()  # noqa: SIM115 - read by the code under test
    return startup.Started(subprocess.Popen([sys.executable, "-c", program], stdout=said, stderr=said), said)


def test_what_wants_workloads() -> None:
    assert startup.wanted(decode.decode_yaml(CONFIG).objects) == {WANTED._replace(replicas=1)}


def test_not_over_while_instances_are_missing() -> None:
    found = startup.tally([WANTED], rows(workload("reviews-v1-1")))
    assert (found.expected, found.ready, found.failed, found.is_over) == (2, 1, (), False)


def test_over_when_the_rest_has_failed() -> None:
    found = startup.tally([WANTED], rows(workload("reviews-v1-1"), workload("reviews-v1-2", is_ready=False)))
    assert (found.ready, [row["name"] for row in found.failed], found.is_over) == (1, ["reviews-v1-2"], True)


def test_one_crash_is_no_failure_yet() -> None:
    row = rows(workload("reviews-v1-1", is_ready=False))[0]
    assert startup.tally([WANTED], [{**row, "restarts": 1}]).failed == ()


@pytest.fixture
def sleeper() -> startup.Started:
    found = started("import time; time.sleep(20)")
    yield found
    found.process.kill()
    found.process.wait()


def test_a_mesh_that_is_up_says_where(
    machine: Machine, mesh: SmallMesh, sleeper: startup.Started, capsys: pytest.CaptureFixture[str]
) -> None:
    startup.watch(meshes.named("test"), sleeper, frozenset({WANTED._replace(replicas=1)}), 5)
    assert capsys.readouterr().out == "1 of 1 workloads ready\nmesh 'test' is up: 1 workloads\n"


def test_a_workload_that_fails_is_named_with_its_last_words(
    machine: Machine, mesh: SmallMesh, sleeper: startup.Started, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.write_text("no such port\n")
    mesh.workloads.rows = [workload("reviews-v1-1"), workload("reviews-v1-2", is_ready=False, log=str(log))]
    with pytest.raises(Failed) as failure:
        startup.watch(meshes.named("test"), sleeper, frozenset({WANTED}), 5)
    assert str(failure.value) == "1 of 2 workloads are ready in mesh 'test'"
    assert failure.value.details[:2] == (
        "reviews-v1-2.default: CrashLoopBackOff: exited with code 1",
        "  reviews | no such port",
    )


@pytest.mark.parametrize(("code", "kind"), [(1, Failed), (2, BadInput)])
def test_a_supervisor_that_ends_is_quoted(machine: Machine, code: int, kind: type[Failed]) -> None:
    ended = started(f"print('no bridge'); raise SystemExit({code})")
    ended.process.wait(10)
    with pytest.raises(kind) as failure:
        startup.watch(meshes.named("test"), ended, frozenset({WANTED}), 5)
    assert failure.value.details == ("no bridge",)
