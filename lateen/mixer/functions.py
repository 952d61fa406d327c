"""The functions and operators of expressions: which types they take, and which they give."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from lateen.api.expressions.tree import Language
from lateen.api.expressions.types import ValueType

STRING: Final = ValueType.STRING
INT: Final = ValueType.INT64
DOUBLE: Final = ValueType.DOUBLE
BOOL: Final = ValueType.BOOL
TIME: Final = ValueType.TIMESTAMP
DURATION: Final = ValueType.DURATION
MAP: Final = ValueType.STRING_MAP

COMPARABLE: Final = frozenset(set(ValueType) - {MAP})
"""What `==` and `!=` compare."""

ORDERED: Final = frozenset({STRING, INT, DOUBLE, TIME, DURATION})
"""What `<` and its like compare."""

BOTH: Final = frozenset(Language)
CEL_ONLY: Final = frozenset({Language.CEL})


@dataclass(frozen=True, slots=True)
class Signature:
    """One way to call a function; with a receiver it is a method."""

    arguments: tuple[ValueType, ...]
    result: ValueType
    receiver: ValueType | None = None
    languages: frozenset[Language] = BOTH

    def __str__(self) -> str:
        before = f"{self.receiver}." if self.receiver else ""
        return f"{before}({', '.join(self.arguments)})"


def _arithmetic(*kinds: ValueType) -> tuple[Signature, ...]:
    return tuple(Signature((kind, kind), kind, languages=CEL_ONLY) for kind in kinds)


SIGNATURES: Final = MappingProxyType(
    {
        "+": (
            *(Signature((kind, kind), kind) for kind in (STRING, INT, DOUBLE)),
            Signature((TIME, DURATION), TIME, languages=CEL_ONLY),
            Signature((DURATION, DURATION), DURATION, languages=CEL_ONLY),
        ),
        "-": (
            *_arithmetic(INT, DOUBLE, DURATION),
            Signature((TIME, TIME), DURATION, languages=CEL_ONLY),
            Signature((TIME, DURATION), TIME, languages=CEL_ONLY),
            Signature((INT,), INT, languages=CEL_ONLY),
            Signature((DOUBLE,), DOUBLE, languages=CEL_ONLY),
        ),
        "*": _arithmetic(INT, DOUBLE),
        "/": _arithmetic(INT, DOUBLE),
        "%": _arithmetic(INT),
        "!": (Signature((BOOL,), BOOL, languages=CEL_ONLY),),
        "match": (Signature((STRING, STRING), BOOL),),
        "matches": (Signature((STRING,), BOOL, STRING),),
        "startsWith": (Signature((STRING,), BOOL, STRING),),
        "endsWith": (Signature((STRING,), BOOL, STRING),),
        "contains": (Signature((STRING,), BOOL, STRING, CEL_ONLY),),
        "ip": (Signature((STRING,), ValueType.IP_ADDRESS),),
        "timestamp": (Signature((STRING,), TIME),),
        "duration": (Signature((STRING,), DURATION, languages=CEL_ONLY),),
        "dnsName": (Signature((STRING,), ValueType.DNS_NAME),),
        "email": (Signature((STRING,), ValueType.EMAIL_ADDRESS),),
        "uri": (Signature((STRING,), ValueType.URI),),
        "toLower": (Signature((STRING,), STRING),),
        "size": (
            Signature((STRING,), INT),
            Signature((MAP,), INT),
            Signature((), INT, STRING, CEL_ONLY),
            Signature((), INT, MAP, CEL_ONLY),
        ),
        "reverse": (Signature((STRING,), STRING),),
        "emptyStringMap": (Signature((), MAP),),
        "double": (Signature((INT,), DOUBLE, languages=CEL_ONLY),),
        "int": (Signature((DOUBLE,), INT, languages=CEL_ONLY),),
    }
)
"""The functions whose types are fixed: not `==` and its like, `|`, `&&`, `||`, `conditional`, `in` and `has`."""
