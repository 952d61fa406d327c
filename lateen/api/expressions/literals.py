"""Strings and numbers as both languages write them."""

import re
from typing import Final

from lateen.api.expressions.faults import BadExpression

_ESCAPE: Final = re.compile(r"\\(?:x[0-9a-fA-F]{2}|X[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.S)
_SIMPLE: Final = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
    "`": "`",
    "?": "?",
}


def unescape(text: str, position: int) -> str:
    """Return a text with its escapes resolved; raises `BadExpression` for one that does not exist."""

    def character(found: re.Match[str]) -> str:
        body = found[0][1:]
        if len(body) == 1 and body in _SIMPLE:
            return _SIMPLE[body]
        try:
            code = int(body, 8) if body[0].isdigit() else int(body[1:], 16)
            if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                raise ValueError
        except ValueError:
            raise BadExpression(f"must not contain the escape {found[0]}", position) from None
        return chr(code)

    return _ESCAPE.sub(character, text)


def unescape_bytes(text: str, position: int) -> bytes:
    """Return the bytes that a text stands for: `\\xff` and `\\377` are single bytes, all else is UTF-8."""
    parts = re.split(r"(\\[xX][0-9a-fA-F]{2}|\\[0-3][0-7]{2})", text)
    return b"".join(
        bytes([int(part[2:], 16) if part[1] in "xX" else int(part[1:], 8)])
        if number % 2
        else unescape(part, position).encode(errors="surrogatepass")
        for number, part in enumerate(parts)
    )


def quoted(text: str) -> str:
    """Return a text in double quotes, with escapes that both languages know."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def whole_number(text: str, position: int, bits: int = 64) -> int:
    """Return the number that a text like `12` or `0x1f` says; raises `BadExpression` beyond so many bits."""
    number = int(text, 16) if text[:2] in ("0x", "0X") else int(text[:40])
    if number >= 2**bits:
        raise BadExpression(f"must be a whole number below {2**bits}", position)
    return number


def finite(text: str, position: int) -> float:
    """Return the number that a text like `1.5e3` says; raises `BadExpression` for one beyond all floats."""
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise BadExpression("must be a finite number", position)
    return number


def float_text(value: float) -> str:
    """Return a float as both languages read it: always with a point or an exponent."""
    text = repr(value)
    return text if any(sign in text for sign in ".en") else f"{text}.0"
