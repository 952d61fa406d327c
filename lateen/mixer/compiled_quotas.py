"""Quotas: what each proxy counts itself, and what is counted by Mixer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from lateen.api.mixer.quotas import MemoryOverride, MemoryQuota, MemQuotaParams
from lateen.api.policy.dimensions import Dimension
from lateen.api.policy.rates import Rate
from lateen.mixer import conditions, spoken_values
from lateen.mixer.bound_services import CalledService
from lateen.mixer.compiled import Placement, Where
from lateen.mixer.compiled_checks import match_of
from lateen.mixer.counted_quotas import Taken, counted_by_proxies, dimension, is_local_quota, quota_instances, text
from lateen.mixer.operands import Fixed, Unsayable
from lateen.mixer.places import Place
from lateen.mixer.quota_clauses import when_charged
from lateen.mixer.quota_specs import quota_name
from lateen.mixer.rule_types import ResolvedHandler, ResolvedInstance
from lateen.mixer.rules import RuleSet
from lateen.plan.conditions import ALWAYS, NEVER, Condition, all_of, any_of, negated
from lateen.plan.mixer_types import GatedRule
from lateen.plan.rate_limit_types import Allowance, CountedLimit, CountedRequests, Override, RateLimits

_SHORTEST: Final = timedelta(milliseconds=100)


@dataclass(frozen=True, slots=True)
class _Charge:
    """How much a request is charged for a quota, and when."""

    quota: str
    amount: int
    when: Condition


class QuotaCompiler:
    """Compiles what requests at one place are charged."""

    def __init__(self, place: Place, service: CalledService, rule_set: RuleSet, namespace: str) -> None:
        self._place = place
        self._service = service
        self._charges = rule_set.charges
        self._counted_here = counted_by_proxies(rule_set)
        self._rules = rule_set.of_namespace(namespace)
        self.placements: list[Placement] = []
        self.gated: list[GatedRule] = []

    def compile(self) -> tuple[RateLimits, ...]:
        """Return the limits that are counted here; what Mixer counts is in `gated` then."""
        found = []
        for quota in dict.fromkeys(charge.quota for charge in self._all_charges(gated=True)):
            for taken in self._taken_from(quota):
                limits = self._limits(quota, taken)
                if limits is not None:
                    found.append(limits)
        self._note_uncharged()
        return tuple(found)

    def _all_charges(self, *, gated: bool) -> Iterator[_Charge]:
        """Yield the charges of a request; `gated` takes conditions that only Mixer can decide as true."""
        for name in self._charges.unbound:
            yield _Charge(name, 1, ALWAYS)
        for rule in self._charges.rules_for(self._service):
            when = when_charged(rule, self._place, gated=gated)
            for charge in rule.quotas:
                yield _Charge(quota_name(charge.quota), charge.charge, when)

    def _taken_from(self, quota: str) -> tuple[Taken, ...]:
        """Find the first instance of each rule that has the quota; of several rules the first that holds counts."""
        return tuple(
            first
            for rule in self._rules
            if (first := next((one for one in quota_instances(rule) if one.instance.short_name.lower() == quota), None))
        )

    def _limits(self, quota: str, taken: Taken) -> RateLimits | None:
        if conditions.may_hold(match_of(taken.rule).root, self._place) == NEVER:
            self._put(taken, Where.NEVER)
            return None
        try:
            limit = self._limit(quota, taken)
        except Unsayable as reason:
            self._put(taken, Where.CHECK, str(reason))
            self._gate(quota, taken)
            return None
        if limit is None:
            self._put(taken, Where.NOTHING, "the handler has no such quota")
            return None
        self._put(taken, Where.LIMITS)
        name = f"mixer/{taken.instance.name}"
        return RateLimits(name, (limit,), tells_rest=False, origin=taken.origin)

    def _gate(self, quota: str, taken: Taken, only: Condition = ALWAYS) -> None:
        charged = any_of(charge.when for charge in self._all_charges(gated=True) if charge.quota == quota)
        when = all_of((charged, conditions.may_hold(match_of(taken.rule).root, self._place), only))
        self.gated.append(GatedRule(f"mixer-quota-{taken.rule.name}-{quota}", when, taken.origin))

    def _limit(self, quota: str, taken: Taken) -> CountedLimit | None:
        handler = taken.action.handler
        if handler.name not in self._counted_here:
            why = "what it is charged for is not known to all proxies"
            raise Unsayable(why if is_local_quota(handler) else _why_not_local(handler))
        written = _quota_of(taken.action.handler, taken.instance)
        if written is None:
            return None
        charges = [charge for charge in self._all_charges(gated=False) if charge.quota == quota]
        if len({charge.when for charge in charges}) > 1:
            raise Unsayable("several QuotaSpecs charge for it under conditions of their own")
        others = self._taken_from(quota)
        before = (conditions.holds(match_of(one.rule).root, self._place) for one in others[: others.index(taken)])
        match = conditions.holds(match_of(taken.rule).root, self._place)
        there = all_of(spoken_values.there(field.typed.root, self._place) for field in taken.instance.fields)
        if there != ALWAYS:
            self._gate(quota, taken, negated(there))
        when = all_of((any_of(charge.when for charge in charges), match, *map(negated, before), there))
        dimensions, fixed = self._dimensions(taken.instance)
        overrides, usual = _overrides(written, tuple(dimensions), fixed)
        return CountedLimit(
            name=taken.instance.name,
            allowance=usual,
            requests=CountedRequests(condition="" if when == ALWAYS else text(spoken_values.as_expression(when))),
            dimensions=tuple(dimensions.values()),
            overrides=overrides,
            cost=max(charge.amount for charge in charges) if _differ(charges) else sum(one.amount for one in charges),
            rolls=True,
        )

    def _dimensions(self, instance: ResolvedInstance) -> tuple[dict[str, Dimension], dict[str, str]]:
        """Return what requests are told apart by, and what is the same for all of them here."""
        told: dict[str, Dimension] = {}
        fixed: dict[str, str] = {}
        for field in instance.fields:
            name, root = field.at[-1], field.typed.root
            if not spoken_values.always_there(root, self._place):
                raise Unsayable(f"the dimension {name} may have no value")
            found = conditions.operand(root, self._place)
            if len(found) == 1 and isinstance(found[0].operand, Fixed):
                fixed[name] = _written(found[0].operand.value)
            else:
                told[name] = dimension(root, self._place)
        return told, fixed

    def _put(self, taken: Taken, where: Where, why: str = "") -> None:
        handler = taken.action.handler
        what = f"{handler.adapter} {handler.name} {taken.instance.name}"
        self.placements.append(Placement(taken.rule.name, taken.origin, what, where, why))

    def _note_uncharged(self) -> None:
        known = {(one.rule, one.origin) for one in self.placements}
        for rule in self._rules:
            for taken in quota_instances(rule):
                if (rule.name, taken.origin) not in known:
                    self._put(taken, Where.NOTHING, "no QuotaSpec charges requests to this service for it")


def _differ(charges: list[_Charge]) -> bool:
    """Tell whether charges are made under conditions of their own; a request then costs as much as the dearest."""
    return len({charge.when for charge in charges}) > 1


def _why_not_local(handler: ResolvedHandler) -> str:
    if not isinstance(handler.settings, MemQuotaParams):
        return f"quotas of {handler.adapter} are shared by all proxies"
    return "it is held until it is given back, or lets nothing pass, which a proxy's limits do not know"


def _quota_of(handler: ResolvedHandler, instance: ResolvedInstance) -> MemoryQuota | None:
    """Find the quota of an instance by its name: whole, without its kind, or alone."""
    params = handler.settings
    assert isinstance(params, MemQuotaParams)
    name, _, rest = instance.name.partition(".")
    wanted = [text.lower() for text in (instance.name, name, f"{name}.{rest.partition('.')[2]}")]
    by_name = {one.name.lower(): one for one in params.quotas}
    return next((by_name[text] for text in wanted if text in by_name), None)


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _overrides(
    quota: MemoryQuota, told: tuple[str, ...], fixed: Mapping[str, str]
) -> tuple[tuple[Override, ...], Allowance]:
    """Return the overrides that may fit here, and what counts where none does."""
    found: list[Override] = []
    for override in quota.overrides:
        if any(fixed.get(name, value) != value for name, value in override.dimensions.items()):
            continue
        if override.dimensions.keys() - fixed.keys() - set(told):
            continue
        values = tuple((told.index(name), value) for name, value in override.dimensions.items() if name in told)
        allowance = _allowance(override, quota)
        if not values:
            return tuple(found), allowance
        found.append(Override(values, allowance))
    return tuple(found), _allowance(quota, quota)


def _allowance(written: MemoryQuota | MemoryOverride, quota: MemoryQuota) -> Allowance:
    return Allowance(Rate(written.max_amount, written.valid_duration or quota.valid_duration))
