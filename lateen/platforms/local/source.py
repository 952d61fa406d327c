"""Config from files and folders: read once, then followed.

A folder stands for the `*.yaml`, `*.yml` and `*.json` files right inside it. What counts is what a file says *now*,
however it got there (written in place, moved over, linked): after every event below a path all its files are looked at
again, and those whose content changed are decoded again.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import watchfiles

from lateen.api.decode import Decoded, decode_yaml
from lateen.errors import Unavailable

SUFFIXES: Final = frozenset((".yaml", ".yml", ".json"))
# Long enough that the events of one save come together, short enough that nobody sees it.
_GATHERING_MILLISECONDS: Final = 60
_LOOKING_MILLISECONDS: Final = 20
_UNFINISHED_SECONDS: Final = 0.1

NOTHING: Final = Decoded()


@dataclass(frozen=True, slots=True)
class FileState:
    """What a file says now: its valid objects, and all that is wrong with it. A file that is gone says nothing."""

    path: Path
    decoded: Decoded = NOTHING


class FileSource:
    """Reads the config below some paths, and follows it. Paths may be files or folders."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(path.absolute() for path in paths)
        self._seen: dict[Path, bytes] = {}

    def read(self) -> tuple[FileState, ...]:
        """Read everything; give the state of every file. Raises `Unavailable` for a path that cannot be read."""
        for path in self._paths:
            if not path.exists():
                raise Unavailable(f"{path} does not exist: name a YAML file, or a folder with YAML files")
        return tuple(self._changed(tolerant=False))

    async def follow(self, changed: Callable[[tuple[FileState, ...]], None], stop: asyncio.Event | None = None) -> None:
        """Call `changed` with the new states of the files that change, appear or vanish together, until `stop` is set.

        What changed since `read` is told at once. A file that cannot be read at the moment stays as it was.
        """
        folders = sorted({path if path.is_dir() else path.parent for path in self._paths})
        self.look(changed)
        events = watchfiles.awatch(
            *folders,
            recursive=False,
            watch_filter=None,
            debounce=_GATHERING_MILLISECONDS,
            step=_LOOKING_MILLISECONDS,
            stop_event=stop,
            rust_timeout=1000,
            yield_on_timeout=True,
        )
        async for _ in events:
            if self._looks_unfinished():
                await asyncio.sleep(_UNFINISHED_SECONDS)
            self.look(changed)

    def _looks_unfinished(self) -> bool:
        """Tell whether a file has just become empty or vanished, as it does in the middle of many an editor's save."""
        return any(content and not _size(file) for file, content in self._seen.items())

    def look(self, changed: Callable[[tuple[FileState, ...]], None]) -> None:
        """Call `changed` now with the new states of the files that changed since they were last looked at."""
        if states := tuple(self._changed(tolerant=True)):
            changed(states)

    def _changed(self, *, tolerant: bool) -> Iterator[FileState]:
        """Yield the states that differ from what was seen before."""
        present = tuple(_files(self._paths))
        for file in present:
            content = _content(file, tolerant=tolerant)
            seen = self._seen.get(file)
            if content is None or seen == content:
                continue
            self._seen[file] = content
            yield FileState(file, decode_yaml(content.decode(errors="replace"), str(file)))
        for file in self._seen.keys() - set(present):
            del self._seen[file]
            yield FileState(file)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the config files of the paths in order, each once; hidden files (an editor's) are none."""
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = (file for file in sorted(path.iterdir()) if file.suffix in SUFFIXES and file.is_file())
            found.update(dict.fromkeys(file for file in inside if not file.name.startswith(".")))
        elif path.exists():
            found[path] = None
    return iter(found)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _content(file: Path, *, tolerant: bool) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError as error:
        if tolerant:
            return None
        raise Unavailable(f"cannot read {file}: {error.strerror}") from None
