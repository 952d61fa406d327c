"""Fields that hold expressions, each with the type that its value must have."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator

from lateen.api.expressions import cel, cexl
from lateen.api.expressions.faults import BadExpression
from lateen.api.expressions.types import ValueType
from lateen.api.fields import FROZEN


def check_expression(text: str) -> str:
    """Return the text if it is an expression of Mixer's language or of CEL; which of them counts, its object tells."""
    try:
        cexl.parse(text)
    except BadExpression as bad:
        try:
            cel.parse(text)
        except BadExpression:
            raise bad from None
    return text


OUTPUT: Final = "output"
"""Under this name the answer of an attribute generator stands in attributeBindings."""


def binding_text(text: str) -> str:
    """Return the expression of a binding with `$out`, as the first releases wrote it, as `output`."""
    return re.sub(r"\$out\b", OUTPUT, text)


def _check_binding(text: str) -> str:
    check_expression(binding_text(text))
    return text


@dataclass(frozen=True, slots=True)
class Wants:
    """Marks a field whose expression must have one of these types; none means any."""

    types: tuple[ValueType, ...] = ()


_CHECKED: Final = AfterValidator(check_expression)

AnyExpression = Annotated[str, _CHECKED, Wants()]
TextExpression = Annotated[str, _CHECKED, Wants((ValueType.STRING,))]
ListedExpression = Annotated[str, _CHECKED, Wants((ValueType.STRING, ValueType.IP_ADDRESS))]
NumberExpression = Annotated[str, _CHECKED, Wants((ValueType.INT64,))]
BoolExpression = Annotated[str, _CHECKED, Wants((ValueType.BOOL,))]
AddressExpression = Annotated[str, _CHECKED, Wants((ValueType.IP_ADDRESS,))]
TimeExpression = Annotated[str, _CHECKED, Wants((ValueType.TIMESTAMP,))]
ValueMap = Annotated[Mapping[str, AnyExpression], FROZEN]
TextMap = Annotated[Mapping[str, TextExpression], FROZEN]
Bindings = Annotated[Mapping[str, Annotated[str, AfterValidator(_check_binding)]], FROZEN]
