"""YAML text to nodes with line marks, for text that nobody has to trust.

PyYAML's own composer, in C, is the fastest. But it recurses without a limit, so that a page of opening brackets ends
the process: it gets text only that cannot be deep. Any other, and what it refuses, is composed here, which counts.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

MAX_DEPTH: Final = 100

_DEEPEST_IN_C: Final = 500
_INDENT: Final = re.compile(r"(?:\A|[\n\r\x85\u2028\u2029])([ ?:-]*)")


class TooLarge(Exception):
    """A document grows beyond what any real one has: too deep, or too large with its aliases written out."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def compose(text: str) -> Iterator[yaml.Node]:
    """Yield the root node of every document in the text; lines count from 0.

    Raises `yaml.YAMLError` for what is not YAML and `TooLarge` for what is nested deeper than `MAX_DEPTH`.
    """
    found = _composed_in_c(text) if _deepest(text) <= _DEEPEST_IN_C else None
    yield from found if found is not None else _composed(text)


def _deepest(text: str) -> int:
    """Return a bound for how deep a text is nested: each level takes a bracket, or a place in some line's indent.

    A list may stand where the mapping around it stands, so that a place in the indent is two levels.
    """
    return text.count("[") + text.count("{") + 2 * max(map(len, _INDENT.findall(text))) + 2


def _composed_in_c(text: str) -> list[yaml.Node] | None:
    """Return the root nodes of a text; None for one that is refused, of which the other composer says what is wrong."""
    try:
        return list(yaml.compose_all(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError:
        return None


def _composed(text: str) -> Iterator[yaml.Node]:
    loader = yaml.CSafeLoader(text)
    try:
        while not isinstance(event := loader.get_event(), yaml.StreamEndEvent):
            if isinstance(event, yaml.DocumentStartEvent):
                yield _Composer(loader).node(loader.get_event(), 0)
    finally:
        loader.dispose()


class _Composer:
    """Builds the nodes of one document out of the parser's events."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._anchors: dict[str, yaml.Node] = {}

    def node(self, event: Any, depth: int) -> yaml.Node:
        """Return the node that begins with this event."""
        if depth > MAX_DEPTH:
            raise TooLarge(f"must be nested at most {MAX_DEPTH} deep", event.start_mark.line)
        if isinstance(event, yaml.AliasEvent):
            return self._named(event)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, depth)
        return self._mapping(event, depth)

    def _named(self, event: Any) -> yaml.Node:
        try:
            return self._anchors[event.anchor]
        except KeyError:
            problem = f"alias *{event.anchor} has no anchor &{event.anchor} before it"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark) from None

    def _scalar(self, event: Any) -> yaml.Node:
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        return self._anchored(event, yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark))

    def _sequence(self, event: Any, depth: int) -> yaml.Node:
        items: list[yaml.Node] = []
        node = yaml.SequenceNode("", items, event.start_mark, event.end_mark)
        self._anchored(event, node)
        while not isinstance(inner := self._loader.get_event(), yaml.SequenceEndEvent):
            items.append(self.node(inner, depth + 1))
        return node

    def _mapping(self, event: Any, depth: int) -> yaml.Node:
        pairs: list[tuple[yaml.Node, yaml.Node]] = []
        node = yaml.MappingNode("", pairs, event.start_mark, event.end_mark)
        self._anchored(event, node)
        while not isinstance(inner := self._loader.get_event(), yaml.MappingEndEvent):
            key = self.node(inner, depth + 1)
            pairs.append((key, self.node(self._loader.get_event(), depth + 1)))
        return node

    def _anchored(self, event: Any, node: yaml.Node) -> yaml.Node:
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node
