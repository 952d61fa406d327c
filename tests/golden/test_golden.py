"""Every golden case gives what its folder says, and the real Envoy accepts it."""

import difflib
import sys

import pytest

from tests.envoy.acceptance import accepted_by_envoy
from tests.golden.cases import INPUTS, OUTPUTS, Case, cases, orphans

MOST_LINES = {"config.yaml": 40, "proxy.yaml": 40, "plan.yaml": 80, "xds.yaml": 80}
CASES = {case.folder.name: case for case in cases()}
COMMAND = f"{sys.executable} -m pytest tests/golden --golden-update"


@pytest.fixture
def updates(pytestconfig: pytest.Config) -> bool:
    """Whether expectations are written instead of compared."""
    return bool(pytestconfig.getoption("golden_update", default=False))


@pytest.mark.parametrize("name", CASES)
def test_the_case_gives_what_is_expected(name: str, updates: bool) -> None:
    case = CASES[name]
    if updates:
        for file, made in case.outputs.items():
            (case.folder / file).write_text(made)
    differences = "".join(_difference(case, file) for file in OUTPUTS)
    assert not differences, f"\n{differences}\nif this is right, run: {COMMAND}"


@pytest.mark.parametrize("name", CASES)
def test_envoy_accepts_the_case(name: str) -> None:
    assert accepted_by_envoy(CASES[name].resources) == ""


@pytest.mark.parametrize("name", CASES)
def test_the_case_can_be_read(name: str) -> None:
    folder = CASES[name].folder
    assert (folder / "config.yaml").read_text().startswith("# "), "the first line says why the case exists"
    long = [file for file, most in MOST_LINES.items() if len((folder / file).read_text().splitlines()) > most]
    assert not long, f"{long} of {name}: at most {MOST_LINES}"


def test_nothing_lies_around(updates: bool) -> None:
    for path in orphans() if updates else ():
        path.unlink()
        if not any(path.parent.iterdir()):
            path.parent.rmdir()
    assert orphans() == [], f"these belong to no case (a case has {INPUTS}); run: {COMMAND}"


def _difference(case: Case, file: str) -> str:
    path = case.folder / file
    expected = path.read_text().splitlines(keepends=True) if path.exists() else []
    made = case.outputs[file].splitlines(keepends=True)
    return "".join(difflib.unified_diff(expected, made, f"{case.folder.name}/{file}", f"{case.folder.name}/{file} now"))
