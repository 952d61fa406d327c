"""Reads the YAML files that a command was given: files, folders, standard input."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from lateen.cli.failures import BadInput

STANDARD_INPUT: Final = "standard input"
_ENDINGS: Final = (".yaml", ".yml", ".json")


class Text(NamedTuple):
    """The content of one file and the name that messages call it by."""

    file: str
    text: str


def read(paths: Iterable[str], *, deeply: bool = False) -> tuple[Text, ...]:
    """Read every file, and every YAML or JSON file right inside every folder, or `deeply` anywhere inside; raises
    `BadInput`.
    """
    return tuple(text for path in paths for text in _texts(path, deeply))


def _texts(path: str, deeply: bool) -> Iterator[Text]:
    if path == "-":
        yield Text(STANDARD_INPUT, sys.stdin.read())
    elif Path(path).is_dir():
        yield from _folder(Path(path), deeply)
    else:
        yield _file(Path(path))


def _folder(folder: Path, deeply: bool) -> Iterator[Text]:
    inside = folder.rglob("*") if deeply else folder.iterdir()
    found = [path for path in sorted(inside) if path.suffix in _ENDINGS and path.is_file()]
    if not found:
        raise BadInput(f"{folder} holds no file that ends in {', '.join(_ENDINGS)}")
    yield from (_file(path) for path in found if not path.name.startswith("."))


def _file(path: Path) -> Text:
    try:
        return Text(str(path), path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text (byte {error.start})") from None
