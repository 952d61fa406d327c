"""Which of Mixer's objects stand when others change."""

from lateen.api.objects import ObjectKey
from lateen.manager import settlement
from lateen.manager.settlement import Item
from tests.mixer.mixes import config, document

DENIER = document("handler", "h", "compiledAdapter: denier")
NOTHING = document("instance", "i", "compiledTemplate: checknothing")
RULE = document("rule", "r", "actions: [{handler: h, instances: [i]}]")
OTHER_RULE = document("rule", "r", "match: connection.mtls\nactions: [{handler: h, instances: [i]}]")
BROKEN_RULE = document("rule", "r", "match: nothing.there\nactions: [{handler: h, instances: [i]}]")
LIST = document("handler", "h", "compiledAdapter: listchecker")


def objects(*documents: str) -> dict[ObjectKey, Item]:
    return {item.key: item for item in config(*documents)}


def refusals(settled: settlement.Settled) -> dict[str, list[str]]:
    return {str(key): [violation.message for violation in found] for key, found in settled.refused.items()}


def test_what_works_out_stands() -> None:
    wanted = objects(DENIER, NOTHING, RULE)
    assert settlement.settle(wanted, {}) == settlement.Settled(wanted)


def test_a_rule_waits_for_what_it_names() -> None:
    settled = settlement.settle(objects(NOTHING, RULE), {})
    assert settled.objects == objects(NOTHING)
    assert refusals(settled) == {"rule default/r": ["unknown handler h"]}


def test_the_last_good_version_stays_in_the_place_of_a_bad_one() -> None:
    standing = objects(DENIER, NOTHING, RULE)
    settled = settlement.settle(objects(DENIER, NOTHING, BROKEN_RULE), standing)
    assert settled.objects == standing
    assert list(refusals(settled)) == ["rule default/r"]


def test_a_change_that_breaks_another_object_is_refused() -> None:
    standing = objects(DENIER, NOTHING, RULE)
    settled = settlement.settle(objects(LIST, NOTHING, RULE), standing)
    assert settled.objects == standing
    assert refusals(settled) == {
        "handler default/h": [
            "would break rule default/r: spec.actions[0].instances[0]: must be of a template that listchecker takes "
            "(listentry), not checknothing"
        ]
    }


def test_other_changes_are_taken_beside_a_refused_one() -> None:
    standing = objects(DENIER, NOTHING, RULE)
    bad_entry = document("listentry", "e", "value: nothing.there")
    settled = settlement.settle(objects(DENIER, NOTHING, OTHER_RULE, bad_entry), standing)
    assert settled.objects == objects(DENIER, NOTHING, OTHER_RULE)
    assert list(refusals(settled)) == ["listentry default/e"]


def test_what_breaks_because_another_is_gone_stands_with_its_faults() -> None:
    settled = settlement.settle(objects(NOTHING, RULE), objects(DENIER, NOTHING, RULE))
    assert settled == settlement.Settled(objects(NOTHING, RULE))


def test_faults_that_were_there_before_refuse_nothing_new() -> None:
    standing = objects(NOTHING, RULE)
    extra = document("handler", "other", "compiledAdapter: denier")
    assert settlement.settle(objects(NOTHING, RULE, extra), standing).refused == {}


def test_a_change_is_not_blamed_for_what_is_broken_because_something_else_is_gone() -> None:
    settled = settlement.settle(objects(LIST, RULE), objects(DENIER, NOTHING, RULE))
    assert settled == settlement.Settled(objects(LIST, RULE))
