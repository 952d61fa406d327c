"""When the next push starts: at once while idle, in longer and longer bundles while changes keep coming."""

from dataclasses import dataclass
from typing import Final

_SHORTEST_SECONDS: Final = 0.010
_LONGEST_SECONDS: Final = 0.100


@dataclass(slots=True)
class Debounce:
    """Decides how long to wait before changes are pushed; times are seconds of any steady clock.

    The first change after a quiet time is pushed at once. A change that comes within `window` of the last push waits
    until that window is over; the window is twice what the last push cost, at least 10 ms, doubles with each push
    that follows without a pause, and never passes 100 ms. So one edit is live at once, and a flood of changes costs
    at most ten pushes a second.
    """

    window: float = _SHORTEST_SECONDS
    last_end: float = float("-inf")

    def delay(self, now: float) -> float:
        """Tell how many seconds to wait before the pending changes are pushed."""
        return max(0.0, self.last_end + self.window - now)

    def pushed(self, start: float, end: float) -> None:
        """Note a push that ran from `start` to `end`."""
        is_burst = start - self.last_end <= 2 * self.window
        floor = max(_SHORTEST_SECONDS, 2 * (end - start))
        self.window = min(_LONGEST_SECONDS, max(floor, 2 * self.window if is_burst else floor))
        self.last_end = end
