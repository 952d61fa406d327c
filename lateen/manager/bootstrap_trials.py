"""Patches of bootstraps are tried on an Envoy before any proxy is started with them."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

from lateen.api.networking.envoy_filter import ApplyTo
from lateen.manager.patch_trials import Reviewer
from lateen.model.proxy import Role
from lateen.plan.types import Diagnostic, Origin, PatchSet, ProxyPlan

_PLACE: Final = "/nowhere"


class BootstrapTrials:
    """Settles which EnvoyFilters act on the bootstraps of proxies. Those that Envoy refuses are left out alone."""

    def __init__(self, reviewer: Reviewer | None) -> None:
        self._reviewer = reviewer

    def settled(self, sets: Iterable[PatchSet], role: Role) -> tuple[PatchSet, ...] | None:
        """Return the patches that a proxy of a role is started with; None until Envoy has said what it takes."""
        found = self._tried(sets, role)
        return found[0] if found is not None else None

    def diagnostics(self, plans: Iterable[ProxyPlan]) -> Iterator[Diagnostic]:
        """List what is wrong with patches of bootstraps."""
        for plan in plans:
            found = self._tried(plan.patches, plan.role)
            yield from found[1] if found is not None else ()

    def _tried(
        self, sets: Iterable[PatchSet], role: Role
    ) -> tuple[tuple[PatchSet, ...], tuple[Diagnostic, ...]] | None:
        if not any(patch.written.apply_to is ApplyTo.BOOTSTRAP for one in sets for patch in one.patches):
            return (), ()
        # Loaded where one is used: the messages take memory.
        from lateen.envoy.patches import bootstraps

        acting: list[PatchSet] = []
        faults: list[Diagnostic] = []
        for one in bootstraps.of_role(sets, role):
            if (fault := bootstraps.fault(one)) is not None:
                faults.append(fault)
                continue
            why = self._verdict((*acting, one))
            if why is None:
                return None
            if why:
                refused = f"is left out of bootstraps, for Envoy refuses it: {why}"
                faults.append(Diagnostic(Origin(one.key, "spec.configPatches"), refused))
            else:
                acting.append(one)
        return tuple(acting), tuple(faults)

    def _verdict(self, sets: tuple[PatchSet, ...]) -> str | None:
        from lateen.envoy.patches import bootstraps

        if self._reviewer is None:
            return ""
        config = bootstraps.trial(sets, _PLACE)
        digest = hashlib.blake2b(config, digest_size=16).hexdigest()
        return self._reviewer.verdict(f"bootstrap {digest}", lambda: config)
