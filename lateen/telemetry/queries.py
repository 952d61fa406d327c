"""Answers a question about metrics from two readings: what `rate` and `increase` tell is what happened between them."""

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from lateen.telemetry import histograms
from lateen.telemetry.exposition import Labels, Sample
from lateen.telemetry.query_parser import BadQuery
from lateen.telemetry.query_tree import Aggregation, Expression, Growth, Number, Operation, Quantile, Selector
from lateen.telemetry.readings import Interval

_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One series of an answer. `name` is empty where the number is no metric any more."""

    labels: Labels
    value: float
    name: str = ""


Vector = tuple[Row, ...]
Value = float | Vector


def answer(expression: Expression, over: Interval) -> Vector:
    """Return the series that an expression gives, ordered by labels; a number is a series without any.

    Raises `BadQuery` where two sides do not fit.
    """
    found = _value(expression, over)
    if isinstance(found, float):
        return (Row((), found),)
    return tuple(sorted(found, key=lambda row: (row.name, row.labels)))


def _value(expression: Expression, over: Interval) -> Value:
    match expression:
        case Number():
            return expression.value
        case Selector():
            return tuple(Row(each.labels, each.value, each.name) for each in _selected(expression, over))
        case Growth():
            return _growth(expression, over)
        case Quantile():
            return _quantile(expression, over)
        case Aggregation():
            return _aggregated(expression, over)
        case Operation():
            return _operated(expression, over)


def _selected(selector: Selector, over: Interval) -> Iterable[Sample]:
    for sample in over.after.named(selector.name):
        labels = {"__name__": sample.name, **dict(sample.labels)} if selector.matchers else {}
        if all(each.accepts(labels.get(each.label, "")) for each in selector.matchers):
            yield sample


def _growth(expression: Growth, over: Interval) -> Vector:
    scale = 1 / over.seconds if expression.per_second else 1.0
    return tuple(
        Row(sample.labels, grown * scale)
        for sample in _selected(expression.of, over)
        if (grown := over.growth(sample)) is not None
    )


def _quantile(expression: Quantile, over: Interval) -> Vector:
    share = _value(expression.share, over)
    if not isinstance(share, float):
        raise BadQuery("the first argument of histogram_quantile must be a number", "", 0)
    groups: dict[Labels, list[tuple[float, float]]] = {}
    for row in _vector(expression.of, over):
        bound = _bound(row.labels)
        if bound is not None:
            rest = tuple(label for label in row.labels if label[0] != "le")
            groups.setdefault(rest, []).append((bound, row.value))
    return tuple(Row(labels, histograms.quantile(share, buckets)) for labels, buckets in groups.items())


def _bound(labels: Labels) -> float | None:
    try:
        return float(dict(labels)["le"])
    except (KeyError, ValueError):
        return None


def _aggregated(expression: Aggregation, over: Interval) -> Vector:
    groups: dict[Labels, list[float]] = {}
    chosen = frozenset(expression.labels)
    for row in _vector(expression.of, over):
        kept = tuple(label for label in row.labels if (label[0] in chosen) != expression.without)
        groups.setdefault(kept, []).append(row.value)
    together = _TOGETHER[expression.operator]
    return tuple(Row(labels, together(values)) for labels, values in groups.items())


_TOGETHER: Final[Mapping[str, Callable[[list[float]], float]]] = {
    "sum": math.fsum,
    "avg": lambda values: math.fsum(values) / len(values),
    "min": min,
    "max": max,
    "count": lambda values: float(len(values)),
}


def _operated(expression: Operation, over: Interval) -> Value:
    left, right = _value(expression.left, over), _value(expression.right, over)
    if isinstance(left, float) and isinstance(right, float):
        return _numbers(expression.operator, left, right)
    if isinstance(right, float):
        return _each(expression.operator, left if not isinstance(left, float) else (), lambda _: right)
    if isinstance(left, float):
        number = left
        return _each(expression.operator, right, lambda _: number, number_is_left=True)
    partners = _by_labels(right, expression.operator)
    _by_labels(left, expression.operator)
    paired = tuple(row for row in left if row.labels in partners)
    return _each(expression.operator, paired, lambda row: partners[row.labels])


def _each(sign: str, rows: Vector, partner: Callable[[Row], float], *, number_is_left: bool = False) -> Vector:
    compared = _COMPARISONS.get(sign)
    found = []
    for row in rows:
        sides = (partner(row), row.value) if number_is_left else (row.value, partner(row))
        if compared is None:
            found.append(Row(row.labels, _numbers(sign, *sides)))
        elif compared(*sides):
            found.append(row)
    return tuple(found)


def _by_labels(rows: Vector, sign: str) -> Mapping[Labels, float]:
    found: dict[Labels, float] = {}
    for row in rows:
        if row.labels in found:
            raise BadQuery(
                f"one side of {sign} has several series with the same labels; put them together first", "", 0
            )
        found[row.labels] = row.value
    return found


def _numbers(sign: str, left: float, right: float) -> float:
    """Calculate as floating-point hardware does: nothing fails, some results are NaN or infinite."""
    if sign in _COMPARISONS:
        return float(_COMPARISONS[sign](left, right))
    match sign:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return _divided(left, right)
        case "%":
            return math.fmod(left, right) if right and not math.isinf(left) else math.nan
        case _:
            return _power(left, right)


def _divided(left: float, right: float) -> float:
    if right:
        return left / right
    return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left) * math.copysign(1.0, right)


def _power(left: float, right: float) -> float:
    try:
        return math.pow(left, right)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.inf if left == 0 else math.nan


def _vector(expression: Expression, over: Interval) -> Vector:
    found = _value(expression, over)
    if isinstance(found, float):
        raise BadQuery("series are expected here, not a number", "", 0)
    return found
