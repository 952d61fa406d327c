"""The command line as a whole: help, completion, errors and exit codes."""

import os
import subprocess
import sys

import click
import pytest

from lateen.cli import ps
from lateen.cli.commands import COMMANDS
from lateen.cli.main import lateen
from tests.cli.conftest import Machine, running
from tests.serving.small_mesh import SmallMesh

HEAVY = ("pydantic", "grpc", "aiohttp", "yaml", "rich", "asyncio")


@pytest.mark.parametrize("arguments", [["--help"], ["nonsense"], ["completion", "bash"]])
def test_help_and_completion_import_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom lateen.cli.main import lateen\n"
        f"try: lateen.main({arguments!r})\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert ended.stderr.splitlines()[-1] == "[]"


def test_help_groups_all_commands(machine: Machine) -> None:
    result = machine.run("--help")
    assert result.exit_code == 0
    for section in dict.fromkeys(row.section for row in COMMANDS):
        assert f"{section}:\n" in result.output
    assert "Exit codes: 0 done or true" in result.output


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.name)
def test_every_row_has_its_command_with_help(machine: Machine, row: object) -> None:
    result = machine.run(row.name, "--help")
    assert result.exit_code == 0
    assert "Exit codes:" in result.output
    assert lateen.get_command(click.Context(lateen), row.name).name == row.name


WRONG_USAGE = {
    "an unknown command": (["gte"], "error: no command 'gte'; did you mean get?; see `lateen --help`"),
    "an unknown option": (["ps", "--x"], "error: no such option '--x'; see `lateen ps --help`"),
    "a missing argument": (["logs"], "error: missing argument 'WORKLOAD'; see `lateen logs --help`"),
    "exec without a command": (["exec", "x"], "error: missing argument '-- CMD…'; see `lateen exec --help`"),
    "no such file": (["apply", "-f", "x.yaml"], "error: invalid value for '-f'"),
    "no object": (["wait", "reviews"], "error: 'reviews' names no object; write KIND/NAME, such as vs/reviews"),
    "a strange duration": (["wait", "vs/x", "--timeout", "soon"], "error: --timeout soon is no duration"),
    "no mesh name": (["ps", "--name", "A"], "error: mesh name 'A' is not usable"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG_USAGE.values(), ids=WRONG_USAGE.keys())
def test_wrong_usage_is_one_line_and_exit_code_2(machine: Machine, arguments: list[str], message: str) -> None:
    result = machine.run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(message)
    assert len(result.stderr.splitlines()) == 1


def test_without_a_mesh_the_way_to_one_is_named(machine: Machine) -> None:
    result = machine.run("ps")
    assert (result.exit_code, result.stderr) == (3, "error: no mesh is running; `lateen up PATH…` starts one\n")


def test_of_several_meshes_one_must_be_named(machine: Machine, mesh: SmallMesh) -> None:
    with running(machine, "other", SmallMesh()):
        result = machine.run("ps")
        assert (result.exit_code, result.stderr) == (
            2,
            "error: several meshes are running; choose one with --name: other, test\n",
        )
        assert machine.run("ps", "--name", "other").exit_code == 0
    result = machine.run("ps", "--name", "other")
    assert (result.exit_code, result.stderr) == (3, "error: mesh 'other' is not running; running: test\n")


def test_a_control_plane_that_does_not_answer_is_exit_code_3(
    machine: Machine, mesh: SmallMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lateen.cli.client.ApiClient.__init__.__defaults__", (0.2,))
    (machine.base / "test" / "api.sock").unlink()
    result = machine.run("ps")
    assert result.exit_code == 3
    assert result.stderr.startswith("error: the control plane of mesh 'test' does not answer")


def test_a_defect_is_one_line_too(machine: Machine, mesh: SmallMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ps, "_print", lambda *_: 1 / 0)
    result = machine.run("ps")
    assert (result.exit_code, result.stderr) == (
        1,
        "error: lateen has a defect here (ZeroDivisionError: division by zero); LATEEN_DEBUG=1 shows where\n",
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_back(machine: Machine, shell: str) -> None:
    result = machine.run("completion", shell)
    assert result.exit_code == 0
    assert f"_LATEEN_COMPLETE={shell}_complete" in result.stdout


COMPLETIONS = {
    "commands": ("lateen proxy-", ["proxy-status", "proxy-config"]),
    "workloads": ("lateen logs deploy/rev", ["deploy/reviews-v1"]),
    "kinds": ("lateen get virt", ["virtualservice"]),
    "names": ("lateen get svc re", ["reviews"]),
    "names after delete": ("lateen delete svc re", ["reviews"]),
    "references": ("lateen wait svc/re", ["svc/reviews"]),
    "meshes": ("lateen ps --name t", ["test"]),
}


@pytest.mark.parametrize(("line", "words"), COMPLETIONS.values(), ids=COMPLETIONS.keys())
def test_the_running_mesh_completes(
    machine: Machine, mesh: SmallMesh, monkeypatch: pytest.MonkeyPatch, line: str, words: list[str]
) -> None:
    typed = line.split(" ")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(typed) - 1))
    monkeypatch.setenv("_LATEEN_COMPLETE", "bash_complete")
    result = machine.run()
    assert [found.partition(",")[2] for found in result.stdout.splitlines()] == words


def test_completion_is_silent_without_a_mesh(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_WORDS", "lateen logs x")
    monkeypatch.setenv("COMP_CWORD", "2")
    monkeypatch.setenv("_LATEEN_COMPLETE", "bash_complete")
    result = machine.run()
    assert (result.stdout.strip(), result.stderr) == ("", "")


def test_a_reader_that_has_seen_enough_is_told_nothing() -> None:
    ended = subprocess.run(
        f"{sys.executable} -c 'from lateen.cli.main import main; main()' kinds | true",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        timeout=20,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
