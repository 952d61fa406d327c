"""CEL as one line of text, in the form in which Envoy evaluates it for every request."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator

from lateen.api.expressions import cel
from lateen.api.expressions.tree import Call, Constant, ConstantKind, Node, walk

_LOOKS_LIKE_AN_END: Final = re.compile(r"\)(:[0-9]+)?%")
"""By this Envoy finds the end of `%CEL(…)%`."""

_LARGEST_PATTERN: Final = 100
"""In instructions of RE2, what Envoy's evaluator takes."""


def check_expression(text: str) -> str:
    """Return the text if it is an expression that Envoy can evaluate where it formats texts."""
    if _LOOKS_LIKE_AN_END.search(text):
        raise ValueError(f"must have a space before %, or Envoy takes it for the end: {text!r}")
    faults = cel.check(text)
    if faults:
        raise ValueError(f"must be an expression in CEL: {'; '.join(map(str, faults))}")
    for node in walk(cel.parse(text)):
        if _joins_texts(node):
            raise ValueError(f"must not join texts with +, which Envoy does not evaluate here: {text!r}")
        if fault := _pattern_fault(node):
            raise ValueError(fault)
    return " ".join(text.split("\n"))


def _joins_texts(node: Node) -> bool:
    return (
        isinstance(node, Call)
        and node.function == "+"
        and any(isinstance(each, Constant) and each.kind is ConstantKind.STRING for each in node.arguments)
    )


def _pattern_fault(node: Node) -> str:
    """Say why Envoy would refuse the expression that `matches` compares with; nothing if it would not."""
    if not isinstance(node, Call) or node.function != "matches" or not isinstance(node.arguments[-1], Constant):
        return ""
    # Loaded with the first pattern: most configurations have none.
    import re2

    quiet = re2.Options()
    quiet.log_errors = False
    pattern = str(node.arguments[-1].value)
    try:
        size = re2.compile(pattern, quiet).programsize
    except (re2.error, UnicodeEncodeError):
        return f"must compare with an RE2 expression, not {pattern!r}"
    return "" if size <= _LARGEST_PATTERN else f"must compare with a shorter regular expression than {pattern!r}"


Expression = Annotated[str, AfterValidator(check_expression)]
