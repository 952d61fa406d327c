"""Many rules told with few match what they did before: by the plan's reader, for policies and calls by chance."""

import random

import pytest

from lateen.api.objects import ObjectKey
from lateen.envoy import access_texts, merged_rules, rbac
from lateen.plan import verdicts
from lateen.plan.types import AccessCondition, AccessRule, Attribute, Comparison, Origin, Pattern

from .policies import Chance, Signer, call_of
from .test_authorization_agreement import guard_of

ORIGIN = Origin(ObjectKey("", "", "", ""), "")
PORT = 8080


def rules_by_chance(chance: Chance, signer: Signer) -> tuple[AccessRule, ...]:
    access = guard_of(chance.crowd(signer.key_set, PORT)).access
    return (*access.deny, *(access.allow or ()), *access.audit)


@pytest.mark.parametrize("seed", range(40))
def test_fewer_rules_match_the_same(seed: int) -> None:
    chance, signer = Chance(seed), Signer()
    rules = rules_by_chance(chance, signer)
    few = merged_rules.fewer(rules)
    for _ in range(60):
        call = call_of(chance.call(), PORT)
        expected = any(verdicts.matches(rule, call) for rule in rules)
        assert any(verdicts.matches(rule, call) for rule in few) == expected
        assert found_in_branches(few, call) == expected


def found_in_branches(rules: tuple[AccessRule, ...], call: verdicts.Call) -> bool:
    """Look for a rule that matches as a proxy does: in no branch whose glance does not hold."""
    branches, others = merged_rules.branches(rules)
    return any(verdicts.matches(rule, call) for rule in others) or any(
        verdicts.holds(branch.glance, call) and found_in_branches(branch.rules, call) for branch in branches
    )


def only(*texts: str, attribute: Attribute = Attribute.PRINCIPAL) -> tuple[tuple[AccessCondition, ...], ...]:
    return ((AccessCondition(attribute, tuple(Pattern(Comparison.EXACT, text) for text in texts)),),)


def test_rules_that_differ_in_one_place_become_one() -> None:
    paths = only("/a", attribute=Attribute.PATH)
    rules = [AccessRule(str(number), ORIGIN, only(f"td/ns/a/sa/{number}"), paths) for number in range(100)]
    (rule,) = merged_rules.fewer(rules)
    assert rule.sources == only(*(f"td/ns/a/sa/{number}" for number in range(100)))
    assert rule.operations == paths


def test_a_rule_that_asks_nothing_of_the_source_stays_for_everybody() -> None:
    rules = [AccessRule("a", ORIGIN, only("td/ns/a/sa/b")), AccessRule("b", ORIGIN)]
    (rule,) = merged_rules.fewer(rules)
    assert (rule.sources, rule.operations, rule.conditions) == ((), (), ())


def test_rules_that_nothing_tells_apart_are_not_divided() -> None:
    rules = [
        AccessRule(
            str(number),
            ORIGIN,
            (),
            (),
            (AccessCondition(Attribute.SOURCE_IP, (Pattern(Comparison.RANGE, f"10.0.0.{number}"),)),),
        )
        for number in range(20)
    ]
    assert merged_rules.branches(rules) == ((), tuple(rules))


def test_a_glance_at_the_path_comes_before_one_at_who_calls() -> None:
    rules = [
        AccessRule(str(number), ORIGIN, only(f"td/ns/a/sa/{number}"), only(f"/{number}", attribute=Attribute.PATH))
        for number in range(100)
    ]
    branches, others = merged_rules.branches(rules)
    assert {branch.glance.attribute for branch in branches} == {Attribute.PATH}
    assert sum(len(branch.rules) for branch in branches) == 100
    assert others == ()


def test_many_texts_are_one_expression_and_too_many_are_several() -> None:
    texts = [access_texts.text(Pattern(Comparison.EXACT, f"/a.{number}")) for number in range(5)]
    assert access_texts.any_of(texts[:3]) == texts[:3]
    (joined,) = access_texts.any_of(texts)
    assert joined.safe_regex.regex == r"/a\.0|/a\.1|/a\.2|/a\.3|/a\.4"
    endless = [access_texts.text(Pattern(Comparison.PREFIX, "/" + "x" * 100 + str(number))) for number in range(1000)]
    assert all(len(each.safe_regex.regex) < 20_000 for each in access_texts.any_of(endless))
    assert sum(each.safe_regex.regex.count("|") + 1 for each in access_texts.any_of(endless)) == 1000


def test_a_filter_that_refuses_keeps_every_name() -> None:
    rules = [AccessRule(f"rule-{number}", ORIGIN, only(f"td/ns/a/sa/{number}")) for number in range(20)]
    random.Random(1).shuffle(rules)
    assert set(rbac.denying(rules).policies) == {f"rule-{number}" for number in range(20)}
    assert set(rbac.allowing(rules).policies) == {"any[0]"}
    assert set(rbac.allowing(rules[:3]).policies) == {rule.name for rule in rules[:3]}
