"""The documentation says what is: pages are current, links lead somewhere, commands and their options exist."""

import importlib
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import click
import pytest

from lateen.cli.commands import COMMANDS

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")], key=lambda path: path.parts
)
NAMES = [row.name for row in COMMANDS]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CALL = re.compile(r"(?:^ {4}(?:\$ )?|`|\$\()(?:\.venv/bin/)?lateen ([a-z][a-z-]*)", re.MULTILINE)
OPTION = re.compile(r"(?<![-\w])--[a-z][a-z-]+")


def test_the_page_of_kinds_is_current() -> None:
    script = ROOT / "scripts" / "write-kinds-page"
    command = (sys.executable, script, "--check")
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in LINK.findall(text) if "://" not in link]
    assert [link for link in links if not _leads_somewhere(page, link)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_are_named_exist(page: Path) -> None:
    assert set(CALL.findall(page.read_text(encoding="utf-8"))) - set(NAMES) == set()


def test_the_scenarios_are_tried_by_tests_that_exist() -> None:
    named = set(re.findall(r"`((?:test_|tables/)[^`]+)`", (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")))
    tests = {
        found
        for file in (ROOT / "tests").rglob("test_*.py")
        for found in re.findall(r"def (test_\w+)", file.read_text(encoding="utf-8"))
    }
    tables = {f"tables/{file.name}" for file in (ROOT / "tests" / "simulate" / "tables").glob("*.yaml")}
    assert named - tests - tables == set()


def test_every_command_has_a_section() -> None:
    assert list(_sections()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_command_is_described_with_all_its_options(name: str) -> None:
    command = _command(name)
    parts = command.commands.values() if isinstance(command, click.Group) else ()
    options = _long_options(param for each in (command, *parts) for param in each.params)
    told = set(OPTION.findall(_sections()[name]))
    assert (told - options, options - told) == (set(), set())


def _sections() -> dict[str, str]:
    """Take docs/commands.md apart at the headings of its commands."""
    parts = re.split(r"^## (.+)$", (ROOT / "docs" / "commands.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _command(name: str) -> click.Command:
    module = next(row.module for row in COMMANDS if row.name == name)
    command: click.Command = importlib.import_module(f"lateen.cli.{module}").command
    return command


def _long_options(params: Iterable[click.Parameter]) -> set[str]:
    options = (param for param in params if isinstance(param, click.Option) and not param.hidden)
    return {word for option in options for word in option.opts if word.startswith("--")}


def _leads_somewhere(page: Path, link: str) -> bool:
    path, _, heading = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return False
    return not heading or heading in _anchors(target.read_text(encoding="utf-8"))


def _anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
