"""Checks: what a proxy refuses itself, and what it asks Mixer about."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from lateen.api.expressions.tree import Constant, ConstantKind
from lateen.api.mixer.checks import DenierParams, ListCheckerParams, NoopParams
from lateen.api.mixer.templates import Variety
from lateen.api.status_codes import StatusCode
from lateen.mixer import anyones, conditions, operands, spoken_values
from lateen.mixer.attributes import ENTRIES
from lateen.mixer.compiled import Placement, Where
from lateen.mixer.lists import each_value, is_listed
from lateen.mixer.operands import (
    Address,
    Alternative,
    Fixed,
    Header,
    Operand,
    Peer,
    PeerFact,
    PeerPart,
    Unsayable,
    UrlPath,
    spoken,
)
from lateen.mixer.own_places import for_connections
from lateen.mixer.places import Place
from lateen.mixer.rule_types import ResolvedAction, ResolvedHandler, ResolvedInstance, ResolvedRule, TypedField
from lateen.mixer.status import Status, refusal_message
from lateen.mixer.typing import Typed
from lateen.plan.conditions import ALWAYS, NEVER, Condition, all_of, any_of, negated
from lateen.plan.mixer_types import Checks, Denial, GatedRule, RemoteCheck, Reply, Shown
from lateen.plan.types import Origin

FAIL_OPEN_ANNOTATION: Final = "lateen.dev/fail-open"
_ALWAYS: Final = Typed(Constant(ConstantKind.BOOL, value=True), ENTRIES["connection.mtls"].type)


@dataclass(frozen=True, slots=True)
class Refusal:
    """When a check refuses, and with which status; parts of the text are shown of the request."""

    when: Condition
    code: StatusCode
    text: tuple[str | Shown, ...]


def match_of(rule: ResolvedRule) -> Typed:
    """Return a rule's match; without one it always holds."""
    return rule.match or _ALWAYS


class CheckCompiler:
    """Compiles the checks of rules for one place; `fails_open` is what a broken check means in the mesh."""

    def __init__(self, place: Place, *, fails_open: bool) -> None:
        self._place = place
        self._fails_open = fails_open
        self.placements: list[Placement] = []

    def compile(self, rules: Iterable[ResolvedRule]) -> Checks:
        """Return what is decided here and what is asked of Mixer, in the order of the rules."""
        denials: list[Denial] = []
        gated: list[GatedRule] = []
        for number, rule in enumerate(rules):
            name = f"mixer-{number:04}-{rule.name}"
            asked = False
            for position, action in enumerate(rule.actions):
                if any(one.variety in CHECKED for one in action.instances):
                    found = self._action(rule, action)
                    asked = asked or found is None
                    origin = Origin(rule.written.key, action.path)
                    for order, refusal in enumerate(found or ()):
                        reply = Reply(Status(refusal.code).http_status, refusal.text)
                        denials.append(Denial(f"{name}-{position:02}.{order:02}", refusal.when, reply, origin))
            if asked:
                when = conditions.may_hold(match_of(rule).root, self._place)
                gated.append(GatedRule(name, when, Origin(rule.written.key, "spec")))
        remote = RemoteCheck(tuple(gated), fails_open=self._fails_open) if gated else None
        return Checks(tuple(denials), remote)

    def _action(self, rule: ResolvedRule, action: ResolvedAction) -> tuple[Refusal, ...] | None:
        """Return when an action refuses; None where only Mixer knows."""
        possible = conditions.may_hold(match_of(rule).root, self._place)
        if possible == NEVER:
            self._put(rule, action, Where.NEVER)
            return ()
        try:
            found = tuple(self.refusals(rule, action))
        except Unsayable as reason:
            self._put(rule, action, Where.CHECK, str(reason))
            return None
        found = tuple(one for one in found if one.when != NEVER)
        self._put(rule, action, Where.DENIALS if found else Where.NOTHING)
        return found

    def refusals(self, rule: ResolvedRule, action: ResolvedAction) -> Iterator[Refusal]:
        """Yield when an action refuses; raises `Unsayable` where only Mixer knows."""
        if not action.handler.is_built_in:
            raise Unsayable("the adapter is a process of its own")
        decide = _ADAPTERS.get(type(action.handler.settings))
        if decide is None:
            raise Unsayable(f"a proxy has no adapter {action.handler.adapter}")
        match = conditions.holds(match_of(rule).root, self._place)
        for instance in action.instances:
            if instance.variety is Variety.ATTRIBUTE_GENERATOR:
                _check_bindings(instance)
            elif instance.variety is Variety.CHECK and match != NEVER:
                for one in (*self._missing(instance, action.handler), *decide(instance, action.handler, self._place)):
                    yield Refusal(all_of((match, one.when)), one.code, one.text)

    def _missing(self, instance: ResolvedInstance, handler: ResolvedHandler) -> Iterator[Refusal]:
        """Say when an instance cannot be made: that counts as a broken check."""
        if fails_open(handler, mesh_wide=self._fails_open):
            return
        for field in instance.fields:
            if not spoken_values.always_there(field.typed.root, self._place):
                there = any_of(one.known for one in conditions.operand(field.typed.root, self._place))
                message = f"{instance.name}: {'.'.join(field.at)} has no value: {field.text}"
                yield _refusal(negated(there), handler, StatusCode.INTERNAL, message)

    def _put(self, rule: ResolvedRule, action: ResolvedAction, where: Where, why: str = "") -> None:
        what = f"{action.handler.adapter} {action.handler.name}"
        self.placements.append(Placement(rule.name, Origin(rule.written.key, action.path), what, where, why))


CHECKED: Final = frozenset({Variety.CHECK, Variety.ATTRIBUTE_GENERATOR})


def is_decided_by_proxies(rule: ResolvedRule, action: ResolvedAction, *, mesh_fails_open: bool) -> bool:
    """Tell whether no proxy asks Mixer about the checks of an action."""
    for place in (anyones.INBOUND, for_connections(anyones.INBOUND)):
        compiler = CheckCompiler(place, fails_open=mesh_fails_open)
        try:
            if anyones.may_concern(match_of(rule).root, place):
                for leaf in anyones.leaves(match_of(rule).root):
                    conditions.holds(leaf, place)
                list(compiler.refusals(replace(rule, match=None), action))
        except Unsayable:
            return False
    return True


def fails_open(handler: ResolvedHandler, *, mesh_wide: bool) -> bool:
    """Tell whether a broken check of a handler lets pass: as its annotation says, else as the mesh does."""
    said = handler.written.metadata.annotations.get(FAIL_OPEN_ANNOTATION, "").lower()
    return said == "true" if said else mesh_wide


def _check_bindings(instance: ResolvedInstance) -> None:
    """Refuse generators of attributes that a proxy does not have anyway."""
    for binding in instance.bindings:
        if binding.attribute not in ENTRIES:
            raise Unsayable(f"the attribute {binding.attribute} is made by Mixer")


_Decide = Callable[[ResolvedInstance, ResolvedHandler, Place], Iterable[Refusal]]


def _refusal(when: Condition, handler: ResolvedHandler, code: StatusCode, *text: str | Shown) -> Refusal:
    first = f"{code.name}:{refusal_message(handler.name, '')}"
    return Refusal(when, code, (first, *text))


def _denied(instance: ResolvedInstance, handler: ResolvedHandler, place: Place) -> Iterator[Refusal]:
    assert isinstance(handler.settings, DenierParams)
    status = handler.settings.status
    if status.code is not StatusCode.OK:
        yield _refusal(ALWAYS, handler, status.code, status.message)


def _looked_up(instance: ResolvedInstance, handler: ResolvedHandler, place: Place) -> Iterator[Refusal]:
    params = handler.settings
    assert isinstance(params, ListCheckerParams)
    for one in each_value(conditions.operand(_value(instance).typed.root, place)):
        listed = is_listed(one.operand, params)
        shown = _shown(one)
        if params.blacklist:
            when = all_of((one.known, listed))
            yield _refusal(when, handler, StatusCode.PERMISSION_DENIED, shown, " is blacklisted")
        else:
            when = all_of((one.known, negated(listed)))
            yield _refusal(when, handler, StatusCode.NOT_FOUND, shown, " is not whitelisted")


def _value(instance: ResolvedInstance) -> TypedField:
    return next(field for field in instance.fields if field.at == ("value",))


def _shown(one: Alternative) -> str | Shown:
    value: Operand = one.operand
    match value:
        case Fixed(known):
            return str(known)
        case Header(name):
            return Shown(header=name)
        case Address(forwarded):
            return Shown(forwarded=forwarded)
        case Peer(PeerPart.PRINCIPAL):
            return Shown(principal=True)
        case PeerFact(fact):
            return Shown(expression=operands.kept_fact(fact))
        case Peer(part):
            raise Unsayable(f"a proxy cannot show {part} in its answer")
        case UrlPath():
            return Shown(expression=spoken(value))
    return Shown(expression=spoken(value))


def _passed(instance: ResolvedInstance, handler: ResolvedHandler, place: Place) -> Iterator[Refusal]:
    yield from ()


_ADAPTERS: Final[Mapping[type, _Decide]] = {
    DenierParams: _denied,
    ListCheckerParams: _looked_up,
    NoopParams: _passed,
}
"""The adapters that a proxy has itself."""
