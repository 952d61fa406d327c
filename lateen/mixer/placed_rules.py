"""The rules at one proxy, for whoever asks what they do with one call: when they match, and where they are acted on."""

from collections.abc import Iterator

from lateen.mixer import conditions, own_places
from lateen.mixer.compile import RuleSets
from lateen.mixer.compiled_checks import match_of
from lateen.mixer.operands import Unsayable
from lateen.mixer.places import Place
from lateen.mixer.rule_types import ResolvedRule
from lateen.model.view import ProxyView
from lateen.plan.conditions import Condition
from lateen.plan.explain.ports import PlacedAction, PlacedRule
from lateen.plan.types import Origin


def placed(view: ProxyView, rule_sets: RuleSets, port: int | None) -> Iterator[PlacedRule]:
    """Yield the rules with anything to do for calls to a port of the workload; None is for those that it makes."""
    if not view.mixer:
        return
    surveyed = rule_sets.surveyed(view)
    here = _direction(port, {one.number for one, _ in surveyed.by_port})
    found = [(one.origin, one) for calls, one in surveyed.placements if calls in here]
    place = _place(view, port)
    for rule in rule_sets.of(view).of_namespace(view.namespace):
        own = {origin: one for origin, one in found if origin.key == rule.written.key}
        actions = tuple(PlacedAction(origin, one.what, one.where, one.why) for origin, one in own.items())
        if actions:
            when, is_exact = _match(rule, place)
            match = rule.written.spec.match or ""
            yield PlacedRule(rule.name, Origin(rule.written.key, "spec.match"), match, when, is_exact, actions)


def _direction(port: int | None, apart: set[int]) -> tuple[str, ...]:
    """Return how a survey calls the calls that are meant."""
    if port is None:
        return ("out",)
    return ("in", f"in :{port}") if port in apart else ("in",)


def _place(view: ProxyView, port: int | None) -> Place:
    if port is None:
        return own_places.outbound(view)
    return own_places.inbound(view, next((one for one in view.own_ports if one.number == port), None))


def _match(rule: ResolvedRule, place: Place) -> tuple[Condition, bool]:
    """Return when a rule matches; where a proxy cannot say that, when it may."""
    root = match_of(rule).root
    try:
        return conditions.holds(root, place), True
    except Unsayable:
        return conditions.may_hold(root, place), False
