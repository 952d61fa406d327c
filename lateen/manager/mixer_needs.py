"""The table of what cannot do without the Mixer process."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from lateen.api.changes import Change
from lateen.api.mesh.settings import mesh_config
from lateen.api.mixer.rule import Rule
from lateen.api.telemetry.telemetry import Telemetry
from lateen.mixer import rate_limits
from lateen.model import discovery
from lateen.model.snapshot import Snapshot
from lateen.plan import tracing

CALM_AFTER_SECONDS: Final = 15.0

Need = Callable[[Snapshot], bool]
"""Tells whether something in the mesh cannot do without the Mixer process."""


def _leaves_rules(snapshot: Snapshot) -> bool:
    """Tell whether rules leave something that proxies do not do alone."""
    mesh = snapshot.mesh
    if not snapshot.config.of(Rule):
        return False
    # A mesh without rules never loads their engine.
    from lateen.mixer import compile, rules

    found = rules.resolve(snapshot.config, mesh.root_namespace)
    return compile.needs_mixer(found, mesh_fails_open=mesh.policy_check_fail_open)


NEEDS: Final[tuple[Need, ...]] = (rate_limits.needs_counting, _leaves_rules)
_GROUPS: Final = frozenset({"config.istio.io", "lateen.dev"})


def is_needed(snapshot: Snapshot) -> bool:
    """Tell whether the Mixer process is to run."""
    return any(need(snapshot) for need in NEEDS)


def will_be_needed(snapshot: Snapshot, changes: Iterable[Change]) -> bool:
    """Tell whether the Mixer process is to run once some changes are made to a state of the mesh."""
    changes = tuple(changes)
    if not any(change.key.group in _GROUPS for change in changes):
        return False
    whole = snapshot.inputs.config.apply(changes)
    mesh = mesh_config(whole)
    known = discovery.discovered(whole, mesh, snapshot.config)
    return is_needed(replace(snapshot, config=known, inputs=replace(snapshot.inputs, config=whole, mesh=mesh)))


def can_wait(snapshot: Snapshot) -> bool:
    """Tell whether something wants the Mixer process that nobody misses before the mesh is up: collected traces."""
    rules = (rule for item in snapshot.config.of(Telemetry) for rule in item.spec.tracing)
    return tracing.uses_own_collector(snapshot.mesh, rules)


class Calm:
    """When what can wait is begun: once all workloads are up, or after so long. From then on it is as all else."""

    def __init__(self, is_settled: Callable[[], bool], clock: Callable[[], float]) -> None:
        self._is_settled = is_settled
        self._clock = clock
        self._deadline = clock() + CALM_AFTER_SECONDS
        self._reached = False

    def is_needed(self, snapshot: Snapshot) -> bool:
        """Tell whether the Mixer process is to run now."""
        return is_needed(snapshot) or (can_wait(snapshot) and self._is_reached())

    def is_postponed(self, snapshot: Snapshot) -> bool:
        """Tell whether the Mixer process is to run later."""
        return can_wait(snapshot) and not self._is_reached()

    def _is_reached(self) -> bool:
        self._reached = self._reached or self._is_settled() or self._clock() > self._deadline
        return self._reached
