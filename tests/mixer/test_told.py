"""Reports that proxies make themselves are not made again."""

from lateen.api.mixer.templates import Variety
from lateen.mixer.told import only_told

from .mixes import document, rule_set

ENTRY = document("logentry", "istio-system/entry", 'variables: {a: request.method | ""}')
STDIO = document("stdio", "istio-system/lines")
FLUENTD = document("fluentd", "istio-system/elsewhere")
DENIER = document("denier", "istio-system/refuse")
NOTHING = document("checknothing", "istio-system/nothing")


def kept(action: str) -> list[str]:
    """The instances that are left of a rule with this action."""
    found = rule_set(ENTRY, STDIO, FLUENTD, DENIER, NOTHING, document("rule", "istio-system/r", f"actions: [{action}]"))
    (rule,) = only_told(found).rules
    return [each.template for one in rule.actions for each in one.instances]


def test_what_proxies_write_is_left_out() -> None:
    assert kept("{handler: lines.stdio, instances: [entry.logentry]}") == []


def test_what_they_cannot_write_stays() -> None:
    assert kept("{handler: elsewhere.fluentd, instances: [entry.logentry]}") == ["logentry"]


def test_checks_stay() -> None:
    found = rule_set(
        DENIER,
        NOTHING,
        document("rule", "istio-system/r", "actions: [{handler: refuse.denier, instances: [nothing.checknothing]}]"),
    )
    (rule,) = only_told(found).rules
    assert [each.variety for one in rule.actions for each in one.instances] == [Variety.CHECK]
