"""Config from files: what counts after every kind of edit."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from lateen.errors import Unavailable
from lateen.platforms.local.source import FileSource, FileState

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: NAME}\nspec: {ports: [{port: PORT}]}\n"


def service(name: str, port: int | str = 80) -> str:
    return SERVICE.replace("NAME", name).replace("PORT", str(port))


def ports(state: FileState) -> dict[str, int]:
    return {item.name: item.spec.ports[0].port for item in state.decoded.objects}  # type: ignore[attr-defined]


def test_a_folder_stands_for_its_yaml_and_json_files_but_not_for_folders_in_it(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", ".hidden.yaml", "notes.txt"):
        (tmp_path / name).write_text(service("x"))
    (tmp_path / "c.json").write_text("{}")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "d.yaml").write_text(service("y"))
    assert [state.path.name for state in FileSource([tmp_path]).read()] == ["a.yml", "b.yaml", "c.json"]


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"nowhere\.yaml does not exist"):
        FileSource([tmp_path / "nowhere.yaml"]).read()


def test_a_file_says_what_is_right_in_it_and_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(f"{service('a', 'x')}---\n{service('b', 81)}")
    (state,) = FileSource([tmp_path]).read()
    assert ports(state) == {"b": 81}
    assert [violation.subject for violation in state.decoded.violations] == ["Service default/a"]


def test_what_was_edited_is_found_at_a_look_without_waiting(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(service("a"))
    source, told = FileSource([tmp_path]), Followed()
    source.read()
    file.write_text(service("a", 81))
    source.look(told.take)
    assert told.files == {"x.yaml": {"a": 81}}
    source.look(told.take)
    assert told.bundles == 1


class Followed:
    """What a source has told, as ports of services by file."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, int]] = {}
        self.bundles = 0

    def take(self, states: tuple[FileState, ...]) -> None:
        self.bundles += 1
        for state in states:
            self.files[state.path.name] = ports(state)

    async def says(self, condition: Callable[[dict[str, dict[str, int]]], bool]) -> float:
        begin = time.monotonic()
        while not condition(self.files):
            assert time.monotonic() - begin < 3, self.files
            await asyncio.sleep(0.005)
        return time.monotonic() - begin


@contextlib.asynccontextmanager
async def following(folder: Path) -> AsyncIterator[Followed]:
    source, followed = FileSource([folder]), Followed()
    followed.take(source.read())
    stop = asyncio.Event()
    task = asyncio.create_task(source.follow(followed.take, stop))
    await asyncio.sleep(0.1)
    try:
        yield followed
    finally:
        stop.set()
        await task


async def test_adds_edits_renames_and_deletes_are_followed(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(service("a"))
    async with following(tmp_path) as followed:
        (tmp_path / "b.yaml").write_text(service("b"))
        await followed.says(lambda files: files.get("b.yaml") == {"b": 80})
        (tmp_path / "a.yaml").write_text(service("a", 81))
        assert await followed.says(lambda files: files["a.yaml"] == {"a": 81}) < 1
        (tmp_path / "b.yaml").rename(tmp_path / "c.yaml")
        await followed.says(lambda files: files["b.yaml"] == {} and files.get("c.yaml") == {"b": 80})
        (tmp_path / "a.yaml").unlink()
        await followed.says(lambda files: files["a.yaml"] == {})


async def test_an_editor_that_moves_a_new_file_over_the_old_one_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(service("a"))
    async with following(tmp_path) as followed:
        (tmp_path / "a.yaml").rename(tmp_path / "a.yaml~")
        await asyncio.sleep(0.02)
        (tmp_path / ".a.swp").write_text(service("a", 81))
        (tmp_path / ".a.swp").rename(tmp_path / "a.yaml")
        await followed.says(lambda files: files["a.yaml"] == {"a": 81})
        assert followed.bundles == 2, "the file was never taken to be gone"
