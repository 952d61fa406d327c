"""A file that keeps records over a restart: replaced as a whole, so that a crash leaves the old or the new one."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from lateen.errors import Unavailable

Record = Mapping[str, str | int]
_VERSION: Final = 1


class StateFile:
    """Records in one JSON file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Sequence[Record]:
        """Return the records saved last; none where there is no file. Raises `Unavailable` for a strange file."""
        try:
            content = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as error:
            message = f"cannot read {self._path} ({error}); remove it to begin without applied objects"
            raise Unavailable(message) from None
        if not isinstance(content, dict) or content.get("version") != _VERSION:
            raise Unavailable(f"{self._path} is of another release; remove it to begin without applied objects")
        records: Sequence[Record] = content["records"]
        return records

    def save(self, records: Sequence[Record]) -> None:
        """Keep exactly these records; they are on disk when this returns. Raises `Unavailable`."""
        beside = self._path.with_name(f".{self._path.name}.new")
        text = json.dumps({"version": _VERSION, "records": list(records)}, indent=1, ensure_ascii=False)
        try:
            _write(beside, text.encode())
            beside.replace(self._path)
            _sync_directory(self._path.parent)
        except OSError as error:
            raise Unavailable(f"cannot keep applied objects in {self._path}: {error.strerror}") from None


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(directory: Path) -> None:
    """Make the new name as safe as the content."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
