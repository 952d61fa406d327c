"""Many rules told with few: what they have in common is asked once, and most of them are passed over at a glance.

For decisions in which it does not matter *which* rule matches. What comes out matches exactly what went in did.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lateen.plan.types import AccessCondition, AccessRule, Alternatives, Attribute, Comparison, Pattern

_BRANCHES: Final = 4
_LEAF: Final = 6
_GLANCES: Final = (
    Attribute.PATH,
    Attribute.PRINCIPAL,
    Attribute.ACCOUNT,
    Attribute.NAMESPACE,
    Attribute.HOST,
    Attribute.HEADER,
    Attribute.METHOD,
)
"""By what rules are told apart, the cheapest first: of these, many texts can be compared at once."""

_Key = tuple[Attribute, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Branch:
    """Rules of which none matches unless the glance holds."""

    glance: AccessCondition
    rules: tuple[AccessRule, ...]


def fewer(rules: Iterable[AccessRule]) -> tuple[AccessRule, ...]:
    """Return rules that together match the same, with all that differs in one place only put into one rule."""
    found = [
        replace(members[0], sources=_union(each.sources for each in members))
        for members in _grouped(rules, lambda rule: (rule.operations, rule.conditions))
    ]
    found = [
        replace(members[0], operations=_union(each.operations for each in members))
        for members in _grouped(found, lambda rule: (rule.sources, rule.conditions))
    ]
    return tuple(
        replace(members[0], conditions=conditions)
        for members in _grouped(found, lambda rule: (rule.sources, rule.operations))
        for conditions in _widened(tuple(each.conditions for each in members))
    )


def branches(rules: Sequence[AccessRule]) -> tuple[tuple[Branch, ...], tuple[AccessRule, ...]]:
    """Divide rules into branches, and those that no glance tells apart from the others; few rules are not divided."""
    key = _telling_apart(rules) if len(rules) > _LEAF else None
    if key is None:
        return (), tuple(rules)
    asked = sorted(((patterns, rule) for rule in rules if (patterns := _asked(rule, key))), key=_written)
    others = tuple(rule for rule in rules if not _asked(rule, key))
    size = -(-len(asked) // _BRANCHES)
    return tuple(_branch(key, asked[start : start + size]) for start in range(0, len(asked), size)), others


def _branch(key: _Key, members: Sequence[tuple[tuple[Pattern, ...], AccessRule]]) -> Branch:
    patterns = dict.fromkeys(pattern for patterns, _ in members for pattern in patterns)
    attribute, names = key
    return Branch(AccessCondition(attribute, tuple(patterns), names=names), tuple(rule for _, rule in members))


def _written(member: tuple[tuple[Pattern, ...], AccessRule]) -> list[tuple[bool, str]]:
    """Put rules that match by the same texts beside one another, and those that match almost everything."""
    return sorted((pattern.comparison is Comparison.EXACT, pattern.value) for pattern in member[0])


def _telling_apart(rules: Sequence[AccessRule]) -> _Key | None:
    """Choose what most rules ask for with different texts; None where nothing tells any two of them apart."""
    keys = dict.fromkeys(_key(each) for rule in rules for each in _conditions(rule) if each.attribute in _GLANCES)
    told = {key: len({_asked(rule, key) for rule in rules} - {()}) for key in keys}
    best = max(told, key=lambda key: (told[key], -_GLANCES.index(key[0])), default=None)
    return best if best is not None and told[best] > 1 else None


def _asked(rule: AccessRule, key: _Key) -> tuple[Pattern, ...]:
    """Return the texts of which a request must have one for the rule to match; nothing where others may match too."""
    for alternatives in ((rule.conditions,), rule.operations, rule.sources):
        found = [_own(conditions, key) for conditions in alternatives]
        if found and all(found):
            return tuple(dict.fromkeys(pattern for each in found for one in each[:1] for pattern in one.patterns))
    return ()


def _conditions(rule: AccessRule) -> Iterator[AccessCondition]:
    for alternative in (rule.conditions, *rule.operations, *rule.sources):
        yield from alternative


def _union(several: Iterable[Alternatives]) -> Alternatives:
    """Return any of all alternatives; one list without alternatives asks nothing, so nothing is asked."""
    lists = list(several)
    return _widened(tuple(one for each in lists for one in each)) if all(lists) else ()


def _widened(alternatives: Alternatives) -> Alternatives:
    """Join alternatives that differ in the texts of one condition."""
    found = tuple(dict.fromkeys(alternatives))
    keys = dict.fromkeys(_key(each) for alternative in found for each in alternative if not each.inverted)
    for key in keys:
        found = _joined(found, key)
    return found


def _joined(alternatives: Alternatives, key: _Key) -> Alternatives:
    groups: dict[Hashable, list[tuple[AccessCondition, ...]]] = {}
    for position, alternative in enumerate(alternatives):
        is_single = len(_own(alternative, key)) == 1
        groups.setdefault(_rest(alternative, key) if is_single else position, []).append(alternative)
    return tuple(members[0] if len(members) == 1 else _any_text(members, key) for members in groups.values())


def _any_text(members: Sequence[tuple[AccessCondition, ...]], key: _Key) -> tuple[AccessCondition, ...]:
    texts = dict.fromkeys(pattern for each in members for one in _own(each, key) for pattern in one.patterns)
    attribute, names = key
    return (AccessCondition(attribute, tuple(texts), names=names), *_rest(members[0], key))


def _own(conditions: Iterable[AccessCondition], key: _Key) -> list[AccessCondition]:
    return [each for each in conditions if _key(each) == key and not each.inverted]


def _rest(conditions: Iterable[AccessCondition], key: _Key) -> tuple[AccessCondition, ...]:
    return tuple(each for each in conditions if _key(each) != key or each.inverted)


def _key(condition: AccessCondition) -> _Key:
    return condition.attribute, condition.names


def _grouped(rules: Iterable[AccessRule], by: Callable[[AccessRule], Hashable]) -> list[list[AccessRule]]:
    groups: dict[Hashable, list[AccessRule]] = {}
    for rule in rules:
        groups.setdefault(by(rule), []).append(rule)
    return list(groups.values())
