"""Text to tokens: what the lexers of both languages have in common."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lateen.api.expressions.faults import BadExpression
from lateen.api.expressions.tree import Node, children

MAX_LENGTH: Final = 16_384
MAX_DEPTH: Final = 48
"""Texts that are longer, and trees that are deeper, are refused: nothing that a person writes is."""


class TokenKind(StrEnum):
    """What a piece of text is."""

    NAME = "name"
    NUMBER = "number"
    STRING = "string"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text and where it begins."""

    kind: TokenKind
    text: str
    position: int

    def __str__(self) -> str:
        return "the end" if self.kind is TokenKind.END else self.text


def scan(text: str, lexicon: re.Pattern[str]) -> list[Token]:
    """Return the tokens of a text, the last one being its end; raises `BadExpression`.

    The lexicon is a pattern with a group for each kind of token, by its name, and a group `space`.
    """
    if len(text) > MAX_LENGTH:
        raise BadExpression(f"must have at most {MAX_LENGTH} characters", 0)
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        found = lexicon.match(text, position)
        if found is None:
            raise BadExpression(_unreadable(text[position]), position)
        if found.lastgroup != "space":
            tokens.append(Token(TokenKind(str(found.lastgroup)), found[0], position))
        position = found.end()
    return [*tokens, Token(TokenKind.END, "", len(text))]


def _unreadable(character: str) -> str:
    if character in "\"'`":
        return f"must have an end to the text that {character} begins, with known escapes only"
    return f"must not contain {character!r}"


class Reader:
    """Walks over tokens. Not thread-safe, made for one parse."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def next(self) -> Token:
        """The token that comes next; the end stays the next one for ever."""
        return self._tokens[self._at]

    def is_call(self) -> bool:
        """Tell whether an opening parenthesis stands behind the next token."""
        after = self._tokens[min(self._at + 1, len(self._tokens) - 1)]
        return after.kind is TokenKind.SIGN and after.text == "("

    def take(self) -> Token:
        """Return the next token and go on to the one after it."""
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    @property
    def is_done(self) -> bool:
        """Whether nothing comes any more."""
        return self.next.kind is TokenKind.END

    def is_sign(self, *signs: str) -> bool:
        """Tell whether one of these signs comes next."""
        return self.next.kind is TokenKind.SIGN and self.next.text in signs

    def skip(self, sign: str) -> bool:
        """Take the sign if it comes next, and tell whether it did."""
        found = self.is_sign(sign)
        if found:
            self.take()
        return found

    def expect(self, sign: str, why: str) -> Token:
        """Take the sign, which must come next."""
        if not self.is_sign(sign):
            raise self.unexpected(f"{sign} {why}")
        return self.take()

    def unexpected(self, expected: str) -> BadExpression:
        """Return the fault that something else was expected than what comes next."""
        return BadExpression(f"must have {expected} here, not {self.next}", self.next.position)

    def enter(self) -> None:
        """Go one level down; raises `BadExpression` where that is too deep."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise BadExpression(f"must be nested at most {MAX_DEPTH} deep", self.next.position)

    def leave(self) -> None:
        """Come back up."""
        self._depth -= 1


def check_depth(root: Node) -> Node:
    """Return the tree if it is not too deep, so that whoever walks over it may recurse; raises `BadExpression`."""
    level: list[Node] = [root]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in children(node)]
        if not level:
            return root
    raise BadExpression(f"must be nested at most {MAX_DEPTH} deep", level[0].position)
