"""Expressions in CEL where Envoy formats texts."""

from lateen.api.expressions import cel
from lateen.api.expressions.tree import Constant, Node
from lateen.api.telemetry import expressions


def expression_format(text: str) -> str:
    """Say the value of an expression as text. Texts that `+` joins stand beside each other: Envoy itself joins none."""
    return "".join(map(_operator, expressions.parts(cel.parse(text))))


def _operator(node: Node) -> str:
    if isinstance(node, Constant) and isinstance(node.value, str) and node.value and "%" not in node.value:
        return node.value
    return f"%CEL({cel.render(node)})%"
