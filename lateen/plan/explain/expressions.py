"""What an expression of Envoy's comes to for a call, as far as the call is known.

What nobody knows before the request is made is `UNKNOWN`, and so is most that is made of it. What is missing is a
`FAULT`, as it is in the proxy: `false && FAULT` is false, a condition that ends in one does not hold.
"""

import operator
import re
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any, Final
from urllib.parse import urlsplit

from lateen.api.expressions.tree import Attribute, Call, Constant, Index, ListOf, MapOf, Node, Select
from lateen.plan import verdicts


class Open(Enum):
    """What is no value: not known, or an error in the proxy."""

    UNKNOWN = auto()
    FAULT = auto()


UNKNOWN: Final = Open.UNKNOWN
FAULT: Final = Open.FAULT


def holds(expression: Node, call: verdicts.Call) -> bool | None:
    """Tell whether an expression is true for a call; None where that is not known."""
    found = value(expression, call)
    return None if found is UNKNOWN else found is True


def value(expression: Node, call: verdicts.Call) -> Any:
    """Return the value of an expression, `UNKNOWN` or `FAULT`."""
    match expression:
        case Constant(value=known):
            return known
        case Attribute(name):
            return _attribute(name, call)
        case Select(operand, name):
            return _entry(value(operand, call), name)
        case Index(operand, key):
            return _entry(value(operand, call), value(key, call))
        case ListOf(items):
            return _all_known([value(item, call) for item in items])
        case MapOf():
            return UNKNOWN
        case Call("&&" | "||" as sign, parts):
            return _joined(sign == "&&", [value(part, call) for part in parts])
        case Call("conditional", (condition, chosen, other)):
            decided = value(condition, call)
            return decided if isinstance(decided, Open) else value(chosen if decided is True else other, call)
        case Call("has", (operand,)):
            found = value(operand, call)
            return UNKNOWN if found is UNKNOWN else found is not FAULT
        case Call():
            return _called(expression, call)


def _joined(is_and: bool, parts: list[Any]) -> Any:
    """Join conditions: one that decides does so whatever the others are."""
    if (not is_and) in parts:
        return not is_and
    return next((found for found in (UNKNOWN, FAULT) if found in parts), is_and)


def _all_known(parts: list[Any]) -> Any:
    return next((found for found in (UNKNOWN, FAULT) if found in parts), parts)


def _called(expression: Call, call: verdicts.Call) -> Any:
    library = expression.receiver == Attribute("re")
    receiver = () if expression.receiver is None or library else (expression.receiver,)
    operands = _all_known([value(part, call) for part in (*receiver, *expression.arguments)])
    function = _FUNCTIONS.get(expression.function)
    if isinstance(operands, Open):
        return operands
    if function is None:
        return UNKNOWN
    try:
        return function(*operands)
    except (TypeError, ValueError, KeyError, ZeroDivisionError, re.error):
        return FAULT


def _extract(text: str, pattern: str, rewrite: str) -> Any:
    found = re.search(pattern, text)
    return found.expand(rewrite) if found is not None else FAULT


def _compared(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Compare values of one type; in the proxy others cannot be compared."""

    def comparison(left: Any, right: Any) -> bool:
        if isinstance(left, str) is not isinstance(right, str) or isinstance(left, bool) is not isinstance(right, bool):
            raise TypeError
        return compare(left, right)

    return comparison


_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "!": lambda one: not one if isinstance(one, bool) else FAULT,
    "-": lambda one, *other: one - other[0] if other else -one,
    "+": operator.add,
    "*": operator.mul,
    "==": _compared(operator.eq),
    "!=": _compared(operator.ne),
    "<": _compared(operator.lt),
    "<=": _compared(operator.le),
    ">": _compared(operator.gt),
    ">=": _compared(operator.ge),
    "in": lambda item, container: item in container,
    "size": len,
    "int": int,
    "string": lambda one: one if isinstance(one, str) else UNKNOWN,
    "matches": lambda text, pattern: re.search(pattern, text) is not None,
    "contains": lambda text, part: part in text,
    "startsWith": lambda text, part: text.startswith(part),
    "endsWith": lambda text, part: text.endswith(part),
    "lowerAscii": lambda text: text.lower(),
    "upperAscii": lambda text: text.upper(),
    "extract": _extract,
}


def _entry(container: Any, key: Any) -> Any:
    if isinstance(container, Open):
        return container
    if isinstance(key, Open):
        return key
    return container.get(key, FAULT) if isinstance(container, Mapping) else FAULT


def _attribute(name: str, call: verdicts.Call) -> Any:
    """Find an attribute by the longest part of its name that is one, and what is in it by the rest."""
    steps = name.split(".")
    for length in range(len(steps), 0, -1):
        read = _ATTRIBUTES.get(".".join(steps[:length]))
        if read is not None:
            found = read(call)
            for step in steps[length:]:
                found = _entry(found, step)
            return found
    return UNKNOWN


def headers(call: verdicts.Call) -> dict[str, str]:
    """Return the headers of a call as a proxy compares them: several of a name as one text, parts of its own too."""
    pseudo = {":method": call.method, ":path": call.path, ":authority": call.host}
    return {**pseudo, **{name: one if isinstance(one, str) else ",".join(one) for name, one in call.headers.items()}}


def _header(name: str) -> Callable[[verdicts.Call], Any]:
    return lambda call: headers(call).get(name, FAULT)


def _peer_name(call: verdicts.Call) -> Any:
    if not call.principal:
        return FAULT
    return str(call.peer) if call.peer is not None else UNKNOWN


_ATTRIBUTES: Final[Mapping[str, Callable[[verdicts.Call], Any]]] = {
    "request.headers": headers,
    "request.method": lambda call: call.method,
    "request.host": lambda call: call.host,
    "request.path": lambda call: call.path,
    "request.url_path": lambda call: call.path.partition("?")[0],
    "request.query": lambda call: urlsplit(call.path).query,
    "request.referer": _header("referer"),
    "request.useragent": _header("user-agent"),
    "request.size": lambda call: int(headers(call).get("content-length", "0")),
    "destination.port": lambda call: call.destination_port,
    "connection.mtls": lambda call: bool(call.principal),
    "connection.requested_server_name": lambda call: call.sni,
    "connection.uri_san_peer_certificate": lambda call: call.principal or FAULT,
    "connection.dns_san_peer_certificate": _peer_name,
}
