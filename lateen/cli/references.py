"""Reads how objects are named on a command line: `KIND NAME` or `KIND/NAME`."""

from typing import NamedTuple

from lateen.cli.failures import BadInput


class Reference(NamedTuple):
    """One object as the user named it; the mesh knows which kind a word like `vs` means."""

    kind: str
    name: str


def parse(text: str) -> Reference:
    """Read `KIND/NAME`; raises `BadInput`."""
    kind, slash, name = text.partition("/")
    if not slash or not kind or not name:
        raise BadInput(f"'{text}' names no object; write KIND/NAME, such as vs/reviews")
    return Reference(kind, name)


def parse_words(words: tuple[str, ...]) -> tuple[Reference, ...]:
    """Read `KIND NAME…` or `KIND/NAME…`; raises `BadInput`."""
    if words and "/" in words[0]:
        return tuple(map(parse, words))
    if len(words) < 2:
        raise BadInput("name what is meant: KIND NAME or KIND/NAME, such as vs reviews, or files with -f")
    return tuple(Reference(words[0], name) for name in words[1:])
