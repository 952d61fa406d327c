"""Glances see whatever any of their conditions may fit, and ask each place once."""

import re

from lateen.api.expressions import cel
from lateen.envoy import glance_matchers, glances
from lateen.plan.conditions import AddressIn, AnyOf, Condition, HeaderFits, Not, PathFits, PeerIs, Says, all_of, any_of
from lateen.plan.types import MatchKind, TextMatch


def header(name: str, value: str, kind: MatchKind = MatchKind.EXACT) -> HeaderFits:
    return HeaderFits(name, TextMatch(kind, value))


def expression(condition: Condition) -> str:
    assert isinstance(condition, HeaderFits | PeerIs)
    assert condition.text.kind is MatchKind.REGEX
    return condition.text.value


def test_texts_in_one_place_are_looked_for_together() -> None:
    seen = glances.glance([header("x", f"a{n}") for n in range(50)])
    assert re.fullmatch(expression(seen), "a49")
    assert not re.fullmatch(expression(seen), "a5x")


def test_the_place_in_which_conditions_differ_most_is_chosen() -> None:
    conditions = [all_of((header(":method", "GET"), header("x", f"a{n}"))) for n in range(3)]
    seen = glances.glance(conditions)
    assert isinstance(seen, HeaderFits)
    assert seen.name == "x"


def test_each_way_in_which_a_condition_may_hold_is_seen() -> None:
    seen = glances.glance([any_of((header("x", "a"), PeerIs("app", TextMatch(MatchKind.EXACT, "b"))))])
    assert isinstance(seen, AnyOf)
    assert {type(part) for part in seen.parts} == {HeaderFits, PeerIs}


def test_paths_are_seen_in_front_of_a_query() -> None:
    seen = glances.glance([PathFits(TextMatch(MatchKind.PREFIX, "/a")), PathFits(TextMatch(MatchKind.EXACT, "/b"))])
    assert re.fullmatch(expression(seen), "/b?c=d")
    assert not re.fullmatch(expression(seen), "/bc")


def test_what_a_glance_cannot_see_is_always_asked() -> None:
    for part in (Not(header("x", "a")), Says(cel.parse("request.size > 1"))):
        seen = glances.glance([header("y", "b"), part])
        assert glance_matchers.passed_over("name", object(), seen) is None


def test_addresses_are_seen() -> None:
    seen = glances.glance([all_of((AddressIn("10.0.0.0/8"), Not(header("x", "a"))))])
    assert seen == AddressIn("10.0.0.0/8")
