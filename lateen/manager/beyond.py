"""What takes part in the proxies' work beside their plans, for whoever explains it: Mixer's rules and patches."""

from collections.abc import Iterator

from lateen.mixer import placed_rules
from lateen.mixer.compile import RuleSets, with_mixer
from lateen.model.view import ProxyView
from lateen.plan.explain.ports import Passing, PlacedRule, TouchedPart
from lateen.plan.types import ProxyPlan


class BeyondPlans:
    """Knows Mixer's rules and EnvoyFilters of the views that it is shown. What patches is loaded with the first one."""

    def __init__(self) -> None:
        self._rule_sets = RuleSets()

    def completed(self, plan: ProxyPlan, view: ProxyView) -> ProxyPlan:
        """Return a plan with what Mixer's rules come to."""
        return with_mixer(plan, view, self._rule_sets)

    def rerouted(self, plan: ProxyPlan) -> ProxyPlan:
        """Return a plan with the routes and clusters that patches make of its own, as far as they are read."""
        from lateen.envoy.patches import rerouting

        return rerouting.rerouted(plan)

    def rules(self, view: ProxyView, port: int | None) -> Iterator[PlacedRule]:
        """Return the rules for calls to a port of the workload; None is for the calls that it makes."""
        return placed_rules.placed(view, self._rule_sets, port)

    def touched(self, plan: ProxyPlan, passing: Passing) -> Iterator[TouchedPart]:
        """Return which patches have changed what a request passes."""
        from lateen.envoy.patches import passage

        return passage.touched(plan, passing)
