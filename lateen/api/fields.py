"""The types of single fields: durations, ports, percentages, host names, patterns and immutable maps.

Each is an `Annotated` type that parses what Istio and Kubernetes accept and says in the user's words what would be
right.
"""

import ipaddress
import re
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Any, Final, NoReturn, TypeVar

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, Strict
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from lateen.api.structs import NoEffect

K = TypeVar("K")
V = TypeVar("V")


class FrozenMap(dict[K, V]):
    """A dict that never changes and can be hashed."""

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __repr__(self) -> str:
        return dict.__repr__(self)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("a map of a spec never changes: build a new spec")

    __setitem__ = __delitem__ = clear = pop = popitem = setdefault = update = __ior__ = _refuse

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.dict_schema())

    def __reduce__(self) -> tuple[type["FrozenMap[K, V]"], tuple[dict[K, V]]]:
        return FrozenMap, (dict(self),)


EMPTY_MAP: Final[FrozenMap[Any, Any]] = FrozenMap()


class _Frozen:
    """Tells pydantic to validate a `Mapping[K, V]` as a dict and to keep it as a `FrozenMap`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        keys, values = source.__args__
        schema = core_schema.dict_schema(handler.generate_schema(keys), handler.generate_schema(values))
        return core_schema.no_info_after_validator_function(FrozenMap, schema)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema)


FROZEN: Final = _Frozen()


def freeze(value: Any) -> Any:
    """Return a JSON-like value with every list as a tuple and every mapping as a `FrozenMap`."""
    if isinstance(value, Mapping):
        return FrozenMap({key: freeze(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    return value


NO_EFFECT: Final = NoEffect()

Bool = Annotated[bool, Strict()]
Int = Annotated[int, Strict()]
Count = Annotated[int, Strict(), Field(ge=0, le=2**32 - 1)]
Positive = Annotated[int, Strict(), Field(ge=1, le=2**31 - 1)]
Float = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Port = Annotated[int, Strict(), Field(ge=1, le=65535)]
Percentage = Annotated[float, Strict(), Field(ge=0, le=100, allow_inf_nan=False)]
StringMap = Annotated[Mapping[str, str], FROZEN]
PortMap = Annotated[Mapping[str, Port], FROZEN]
FreeForm = Annotated[Any, AfterValidator(freeze)]
Ignored = Annotated[Any, AfterValidator(freeze), NO_EFFECT]
FreeFormMap = Annotated[Mapping[str, FreeForm], FROZEN]

_UNIT_SECONDS: Final = MappingProxyType(
    {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9},
)
_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|ns)")
_DURATION: Final = re.compile(rf"-?(?:{_DURATION_PART.pattern})+")


def parse_duration(text: Any) -> timedelta:
    """Return the duration that a text like `1s`, `100ms`, `1h30m` or `0` says; microseconds are the finest step.

    Raises `ValueError` for anything else, numbers without a unit included.
    """
    if isinstance(text, timedelta):
        return text
    if text in ("0", "-0", "+0"):
        return timedelta()
    if not isinstance(text, str) or not _DURATION.fullmatch(text):
        raise ValueError(f"must be a duration like 1s, 100ms or 1h30m, not {_shown(text)}")
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _DURATION_PART.findall(text))
    try:
        return timedelta(seconds=-seconds if text.startswith("-") else seconds)
    except OverflowError:
        raise ValueError(f"must be a duration that a clock can count, not {text}") from None


def format_duration(duration: timedelta) -> str:
    """Return a duration as documents write it: whole seconds as `90s`, parts of them as `0.25s`."""
    return f"{duration.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"


class _DurationText:
    """Tells pydantic how documents write a duration: as text, in both directions."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            parse_duration,
            serialization=core_schema.plain_serializer_function_ser_schema(
                format_duration, return_schema=core_schema.str_schema()
            ),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^({_DURATION.pattern}|0)$"}


def _quantity(value: Any) -> int | float | str:
    if isinstance(value, bool) or not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+|[numkKMGTPE]i?)?", str(value)):
        raise ValueError(f"must be a quantity like 500m, 2 or 64Mi, not {_shown(value)}")
    return value  # type: ignore[no-any-return]


class _QuantitySchema:
    """Tells pydantic to take a Kubernetes quantity, number or text, as it is written."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(_quantity)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}


Quantity = Annotated[int | float | str, _QuantitySchema()]
Quantities = Annotated[Mapping[str, Quantity], FROZEN]


def _not_negative(duration: timedelta) -> timedelta:
    if duration < timedelta():
        raise ValueError(f"must not be negative: {format_duration(duration)}")
    return duration


def _at_least_a_millisecond(duration: timedelta) -> timedelta:
    if duration < timedelta(milliseconds=1):
        raise ValueError(f"must be at least 1ms, not {format_duration(duration)}")
    return duration


Duration = Annotated[timedelta, _DurationText(), AfterValidator(_not_negative)]
PositiveDuration = Annotated[timedelta, _DurationText(), AfterValidator(_at_least_a_millisecond)]


def _inside(path: str) -> str:
    if path.startswith(("/", "..")) or ".." in path.split("/"):
        raise ValueError(f"must be a path inside the volume, without .. and not beginning with /, not {path!r}")
    return path


PathInside = Annotated[str, AfterValidator(_inside)]

_ENTRY_NAME: Final = re.compile(r"(?!\.\.|\.$)[-._a-zA-Z0-9]{1,253}")


def is_entry_name(name: str) -> bool:
    """Tell whether a name can be a key of a ConfigMap or Secret, and so the name of a file."""
    return _ENTRY_NAME.fullmatch(name) is not None


def _whole_number_or_text(value: Any) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"must be a whole number or a text, not {_shown(value)}")
    return value


class _IntOrStringSchema:
    """Tells pydantic to take a whole number or a text as it is, with one message for everything else."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(_whole_number_or_text)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}


IntOrString = Annotated[int | str, _IntOrStringSchema()]

_UNSUPPORTED_BY_RE2: Final = (
    (re.compile(r"\(\?<?[=!]"), "lookahead and lookbehind"),
    (re.compile(r"\(\?>"), "atomic groups"),
    (re.compile(r"\(\?P="), "back references"),
    (re.compile(r"\(\?\("), "conditional groups"),
    (re.compile(r"\(\?#"), "comments"),
    (re.compile(r"(?<!\\)(?:\\\\)*\\Z"), "\\Z (but \\z)"),
    (re.compile(r"(?<!\\)(?:\\\\)*\\[1-9]"), "back references"),
    (re.compile(r"(?<!\\)(?:\\\\)*[*+?}]\+"), "possessive quantifiers"),
)
_RE2_ONLY: Final = (
    (re.compile(r"\\(?:p|P)(?:\{\^?\w+\}|[A-Z])"), "x"),
    (re.compile(r"\[\[:\^?\w+:\]\]"), "x"),
    (re.compile(r"\[:\^?\w+:\]"), "x"),
    (re.compile(r"\\[QE]"), ""),
    (re.compile(r"\\z"), r"\\Z"),
    (re.compile(r"\\C"), "."),
    (re.compile(r"\(\?<(?=\w)"), "(?P<"),
    (re.compile(r"\(\?([a-zA-Z]*)U([a-zA-Z-]*[:)])"), r"(?\1\2"),
)


def check_regex(pattern: str) -> str:
    """Return the pattern if RE2 would compile it; RE2 has no look-around and no back references.

    Python's own compiler judges the rest, after what only RE2 knows has been replaced by something of the same shape.
    Flags in the middle of a pattern, which RE2 allows, are moved away first.
    """
    outside_classes = re.sub(r"\\[pP]\{\^?\w+\}|(?<!\\)\[(?:\\.|[^\]\\])+\]", "x", pattern)
    for unsupported, name in _UNSUPPORTED_BY_RE2:
        if unsupported.search(outside_classes):
            raise ValueError(f"must be an RE2 regular expression, which has no {name}: {pattern!r}")
    translated = pattern
    for only_re2, replacement in _RE2_ONLY:
        translated = only_re2.sub(replacement, translated)
    try:
        re.compile(re.sub(r"\(\?[imsU-]*\)", "", translated))
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"must be a regular expression: {error}: {pattern!r}") from None
    return pattern


Regex = Annotated[str, AfterValidator(check_regex)]

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_HOST_LABEL: Final = re.compile(r"[a-zA-Z0-9_]([-a-zA-Z0-9_]{0,61}[a-zA-Z0-9_])?")


def is_label(name: str) -> bool:
    """Tell whether a name is a DNS-1123 label: lower-case letters, digits and `-`, at most 63."""
    return _LABEL.fullmatch(name) is not None


def is_subdomain(name: str) -> bool:
    """Tell whether a name is a DNS-1123 subdomain: labels joined by dots, at most 253 characters."""
    return len(name) <= 253 and all(map(is_label, name.split(".")))


def is_address(text: str) -> bool:
    """Tell whether a text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_host(name: str) -> bool:
    """Tell whether a text is a host name without wildcard; a final dot is allowed."""
    labels = name.removesuffix(".").split(".")
    return len(name) <= 255 and all(_HOST_LABEL.fullmatch(label) for label in labels)


def check_host(name: str) -> str:
    """Return the name if it is a host name or an address."""
    if not is_address(name) and not is_host(name):
        raise ValueError(f"must be a host name like reviews or reviews.default.svc.cluster.local, not {_shown(name)}")
    return name


def check_wildcard_host(name: str) -> str:
    """Return the name if it is a host name, an address, `*` or a host name whose first label is `*`."""
    if name == "*" or is_address(name) or is_host(name.removeprefix("*.")) or _is_wildcard_prefix(name):
        return name
    raise ValueError(f"must be a host name, * or a wildcard like *.example.com, not {_shown(name)}")


def _is_wildcard_prefix(name: str) -> bool:
    """Tell whether a name is of the form `*-suffix.example.com`, which Istio allows."""
    return name.startswith("*-") and is_host("x" + name[1:])


def check_namespaced_host(name: str) -> str:
    """Return the name if it is `host` or `namespace/host`, where the namespace may be `*`, `.` or `~`."""
    namespace, slash, host = name.rpartition("/")
    if slash and namespace not in ("*", ".", "~") and not is_label(namespace):
        raise ValueError(f"must have a namespace, *, . or ~ before the slash, not {_shown(name)}")
    check_wildcard_host(host)
    return name


def check_scoped_host(name: str) -> str:
    """Return the name if it is `namespace/host`, the form that a Sidecar's egress hosts have."""
    if "/" not in name:
        raise ValueError(
            f"must be namespace/host, like ./* or default/reviews.default.svc.cluster.local, not {_shown(name)}"
        )
    return check_namespaced_host(name)


def check_address(text: str) -> str:
    """Return the text if it is an IP address."""
    if not is_address(text):
        raise ValueError(f"must be an IP address like 10.0.0.1, not {_shown(text)}")
    return text


def check_cidr(text: str) -> str:
    """Return the text if it is an IP address or an address range like `10.0.0.0/8`."""
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        raise ValueError(f"must be an IP address or a range like 10.0.0.0/8, not {_shown(text)}") from None
    return text


def _check_export(scope: str) -> str:
    if scope not in ("*", ".", "~") and not is_label(scope):
        raise ValueError(f"must be *, ., ~ or a namespace, not {_shown(scope)}")
    return scope


def _check_http_header(name: str) -> str:
    if not re.fullmatch(r":?[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name):
        raise ValueError(f"must be a header name, not {_shown(name)}")
    return name


_LABEL_VALUE: Final = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?")


def _check_label_value(value: str) -> str:
    if not _LABEL_VALUE.fullmatch(value):
        raise ValueError(
            "must be a label value: at most 63 letters, digits, -, _ and ., with a letter or digit at both ends"
            f", not {_shown(value)}"
        )
    return value


def _check_label_key(key: str) -> str:
    prefix, slash, name = key.rpartition("/")
    if (slash and not is_subdomain(prefix)) or not name or not _LABEL_VALUE.fullmatch(name):
        raise ValueError(f"must be a label key like app or example.com/app, not {_shown(key)}")
    return key


Host = Annotated[str, AfterValidator(check_host)]
WildcardHost = Annotated[str, AfterValidator(check_wildcard_host)]
NamespacedHost = Annotated[str, AfterValidator(check_namespaced_host)]
ScopedHost = Annotated[str, AfterValidator(check_scoped_host)]
Address = Annotated[str, AfterValidator(check_address)]
Cidr = Annotated[str, AfterValidator(check_cidr)]
ExportScope = Annotated[str, AfterValidator(_check_export)]
HeaderName = Annotated[str, AfterValidator(_check_http_header)]
LabelKey = Annotated[str, AfterValidator(_check_label_key)]
LabelValue = Annotated[str, AfterValidator(_check_label_value)]
Labels = Annotated[Mapping[LabelKey, LabelValue], FROZEN]
NonEmpty = Annotated[str, Field(min_length=1)]


def _shown(value: Any) -> str:
    """Return a value as a message quotes it: short, and a text in quotes."""
    shown = repr(value) if isinstance(value, str) else str(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
