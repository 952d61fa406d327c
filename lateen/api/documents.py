"""Text to documents: YAML (and JSON, which is YAML) read into plain values, each field with its line."""

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import yaml

from lateen.api.nodes import MAX_DEPTH, TooLarge, compose
from lateen.api.objects import Source
from lateen.api.violations import Violation

MAX_TEXT_BYTES: Final = 16 * 1024 * 1024
MAX_FIELDS: Final = 200_000

_SEPARATOR: Final = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_TOO_MANY_FIELDS: Final = f"must have at most {MAX_FIELDS} fields, with aliases and merges written out"
_TAG: Final = "tag:yaml.org,2002:"
_TRUE: Final = frozenset(("true", "yes", "on", "y"))


@dataclass(frozen=True, slots=True)
class Document:
    """One document: JSON-like content, and a line for each of its values in the order of `FieldLines`."""

    content: Any
    file: str
    line: int
    lines: "array[int]"


def read_documents(text: str, file: str) -> Iterator[Document | Violation]:
    """Yield every document of a text, and a violation for everything that is not YAML or not plain data.

    One document that cannot be read does not lose the others. A `List` is yielded as its items. A document's `status`
    is left out: it is written by machines, for users.
    """
    if len(text) > MAX_TEXT_BYTES:
        yield Violation("", f"must be at most {MAX_TEXT_BYTES // 1024 // 1024} MiB of text", source=Source(file, 1))
        return
    for first_line, chunk in _chunks(text):
        try:
            for node in compose(chunk):
                yield from _documents(node, file, first_line)
        except yaml.YAMLError as error:
            yield _syntax_violation(error, file, first_line)
        except TooLarge as error:
            yield Violation("", str(error), source=Source(file, first_line + error.line + 1))
        except UnicodeEncodeError:
            yield Violation("", "must be Unicode text", source=Source(file, first_line + 1))


def _chunks(text: str) -> Iterator[tuple[int, str]]:
    """Yield the text between separators with the number of lines before it, so that a fault in one part spares the
    others.

    A line that begins with `---` separates documents wherever it stands, in YAML; directives belong to the part that
    follows them.
    """
    starts = [0, *(match.start() for match in _SEPARATOR.finditer(text)), len(text)]
    line, directives = 0, ""
    for start, end in pairwise(starts):
        chunk = text[start:end]
        if chunk.lstrip().startswith("%"):
            directives = chunk
        else:
            yield line - directives.count("\n"), directives + chunk
            directives = ""
        line += chunk.count("\n")
    if directives:
        yield line - directives.count("\n"), directives


def _syntax_violation(error: yaml.YAMLError, file: str, first_line: int) -> Violation:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return Violation("", f"not valid YAML: {str(error).splitlines()[0]}", source=Source(file, first_line + 1))
    problem = getattr(error, "problem", None) or getattr(error, "context", None) or "cannot be read"
    source = Source(file, first_line + mark.line + 1, column=mark.column + 1)
    return Violation("", f"not valid YAML: {problem}", source=source)


def _documents(node: yaml.Node, file: str, first_line: int) -> Iterator[Document | Violation]:
    for part in _list_items(node):
        reader = _Reader(first_line)
        content = reader.root(part)
        for line, message in reader.faults:
            yield Violation("", message, source=Source(file, line))
        if content is not None and not reader.faults:
            yield Document(content, file, first_line + part.start_mark.line + 1, reader.lines)


def _list_items(node: yaml.Node) -> list[yaml.Node]:
    """Return the items of a `kind: List`; of anything else, the document itself."""
    if isinstance(node, yaml.MappingNode):
        fields = {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
        kind, items = fields.get("kind"), fields.get("items")
        if isinstance(kind, yaml.ScalarNode) and kind.value == "List" and isinstance(items, yaml.SequenceNode):
            return list(items.value)
    return [node]


class _Reader:
    """Turns the nodes of one document into plain values, and notes lines and faults on the way."""

    def __init__(self, first_line: int) -> None:
        self.lines = array("I")
        self.faults: list[tuple[int, str]] = []
        self._first_line = first_line
        self._fields_seen = 0

    def root(self, node: yaml.Node) -> Any:
        """Return the document's value without its status."""
        return self._value(node, node, 0)

    def _value(self, node: yaml.Node, named_at: yaml.Node, depth: int) -> Any:
        """Return a node's value; its line is where its name is, which for a list item is where it begins."""
        self.lines.append(self._line(named_at))
        if depth > MAX_DEPTH:
            raise TooLarge(f"must be nested at most {MAX_DEPTH} deep", named_at.start_mark.line)
        if len(self.lines) > MAX_FIELDS:
            raise TooLarge(_TOO_MANY_FIELDS, node.start_mark.line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, item, depth + 1) for item in node.value]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        fields = self._fields(node, depth)
        if depth == 0:
            fields.pop("status", None)
        return {name: self._value(value, key, depth + 1) for name, (key, value) in sorted(fields.items())}

    def _fields(self, node: yaml.MappingNode, depth: int) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Return a mapping's fields by name, those merged in by `<<` included; what is written out wins over them."""
        fields: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        self._fields_seen += len(node.value)
        if self._fields_seen > MAX_FIELDS:
            raise TooLarge(_TOO_MANY_FIELDS, node.start_mark.line)
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fault(key, "must have plain names as keys, not lists or mappings")
            elif key.tag == f"{_TAG}merge":
                merged = self._merged(value, depth) | merged
            elif key.value in fields:
                first = self._line(fields[key.value][0])
                self._fault(key, f"must have each key once: {key.value} is already given in line {first}")
            else:
                fields[key.value] = (key, value)
        return merged | fields

    def _merged(self, value: yaml.Node, depth: int) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Return the fields that a `<<` brings in; of several mappings the first wins."""
        if depth > MAX_DEPTH:
            raise TooLarge(f"must be nested at most {MAX_DEPTH} deep", value.start_mark.line)
        fields: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if isinstance(part, yaml.MappingNode):
                fields = self._fields(part, depth + 1) | fields
            else:
                self._fault(part, "must have a mapping, or a list of mappings, after <<")
        return fields

    def _scalar(self, node: yaml.Node) -> Any:
        text: str = node.value
        match node.tag.removeprefix(_TAG):
            case "str" | "timestamp" | "value" | "binary" | "merge":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() in _TRUE
            case "int" | "float" if ":" in text:
                return text
            case "int":
                return self._number(node, _whole_number)
            case "float":
                return self._number(node, float)
        self._fault(node, f"must be plain data, without the tag {node.tag}")
        return None

    def _number(self, node: yaml.Node, parse: Any) -> int | float | None:
        try:
            number: int | float = parse(node.value.replace("_", ""))
        except ValueError:
            number = float("nan")
        if isinstance(number, float) and not abs(number) <= 1e308:
            self._fault(node, f"must be a number of usual size, not {node.value[:40]}")
            return None
        return number

    def _fault(self, node: yaml.Node, message: str) -> None:
        self.faults.append((self._line(node), message))

    def _line(self, node: yaml.Node) -> int:
        return self._first_line + int(node.start_mark.line) + 1


def _whole_number(text: str) -> int:
    """Return the number that YAML 1.1 means: `0x1f`, `0b11`, and octal by a leading zero."""
    digits = text.lstrip("+-")
    octal = len(digits) > 1 and digits.isdigit() and digits.startswith("0")
    number = int(digits, 8) if octal else int(digits, 0)
    return -number if text.startswith("-") else number
