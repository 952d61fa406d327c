"""Keeps asking one running container's probes and tells when its health changes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic

from lateen.platforms.local.health import Health, ProbeKind

Ask = Callable[[], Awaitable[bool]]
Clock = Callable[[], float]


async def watch(
    health: Health, asks: Mapping[ProbeKind, Ask], changed: Callable[[Health], None], clock: Clock = monotonic
) -> None:
    """Ask every probe when it is due, and call `changed` with each new health whose verdict differs.

    Returns when nothing is left to ask, or when the container must be restarted (`health.deadly`). An answer that does
    not come within the probe's timeout is a failure.
    """
    while health.deadly is None and (due_at := health.due_at()) is not None:
        await asyncio.sleep(max(0.0, due_at - clock()))
        before = health
        kinds = health.due(clock())
        answers = await asyncio.gather(*(answer(asks[kind], _timeout_of(health, kind)) for kind in kinds))
        for kind, succeeded in zip(kinds, answers, strict=True):
            health = health.observe(kind, succeeded, clock())
        if _verdict(health) != _verdict(before):
            changed(health)


async def answer(ask: Ask, seconds: float) -> bool:
    """Ask once; no answer in time is a failure."""
    try:
        async with asyncio.timeout(seconds):
            return await ask()
    except TimeoutError:
        return False


def _timeout_of(health: Health, kind: ProbeKind) -> float:
    return next(probe.thresholds.timeout for probe in health.probes if probe.kind is kind)


def _verdict(health: Health) -> tuple[bool, bool, ProbeKind | None]:
    return health.started, health.ready, health.deadly
