"""Label selectors, as Deployments and MeshConfig use them."""

from collections.abc import Iterator, Mapping
from enum import StrEnum

from lateen.api.fields import EMPTY_MAP, LabelKey, Labels
from lateen.api.structs import Checked, Problem, Struct


class Operator(StrEnum):
    """How a label's value is compared with the requirement's values."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class Requirement(Checked):
    """One condition on one label."""

    key: LabelKey
    operator: Operator
    values: tuple[str, ...] = ()

    def problems(self) -> Iterator[Problem]:
        takes_values = self.operator in (Operator.IN, Operator.NOT_IN)
        if takes_values and not self.values:
            yield Problem(f"must have at least one value for operator {self.operator}", "values")
        if not takes_values and self.values:
            yield Problem(f"must be empty for operator {self.operator}", "values")

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether the labels meet this condition; a missing label meets NotIn."""
        match self.operator:
            case Operator.IN:
                return labels.get(self.key) in self.values
            case Operator.NOT_IN:
                return labels.get(self.key) not in self.values
            case Operator.EXISTS:
                return self.key in labels
            case Operator.DOES_NOT_EXIST:
                return self.key not in labels


class LabelSelector(Struct):
    """Selects what has all these labels and meets all these conditions; an empty one selects everything."""

    match_labels: Labels = EMPTY_MAP
    match_expressions: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether something with these labels is selected."""
        return self.match_labels.items() <= labels.items() and all(
            requirement.matches(labels) for requirement in self.match_expressions
        )
