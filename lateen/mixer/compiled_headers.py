"""Header operations: what a proxy changes itself once all checks have let a request pass."""

from collections.abc import Iterable, Iterator

from lateen.api.expressions import cel
from lateen.api.expressions.tree import Call, Node
from lateen.api.mixer.rule import Operation
from lateen.mixer import conditions, spoken_values
from lateen.mixer.compiled import Placement, Where
from lateen.mixer.compiled_checks import match_of
from lateen.mixer.operands import Unsayable, string
from lateen.mixer.places import Place
from lateen.mixer.rule_types import HeaderChange as Written
from lateen.mixer.rule_types import ResolvedRule
from lateen.plan.conditions import ALWAYS, NEVER, Condition, all_of, any_of
from lateen.plan.mixer_types import GatedRule
from lateen.plan.processing_types import HeaderAction, HeaderChange, HeaderChanges
from lateen.plan.types import Origin

_ACTIONS = {
    Operation.REPLACE: HeaderAction.REPLACE,
    Operation.APPEND: HeaderAction.APPEND,
    Operation.REMOVE: HeaderAction.REMOVE,
}


class HeaderCompiler:
    """Compiles the header operations of rules at one place.

    They are done in one place: where Mixer is asked anyway, or chooses routes anew, it answers with all changes.
    """

    def __init__(self, place: Place, *, asks_mixer: bool, is_gateway: bool) -> None:
        self._place = place
        self._why_mixer = "Mixer is asked here anyway, and answers with all changes" if asks_mixer else ""
        if is_gateway:
            self._why_mixer = "a gateway chooses the route after them"
        self.placements: list[Placement] = []
        self.gated: list[GatedRule] = []

    def compile(self, rules: Iterable[ResolvedRule]) -> tuple[HeaderChanges, ...]:
        """Return what is changed here; what Mixer changes is in `gated` then."""
        concerned = [
            (rule, may)
            for rule in rules
            if (rule.request_headers or rule.response_headers)
            and (may := conditions.may_hold(match_of(rule).root, self._place)) != NEVER
        ]
        made: list[HeaderChanges] = []
        why = self._why_mixer
        if not why:
            try:
                made = [self._changes(rule) for rule, _ in concerned]
            except Unsayable as reason:
                why = str(reason)
        for number, (rule, may) in enumerate(concerned):
            origin = Origin(rule.written.key, "spec")
            if why:
                self.gated.append(GatedRule(f"mixer-headers-{number:04}-{rule.name}", may, origin))
            where = Where.CHECK if why else Where.HEADERS
            self.placements.append(Placement(rule.name, origin, "header operations", where, why))
        return () if why else tuple(made)

    def _changes(self, rule: ResolvedRule) -> HeaderChanges:
        match = conditions.holds(match_of(rule).root, self._place)
        return HeaderChanges(
            tuple(one for each in rule.request_headers for one in self._each(each, match)),
            tuple(one for each in rule.response_headers for one in self._each(each, match)),
            Origin(rule.written.key, "spec"),
        )

    def _each(self, written: Written, match: Condition) -> Iterator[HeaderChange]:
        action = _ACTIONS[written.operation]
        if action is HeaderAction.REMOVE:
            if match != ALWAYS:
                raise Unsayable("a proxy removes a header from all requests or from none")
            yield HeaderChange(written.name, action)
        for value in written.values:
            yield HeaderChange(written.name, action, self._format(value.root, match))

    def _format(self, root: Node, match: Condition) -> str:
        """Say a value as a format, which comes to nothing where the rule does not fit or there is no value."""
        said = spoken_values.value(root, self._place)
        if not spoken_values.always_there(root, self._place):
            match = all_of((match, any_of(one.known for one in conditions.operand(root, self._place))))
        if match != ALWAYS:
            said = Call("conditional", (spoken_values.as_expression(match), said, string("")))
        text = cel.render(said)
        if faults := cel.check(text):
            raise Unsayable(str(faults[0]))
        return f"%CEL({text})%"
