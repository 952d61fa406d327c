"""Header operations of rules: their values typed, and the answers of actions that these read."""

from collections.abc import Iterator

from lateen.api.expressions import cel, cexl
from lateen.api.expressions.faults import BadExpression
from lateen.api.expressions.tree import attribute_names
from lateen.api.expressions.types import ValueType
from lateen.api.mixer.rule import HeaderOperation, Rule
from lateen.mixer.instances import written_path
from lateen.mixer.manifests import AttributeTypes
from lateen.mixer.rule_types import HeaderChange
from lateen.mixer.typist import Typist


def outputs(rule: Rule) -> AttributeTypes:
    """Return what header operations read of the answers of named actions, as `ACTION.output.FIELD`: all text."""
    prefixes = tuple(f"{action.name}.output." for action in rule.actions if action.name)
    operations = (*rule.request_header_operations, *rule.response_header_operations)
    read = (name for operation in operations for text in operation.values for name in _names(text))
    return dict.fromkeys(sorted(name for name in read if name.startswith(prefixes)), ValueType.STRING)


def _names(text: str) -> tuple[str, ...]:
    """Return the names in an expression of either language; none for what is an expression of the other one."""
    for language in (cexl, cel):
        try:
            return attribute_names(language.parse(text))
        except BadExpression:
            continue
    return ()


def changes(operations: tuple[HeaderOperation, ...], name: str, typist: Typist) -> Iterator[HeaderChange]:
    """Yield the changes of one list of a rule; values with a fault are noted and left out."""
    path = written_path(typist.item, "spec", name) if operations else ""
    for position, operation in enumerate(operations):
        at = f"{path}[{position}]"
        values = (
            typist.typed(text, f"{at}.values[{number}]", (ValueType.STRING,))
            for number, text in enumerate(operation.values)
        )
        yield HeaderChange(operation.name, operation.operation, tuple(filter(None, values)), at)
