"""What requests are charged for: QuotaSpecs of the service that is called."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from lateen.api.mixer.services import AttributeMatch, QuotaRule, QuotaSpec, StringMatch
from lateen.mixer import patterns
from lateen.mixer.attributes import current_name
from lateen.mixer.bound_services import Bound, CalledService, specs_for
from lateen.mixer.references import short_name
from lateen.mixer.values import Bag

FIRST_QUOTA: Final = "requestcount"
"""In the first release every request was charged with 1 for the quota by this name, without any QuotaSpec."""


@dataclass(frozen=True, slots=True)
class Charges:
    """Which QuotaSpecs count for which services; `unbound` are quotas that every request is charged with 1 for."""

    bound: tuple[Bound[QuotaSpec], ...] = ()
    unbound: tuple[str, ...] = ()

    def rules_for(self, service: CalledService) -> tuple[QuotaRule, ...]:
        """Return the rules of all QuotaSpecs that count for a service."""
        return tuple(rule for spec in specs_for(self.bound, service) for rule in spec.rules)

    def of(self, service: CalledService, bag: Bag) -> Mapping[str, int]:
        """Return how much a request is charged, by the names of quotas in lower case; charges add up."""
        found = dict.fromkeys(self.unbound, 1)
        for rule in self.rules_for(service):
            if not rule.match or any(_holds(match, bag) for match in rule.match):
                for charge in rule.quotas:
                    name = quota_name(charge.quota)
                    found[name] = found.get(name, 0) + charge.charge
        return found


def quota_name(text: str) -> str:
    """Return the name that quotas are compared by, out of a text that may go on with kind and namespace."""
    return short_name(text).lower()


def unbound_quotas(specs: Iterable[QuotaSpec], quotas: Iterable[str]) -> tuple[str, ...]:
    """Return the quotas, of those with these short names, that count without a QuotaSpec: the first release's own."""
    charged = {quota_name(charge.quota) for spec in specs for rule in spec.rules for charge in rule.quotas}
    return (FIRST_QUOTA,) if FIRST_QUOTA in {name.lower() for name in quotas} - charged else ()


def _holds(match: AttributeMatch, bag: Bag) -> bool:
    return all(_fits(clause, bag.get(current_name(name))) for name, clause in match.clause.items())


def _fits(match: StringMatch, value: object) -> bool:
    """Tell whether a value, as text, is what a clause wants; an absent one never is."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return False
    text = str(value)
    if match.exact is not None:
        return text == match.exact
    if match.prefix is not None:
        return text.startswith(match.prefix)
    try:
        return match.regex is not None and patterns.regex(match.regex).fullmatch(text) is not None
    except ValueError:
        return False


NO_CHARGES: Final = Charges()
