"""Texts in which Envoy puts what it knows of a call in the place of operators, such as `%REQ(USER-AGENT)%`."""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import AfterValidator

from lateen.api.expressions import cel
from lateen.api.parsing import near
from lateen.api.telemetry.format_operators import ALONE, KNOWN, WITH_ARGUMENT

_OPERATOR: Final = re.compile(r"%(?:%|([A-Z][A-Z0-9_]*)(?:\((.*?)\)(?=[:%]))?(?::\d+)?%)", re.DOTALL)


def format_faults(text: str) -> Iterator[str]:
    """Yield what Envoy would not take in a text."""
    rest = 0
    for found in _OPERATOR.finditer(text):
        if "%" in text[rest : found.start()]:
            break
        rest = found.end()
        if found[1]:
            yield from _operator_faults(found[1], found[2])
    if "%" in text[rest:]:
        yield f"must have an operator like %DURATION% after the % at character {text.index('%', rest) + 1}, or %%"


def is_json_object(text: str) -> bool:
    """Tell whether a text is a JSON object, whose values are formats."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _operator_faults(name: str, argument: str | None) -> Iterator[str]:
    if name not in KNOWN:
        yield f"must not have %{name}%, which Envoy does not know{near(name, sorted(KNOWN))}"
    elif argument is None and name in WITH_ARGUMENT:
        yield f"must say of what: %{name}(…)%"
    elif argument is not None and name in ALONE:
        yield f"must not say more than %{name}%"
    elif name == "CEL" and argument is not None:
        for fault in cel.check(argument):
            yield f"must have an expression in CEL in %CEL(…)%: {fault}"


def _check_format(text: str) -> str:
    if faults := list(format_faults(text)):
        raise ValueError("; ".join(faults))
    return text


FormatText = Annotated[str, AfterValidator(_check_format)]
"""A text for a log."""
