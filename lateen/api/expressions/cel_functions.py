"""The functions that Envoy's CEL runtime has, as far as a text can be checked without types."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from lateen.api.expressions.tree import Attribute, Call, Select


@dataclass(frozen=True, slots=True)
class CelFunction:
    """How a function can be called: with so many arguments in parentheses, and as a method with so many."""

    arguments: frozenset[int] = frozenset()
    method_arguments: frozenset[int] = frozenset()
    needs: str = ""


def _function(*arguments: int) -> CelFunction:
    return CelFunction(arguments=frozenset(arguments))


def _method(*arguments: int) -> CelFunction:
    return CelFunction(method_arguments=frozenset(arguments))


_CLOCK: Final = _method(0, 1)

FUNCTIONS: Final = MappingProxyType(
    {
        "has": _function(1),
        "size": CelFunction(frozenset({1}), frozenset({0})),
        "type": _function(1),
        "dyn": _function(1),
        "int": _function(1),
        "uint": _function(1),
        "double": _function(1),
        "bool": _function(1),
        "bytes": _function(1),
        "duration": _function(1),
        "timestamp": _function(1),
        "conditional": _function(3),
        "matches": CelFunction(frozenset({2}), frozenset({1})),
        "contains": CelFunction(frozenset({2}), frozenset({1})),
        "startsWith": CelFunction(frozenset({2}), frozenset({1})),
        "endsWith": CelFunction(frozenset({2}), frozenset({1})),
        "getFullYear": _CLOCK,
        "getMonth": _CLOCK,
        "getDayOfYear": _CLOCK,
        "getDayOfMonth": _CLOCK,
        "getDate": _CLOCK,
        "getDayOfWeek": _CLOCK,
        "getHours": _CLOCK,
        "getMinutes": _CLOCK,
        "getSeconds": _CLOCK,
        "getMilliseconds": _CLOCK,
    }
)
"""What the runtime has without further settings."""

OPTIONAL: Final = MappingProxyType(
    {
        "string": CelFunction(frozenset({1}), needs="string conversion"),
        "lowerAscii": CelFunction(method_arguments=frozenset({0}), needs="string functions"),
        "upperAscii": CelFunction(method_arguments=frozenset({0}), needs="string functions"),
        "replace": CelFunction(method_arguments=frozenset({2, 3}), needs="string functions"),
        "split": CelFunction(method_arguments=frozenset({1, 2}), needs="string functions"),
    }
)
"""What a proxy has only where its configuration switches it on."""

REGEX_LIBRARY: Final = MappingProxyType({"extract": 3, "capture": 2, "captureN": 2})
"""Functions of the library `re`, like `re.extract(text, pattern, rewrite)`, and how many arguments they take."""

ENVOY_ROOTS: Final = frozenset(
    {
        *("request", "response", "connection", "upstream", "source", "destination", "metadata", "filter_state"),
        *("xds", "upstream_filter_state"),
    }
)
"""With these names begins whatever Envoy knows of a request or connection."""

_COMPREHENSIONS: Final = frozenset({"all", "exists", "exists_one", "existsOne", "filter", "map"})


def function_fault(call: Call) -> str:
    """Say why Envoy would not take this call; nothing where it does."""
    if not call.function.isidentifier() or call.function == "in":
        return ""
    if call.function in _COMPREHENSIONS and call.receiver is not None:
        return f"must not loop: Envoy evaluates no {call.function}()"
    if call.receiver == Attribute("re"):
        return _library_fault(call)
    row = FUNCTIONS.get(call.function)
    if row is None and (switched := OPTIONAL.get(call.function)):
        return f"must not use {call.function}(): it needs {switched.needs}, which Envoy has switched off"
    if row is None:
        return f"must not call {call.function}(), which Envoy does not have"
    if call.function == "has":
        return _has_fault(call)
    taken = row.arguments if call.receiver is None else row.method_arguments
    if not taken:
        return f"must call {call.function} as a {'method of a value' if call.receiver is None else 'function'}"
    if len(call.arguments) not in taken:
        return f"must give {call.function}() {_arguments(*sorted(taken))}"
    return ""


def _has_fault(call: Call) -> str:
    argument = call.arguments[0] if len(call.arguments) == 1 and call.receiver is None else None
    if isinstance(argument, Select) or (isinstance(argument, Attribute) and "." in argument.name):
        return ""
    return "must give has() a field, like has(request.headers)"


def _library_fault(call: Call) -> str:
    count = REGEX_LIBRARY.get(call.function)
    if count is None:
        return f"must not call re.{call.function}(), which Envoy does not have"
    return "" if len(call.arguments) == count else f"must give re.{call.function}() {_arguments(count)}"


def _arguments(*counts: int) -> str:
    return f"{' or '.join(map(str, counts))} argument{'s' if counts[-1] != 1 else ''}"
