"""Counting: how much of a quota is left, what is granted of it, and what is given back. Times are milliseconds.

The same rules are told to Redis in `adapters.redis_counts`; both are held to them by one suite of tests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar, Final, Generic, Protocol, TypeVar

MOST_COUNTS: Final = 200_000
"""How many counts are kept in memory; the one that was not asked for longest is forgotten first."""

T = TypeVar("T")


class Counting(StrEnum):
    """How what was taken comes back.

    FIXED: all at once, when the next window begins. ROLLING: a window after it was taken. REFILLED: steadily.
    HELD: when it is given back.
    """

    FIXED = "fixed"
    ROLLING = "rolling"
    REFILLED = "refilled"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Quota:
    """How much may be taken: `most` at once, and `amount` anew in each window. A rolling window moves by ticks."""

    counting: Counting
    most: int
    window: int = 0
    amount: int = 0
    tick: int = 0


@dataclass(frozen=True, slots=True)
class Charge:
    """What is wanted of the count of a key: all of the amount, or with `best_effort` what there is.

    Less than 0 is given back to what is held; what was had in a window comes back by itself.
    """

    key: str
    quota: Quota
    amount: int = 1
    best_effort: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """What a charge got, what is left, and in how many milliseconds there is more (0: there is some)."""

    granted: int
    left: int
    resets_in: int


class CountStore(Protocol):
    """Counts for others as well: in another process, or on another machine."""

    async def charge(self, charges: Sequence[Charge]) -> Sequence[Grant]:
        """Grant all charges, or none where one that is not best effort cannot be granted. Raises `Unavailable`."""
        ...

    async def close(self) -> None:
        """Give back what the store holds."""
        ...


def fixed(amount: int, window: timedelta) -> Quota:
    """Grant an amount in each of the windows that follow one another."""
    return Quota(Counting.FIXED, amount, _milliseconds(window))


def rolling(amount: int, window: timedelta, tick: timedelta) -> Quota:
    """Grant an amount in the window that ends now, which moves on by ticks."""
    return Quota(Counting.ROLLING, amount, _milliseconds(window), tick=min(_milliseconds(tick), _milliseconds(window)))


def refilled(amount: int, window: timedelta, at_once: int) -> Quota:
    """Grant so much at once, and steadily the amount of each window."""
    return Quota(Counting.REFILLED, at_once, _milliseconds(window), amount)


def held(amount: int) -> Quota:
    """Grant an amount until it is given back."""
    return Quota(Counting.HELD, amount)


class Counts:
    """All counts in memory."""

    def __init__(self, most: int = MOST_COUNTS) -> None:
        self._counts: dict[tuple[str, Counting], _Count] = {}
        self._most = most

    def __len__(self) -> int:
        return len(self._counts)

    def charge(self, charges: Sequence[Charge], now: int) -> tuple[Grant, ...]:
        """Grant all charges, or none where one that is not best effort cannot be granted."""
        counts = [self._count(charge, now) for charge in charges]
        granted = list(zip(_granted(charges, counts), counts, strict=True))
        for amount, count in granted:
            if amount > 0 or count.TAKES_BACK:
                count.take(amount, now)
        return tuple(Grant(amount, max(0, count.left), count.resets_in(now)) for amount, count in granted)

    def _count(self, charge: Charge, now: int) -> "_Count":
        """Return the count of a key, as it is now; it becomes the one that is forgotten last."""
        place = (charge.key, charge.quota.counting)
        count = self._counts.pop(place, None) or _COUNTS[charge.quota.counting]()
        count.advance(charge.quota, now)
        self._counts[place] = count
        if len(self._counts) > self._most:
            del self._counts[next(iter(self._counts))]
        return count


class Deduplication(Generic[T]):
    """Remembers answers for a while, so that a question that is asked again is not charged again."""

    def __init__(self, at_least: timedelta) -> None:
        self._period = _milliseconds(at_least)
        self._recent: dict[str, T] = {}
        self._older: dict[str, T] = {}
        self._turns_at = 0

    def known(self, question: str, now: int) -> T | None:
        """Return the answer that a question got before."""
        self._turn(now)
        return self._recent.get(question, self._older.get(question))

    def remember(self, question: str, answer: T, now: int) -> None:
        """Keep an answer for at least the time, at most twice that."""
        self._turn(now)
        self._recent[question] = answer

    def _turn(self, now: int) -> None:
        if now >= self._turns_at:
            self._older = self._recent if now < self._turns_at + self._period else {}
            self._recent, self._turns_at = {}, now + self._period


class _Count:
    """What was taken of one quota, as it was at the moment to which it was last advanced."""

    TAKES_BACK: ClassVar[bool] = False

    def __init__(self) -> None:
        self.quota = Quota(Counting.HELD, 0)
        self.left = 0

    def advance(self, quota: Quota, now: int) -> None:
        """Work by a quota, and let come back what has come back until now."""
        raise NotImplementedError

    def take(self, amount: int, now: int) -> None:
        """Count an amount."""
        raise NotImplementedError

    def resets_in(self, now: int) -> int:
        """Tell in how many milliseconds there is more."""
        raise NotImplementedError


class _Used(_Count):
    """Knows how much was taken."""

    def __init__(self) -> None:
        super().__init__()
        self.used = 0

    def advance(self, quota: Quota, now: int) -> None:
        self.quota, self.left = quota, quota.most - self.used

    def take(self, amount: int, now: int) -> None:
        self.used = max(0, self.used + amount)
        self.left = self.quota.most - self.used


class _Holding(_Used):
    TAKES_BACK = True

    def resets_in(self, now: int) -> int:
        return 0


class _Fixed(_Used):
    def __init__(self) -> None:
        super().__init__()
        self.window = -1

    def advance(self, quota: Quota, now: int) -> None:
        window = now // quota.window
        if window != self.window or quota.window != self.quota.window:
            self.window, self.used = window, 0
        super().advance(quota, now)

    def resets_in(self, now: int) -> int:
        return self.quota.window - now % self.quota.window


class _Rolling(_Used):
    def __init__(self) -> None:
        super().__init__()
        self.ticks: dict[int, int] = {}

    def advance(self, quota: Quota, now: int) -> None:
        if quota.tick != self.quota.tick:
            self.ticks.clear()
        first = now // quota.tick - _ticks(quota) + 1
        self.ticks = {tick: amount for tick, amount in self.ticks.items() if tick >= first}
        self.used = sum(self.ticks.values())
        super().advance(quota, now)

    def take(self, amount: int, now: int) -> None:
        tick = now // self.quota.tick
        self.ticks[tick] = self.ticks.get(tick, 0) + amount
        super().take(amount, now)

    def resets_in(self, now: int) -> int:
        oldest = min(self.ticks, default=now // self.quota.tick)
        return (oldest + _ticks(self.quota)) * self.quota.tick - now


class _Refilled(_Count):
    """Holds what is left in parts of a window, so that what comes back in a millisecond is a whole number."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = -1
        self.at = 0

    def advance(self, quota: Quota, now: int) -> None:
        full = quota.most * quota.window
        if self.parts < 0 or quota.window != self.quota.window:
            self.parts = full
        else:
            self.parts = min(full, self.parts + max(0, now - self.at) * quota.amount)
        self.quota, self.at, self.left = quota, now, self.parts // quota.window

    def take(self, amount: int, now: int) -> None:
        self.parts = min(self.quota.most * self.quota.window, self.parts - amount * self.quota.window)
        self.left = self.parts // self.quota.window

    def resets_in(self, now: int) -> int:
        return 0 if self.left else -((self.parts - self.quota.window) // self.quota.amount)


_COUNTS: Final[dict[Counting, type[_Count]]] = {
    Counting.FIXED: _Fixed,
    Counting.ROLLING: _Rolling,
    Counting.REFILLED: _Refilled,
    Counting.HELD: _Holding,
}


def _granted(charges: Sequence[Charge], counts: Sequence[_Count]) -> Sequence[int]:
    """Tell how much of each charge is granted, which is nothing where one cannot be that must be."""
    amounts = [_grantable(charge, count) for charge, count in zip(charges, counts, strict=True)]
    lacking = any(
        amount != charge.amount and not charge.best_effort for amount, charge in zip(amounts, charges, strict=True)
    )
    return [0] * len(amounts) if lacking else amounts


def _grantable(charge: Charge, count: _Count) -> int:
    """Tell how much of a charge there is; what is given back is always taken."""
    if charge.amount <= count.left:
        return charge.amount
    return max(0, count.left) if charge.best_effort else 0


def _ticks(quota: Quota) -> int:
    """Count the ticks of a window, a begun one as a whole."""
    return -(-quota.window // quota.tick)


def _milliseconds(length: timedelta) -> int:
    return max(1, round(length.total_seconds() * 1000))
