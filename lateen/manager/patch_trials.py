"""EnvoyFilters are tried on an Envoy before any proxy sees them: which act, and which are left out and why.

What patches is loaded with the first EnvoyFilter: most meshes have none.
"""

import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

from lateen.api.networking.envoy_filter import ApplyTo
from lateen.api.objects import ObjectKey
from lateen.plan.types import Diagnostic, Origin, PatchSet, ProxyPlan
from lateen.xds.resources import ResourceSet

if TYPE_CHECKING:
    from lateen.envoy.patches.patching import Patched

_PLACE: Final = "/nowhere"


class Reviewer(Protocol):
    """Knows what Envoy says of a configuration."""

    def verdict(self, digest: str, write: Callable[[], bytes]) -> str | None:
        """Return what Envoy has against the configuration that `write` writes; empty where it takes it.

        None while Envoy is being asked, which the first call begins. `digest` stands for the configuration.
        """
        ...


@dataclass(slots=True)
class _Outcome:
    """What came of a class's patches."""

    acting: tuple[PatchSet, ...] = ()
    refused: Mapping[ObjectKey, str] = field(default_factory=dict)
    made: "Patched | None" = None


class PatchTrials:
    """Settles which EnvoyFilters act in each class. An EnvoyFilter that is refused leaves the one before in place."""

    def __init__(self, reviewer: Reviewer | None) -> None:
        self._reviewer = reviewer
        self._outcomes: dict[Hashable, _Outcome] = {}

    def settle(self, place: Hashable, resources: ResourceSet, plan: ProxyPlan) -> ResourceSet | None:
        """Return what a class is to have; None while it is not known yet, and what it has stays meanwhile."""
        if not plan.patches:
            self._outcomes.pop(place, None)
            return resources
        outcome = self._try_all(resources, plan, self._outcomes.get(place, _Outcome()))
        if outcome is None or outcome.made is None:
            return None
        self._outcomes[place] = outcome
        return outcome.made.resources

    def acting(self, place: Hashable, plan: ProxyPlan) -> ProxyPlan:
        """Return the plan of a class with the patches that act there, instead of those that are written."""
        outcome = self._outcomes.get(place)
        if outcome is None or outcome.acting == plan.patches:
            return plan
        return replace(plan, patches=outcome.acting)

    def forget(self, place: Hashable) -> None:
        """Forget a class."""
        self._outcomes.pop(place, None)

    def diagnostics(self, plans: Iterable[ProxyPlan]) -> Iterator[Diagnostic]:
        """List what is wrong with EnvoyFilters: what nobody could read, what Envoy refuses, what matches nothing."""
        outcomes = [outcome for outcome in self._outcomes.values() if outcome.made is not None]
        for outcome in outcomes:
            yield from outcome.made.faults if outcome.made else ()
            for key, why in outcome.refused.items():
                yield Diagnostic(Origin(key, "spec.configPatches"), f"is left out, for Envoy refuses it: {why}")
        tried = {one for outcome in outcomes for one in outcome.acting}
        matched = {origin for outcome in outcomes if outcome.made for origin in outcome.made.matched}
        faulty = {fault.origin.key for outcome in outcomes if outcome.made for fault in outcome.made.faults}
        for one in dict.fromkeys(found for plan in plans for found in plan.patches):
            for patch in one.patches:
                if patch.written.apply_to is ApplyTo.BOOTSTRAP:
                    continue
                if one in tried and one.key not in faulty and patch.origin not in matched:
                    from lateen.envoy.patches import patching

                    yield patching.unmatched(patch)

    def _try_all(self, resources: ResourceSet, plan: ProxyPlan, before: _Outcome) -> _Outcome | None:
        """Try all EnvoyFilters at once, and only when Envoy refuses that one after the other."""
        from lateen.envoy.patches import patching

        made = patching.patched(resources, plan.role, plan.patches)
        why = self._verdict(resources, made)
        if why:
            return self._try_each(resources, plan, before)
        return _Outcome(plan.patches, {}, made) if why == "" else None

    def _try_each(self, resources: ResourceSet, plan: ProxyPlan, before: _Outcome) -> _Outcome | None:
        """Add one EnvoyFilter after the other; where one is refused, as it was before, if that is still taken."""
        from lateen.envoy.patches import patching

        known = {one.key: one for one in before.acting}
        acting: list[PatchSet] = []
        refused: dict[ObjectKey, str] = {}
        made = patching.patched(resources, plan.role, ())
        for one in plan.patches:
            for version in _versions(one, known.get(one.key)):
                attempt = patching.patched(resources, plan.role, [*acting, version])
                why = self._verdict(resources, attempt)
                if why is None:
                    return None
                if why == "":
                    acting.append(version)
                    made = attempt
                    break
                refused.setdefault(one.key, why)
        return _Outcome(tuple(acting), refused, made)

    def _verdict(self, resources: ResourceSet, made: "Patched") -> str | None:
        from lateen.envoy.patches.trial import trial

        if self._reviewer is None or not any(made.changed.values()):
            return ""
        return self._reviewer.verdict(_digest(made), lambda: trial(resources, made.changed, _PLACE))


def _versions(one: PatchSet, before: PatchSet | None) -> Sequence[PatchSet]:
    return (one,) if before is None or before == one else (one, before)


def _digest(made: "Patched") -> str:
    found = hashlib.blake2b(digest_size=16)
    for kind, items in sorted(made.changed.items()):
        for name, resource in sorted(items.items()):
            found.update(f"{kind}\0{name}\0{resource.version}\0".encode())
    return found.hexdigest()
