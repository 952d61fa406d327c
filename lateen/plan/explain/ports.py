"""What stands above plans and takes part in what proxies do: Mixer's rules, and patches in Envoy's own words."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from lateen.model.view import ProxyView
from lateen.plan.conditions import Condition
from lateen.plan.types import Origin, Patch, ProxyPlan


@dataclass(frozen=True, slots=True)
class PlacedAction:
    """An action of a rule, and where it is carried out; `why` is why not in the proxy."""

    origin: Origin
    what: str
    where: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class PlacedRule:
    """A rule of Mixer at a proxy: when it may match, and whether that is exactly when it does."""

    name: str
    origin: Origin
    match: str
    when: Condition
    is_exact: bool
    actions: tuple[PlacedAction, ...]


@dataclass(frozen=True, slots=True)
class Passing:
    """What a request passes in a proxy, by Envoy's names. `port` tells the filter chains of inbound ports apart."""

    listeners: tuple[str, ...]
    port: int
    table: str = ""
    virtual_host: str = ""
    clusters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TouchedPart:
    """A part that a patch has changed: `part` is listener, virtual host or cluster, by its name."""

    part: str
    name: str
    patch: Patch


class Beyond(Protocol):
    """Knows what is no part of plans."""

    def completed(self, plan: ProxyPlan, view: ProxyView) -> ProxyPlan:
        """Return a plan with what Mixer's rules come to."""
        ...

    def rerouted(self, plan: ProxyPlan) -> ProxyPlan:
        """Return a plan with the routes and clusters that patches make of its own, as far as they are read."""
        ...

    def rules(self, view: ProxyView, port: int | None) -> Iterable[PlacedRule]:
        """Return the rules for calls to a port of the workload; None is for the calls that it makes."""
        ...

    def touched(self, plan: ProxyPlan, passing: Passing) -> Iterable[TouchedPart]:
        """Return which patches have changed what a request passes."""
        ...


class Nothing:
    """Plans are all that there is."""

    def completed(self, plan: ProxyPlan, view: ProxyView) -> ProxyPlan:
        """Return the plan."""
        return plan

    def rerouted(self, plan: ProxyPlan) -> ProxyPlan:
        """Return the plan."""
        return plan

    def rules(self, view: ProxyView, port: int | None) -> Iterable[PlacedRule]:
        """Know no rules."""
        return ()

    def touched(self, plan: ProxyPlan, passing: Passing) -> Iterable[TouchedPart]:
        """Know no patches."""
        return ()
