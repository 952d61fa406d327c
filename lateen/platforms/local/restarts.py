"""When an ended container runs again: restart policies and the growing pause between attempts. Pure.

Kubernetes pauses 10 s … 5 min; on one's own machine that is a long time to look at a terminal, so a first restart
comes after 0.2 s and no pause is longer than 10 s. A container that ran for 10 s is forgiven its past.
"""

from dataclasses import dataclass
from typing import Final

FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 10.0
FORGIVEN_AFTER_SECONDS: Final = 10.0
POLICIES: Final = ("Always", "OnFailure", "Never")


@dataclass(frozen=True, slots=True)
class RestartHistory:
    """How often a container was restarted, and how many quick deaths in a row it has had."""

    restarts: int = 0
    quick_deaths: int = 0


def is_restarted(policy: str, exit_code: int | None) -> bool:
    """Tell whether a container of a pod with this restart policy runs again; None stands for death by a signal."""
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def after_death(history: RestartHistory, lived_seconds: float) -> tuple[RestartHistory, float]:
    """Give the new history and the seconds to wait before the container is started again."""
    quick_deaths = 1 if lived_seconds >= FORGIVEN_AFTER_SECONDS else history.quick_deaths + 1
    pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(quick_deaths - 1, 16))
    return RestartHistory(history.restarts + 1, quick_deaths), pause
