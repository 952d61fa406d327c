"""A question about metrics, taken apart: the part of PromQL that two readings of a mesh can answer."""

import re
from dataclasses import dataclass
from enum import Enum


class MatchOperator(Enum):
    """How a label is compared."""

    EQUAL = "="
    UNEQUAL = "!="
    MATCHES = "=~"
    DIFFERS = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on a label; a label that is not there is empty. Patterns count for the whole value."""

    label: str
    operator: MatchOperator
    value: str

    def accepts(self, value: str) -> bool:
        """Tell whether a value meets the condition."""
        match self.operator:
            case MatchOperator.EQUAL:
                return value == self.value
            case MatchOperator.UNEQUAL:
                return value != self.value
            case MatchOperator.MATCHES:
                return re.fullmatch(self.value, value) is not None
            case MatchOperator.DIFFERS:
                return re.fullmatch(self.value, value) is None


@dataclass(frozen=True, slots=True)
class Number:
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class Selector:
    """The series of a name that meet all conditions. `range_seconds` is 0 where only the last reading is meant."""

    name: str
    matchers: tuple[Matcher, ...] = ()
    range_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Growth:
    """How much counters grew between two readings: in all, or per second."""

    of: Selector
    per_second: bool


@dataclass(frozen=True, slots=True)
class Quantile:
    """The value below which such a share of a histogram's observations is, by interpolation."""

    share: "Expression"
    of: "Expression"


@dataclass(frozen=True, slots=True)
class Aggregation:
    """Series put together: by these labels, or by all others where `without`."""

    operator: str
    of: "Expression"
    labels: tuple[str, ...] = ()
    without: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """Two sides, number by number, or series by series where the labels are equal. A comparison keeps what holds."""

    operator: str
    left: "Expression"
    right: "Expression"


Expression = Number | Selector | Growth | Quantile | Aggregation | Operation


def needs_growth(expression: Expression) -> bool:
    """Tell whether an expression asks what happened between two readings."""
    waiting: list[Expression] = [expression]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Growth):
            return True
        if isinstance(one, Quantile):
            waiting += [one.share, one.of]
        elif isinstance(one, Aggregation):
            waiting.append(one.of)
        elif isinstance(one, Operation):
            waiting += [one.left, one.right]
    return False
