"""What probe results mean for a container: a state machine without clock and sockets.

Time is passed in, in seconds of any steady clock. Kubernetes' rules: a startup probe holds the others back until it has
succeeded; liveness and startup failures restart the container; readiness gates traffic. One difference, for the sake of
a fast start: until a probe has succeeded for the first time it is also asked between its periods (*early*), and those
extra answers only count when they are good.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

FIRST_EARLY_SECONDS: Final = 0.1
LONGEST_EARLY_SECONDS: Final = 0.5


class ProbeKind(StrEnum):
    """What a probe decides."""

    STARTUP = "startup"
    LIVENESS = "liveness"
    READINESS = "readiness"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """When a probe is asked and how many answers in a row turn its verdict; times in seconds.

    One that is asked `once` is never asked again after its verdict was good.
    """

    initial_delay: float = 0.0
    period: float = 10.0
    timeout: float = 1.0
    successes: int = 1
    failures: int = 3
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeState:
    """One probe of one running container: its verdict, the answers in a row against it, and when it is due.

    `good` is the verdict; `failed` turns true when failures reached their threshold and stays so.
    `regular_at` is the next time that counts in every way, `asked_at` the next time that the probe is asked.
    """

    kind: ProbeKind
    thresholds: Thresholds
    good: bool
    regular_at: float
    asked_at: float
    against: int = 0
    early_pause: float = FIRST_EARLY_SECONDS
    ever_good: bool = False
    failed: bool = False


def begin(kind: ProbeKind, thresholds: Thresholds, now: float, *, known_good: bool = False) -> ProbeState:
    """Give the state of a probe whose container has just started, or, with `known_good`, was taken over in health."""
    first = now + (thresholds.period if known_good else thresholds.initial_delay)
    good = known_good or kind is ProbeKind.LIVENESS
    return ProbeState(
        kind=kind, thresholds=thresholds, good=good, regular_at=first, asked_at=first, ever_good=known_good
    )


def observe(state: ProbeState, succeeded: bool, now: float) -> ProbeState:
    """Give the state after an answer to the probe asked last."""
    regular = state.asked_at >= state.regular_at
    judged = _judge(state, succeeded) if succeeded or regular else state
    regular_at = max(now, state.regular_at + state.thresholds.period) if regular else state.regular_at
    if judged.ever_good or judged.kind is ProbeKind.LIVENESS:
        return replace(judged, regular_at=regular_at, asked_at=regular_at)
    return replace(
        judged,
        regular_at=regular_at,
        asked_at=min(regular_at, now + state.early_pause),
        early_pause=min(LONGEST_EARLY_SECONDS, state.early_pause * 1.5),
    )


def _judge(state: ProbeState, succeeded: bool) -> ProbeState:
    ever_good = state.ever_good or succeeded
    needed = state.thresholds.successes if succeeded else state.thresholds.failures
    against = state.against + 1
    if succeeded == state.good and not (state.kind is ProbeKind.STARTUP and not succeeded):
        return replace(state, against=0, ever_good=ever_good)
    if against < needed:
        return replace(state, against=against, ever_good=ever_good)
    return replace(state, good=succeeded, against=0, ever_good=ever_good, failed=state.failed or not succeeded)


def _not_before(state: ProbeState, now: float) -> ProbeState:
    first = max(now, state.regular_at)
    return replace(state, regular_at=first, asked_at=first)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A running container as its probes see it."""

    probes: tuple[ProbeState, ...] = ()

    @property
    def started(self) -> bool:
        """True from the startup probe's success on; at once without one."""
        return all(probe.good for probe in self.probes if probe.kind is ProbeKind.STARTUP)

    @property
    def ready(self) -> bool:
        """Whether the container may get traffic."""
        return self.started and all(probe.good for probe in self.probes if probe.kind is ProbeKind.READINESS)

    @property
    def deadly(self) -> ProbeKind | None:
        """The probe whose failures say that the container must be restarted."""
        kinds = (ProbeKind.STARTUP, ProbeKind.LIVENESS)
        return next((probe.kind for probe in self.probes if probe.kind in kinds and probe.failed), None)

    def due_at(self) -> float | None:
        """Give the time of the next probe; None when nothing will be asked any more."""
        return min((probe.asked_at for probe in self._active()), default=None)

    def due(self, now: float) -> tuple[ProbeKind, ...]:
        """List the probes to ask at this time."""
        return tuple(probe.kind for probe in self._active() if probe.asked_at <= now)

    def observe(self, kind: ProbeKind, succeeded: bool, now: float) -> "Health":
        """Give the health after one answer. When the startup probe succeeds the others begin."""
        was_started = self.started
        seen = tuple(observe(probe, succeeded, now) if probe.kind is kind else probe for probe in self.probes)
        health = Health(probes=seen)
        return health if was_started or not health.started else health._released(now)

    def _released(self, now: float) -> "Health":
        return Health(probes=tuple(_not_before(probe, now) for probe in self.probes))

    def _active(self) -> tuple[ProbeState, ...]:
        waiting_for_start = not self.started
        return tuple(
            probe
            for probe in self.probes
            if (probe.kind is ProbeKind.STARTUP) is waiting_for_start
            and not (probe.thresholds.once and probe.ever_good)
        )
