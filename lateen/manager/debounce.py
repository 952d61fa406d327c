"""When the next push starts: at once while idle, in longer and longer bundles while changes keep coming."""

from dataclasses import dataclass
from typing import Final

_SHORTEST_SECONDS: Final = 0.010
_LONGEST_SECONDS: Final = 0.100
_SPARED: Final = 10
"""How many times what a push cost is left to everything else, however long changes keep coming."""


@dataclass(slots=True)
class Debounce:
    """Decides how long to wait before changes are pushed; times are seconds of any steady clock.

    The first change after a quiet time is pushed at once. A change that comes within `window` of the last push waits
    until that window is over; the window is twice what the last push cost, at least 10 ms, and doubles with each push
    that follows without a pause, up to ten times what the push cost, and never past 100 ms. So one edit is live at
    once, a flood of changes takes no more than a tenth of the time, and changes that cost little are not held back.
    """

    window: float = _SHORTEST_SECONDS
    last_end: float = float("-inf")

    def delay(self, now: float) -> float:
        """Tell how many seconds to wait before the pending changes are pushed."""
        return max(0.0, self.last_end + self.window - now)

    def pushed(self, start: float, end: float) -> None:
        """Note a push that ran from `start` to `end`."""
        is_burst = start - self.last_end <= 2 * self.window
        cost = end - start
        floor = min(_LONGEST_SECONDS, max(_SHORTEST_SECONDS, 2 * cost))
        ceiling = min(_LONGEST_SECONDS, max(_SHORTEST_SECONDS, _SPARED * cost))
        self.window = min(ceiling, max(floor, 2 * self.window)) if is_burst else floor
        self.last_end = end
