"""When Python's collector of cyclic garbage runs in the control plane: rarely, and not while something is pushed.

A control plane holds hundreds of thousands of objects for good. The collector's full runs, which come with the number
of allocations and walk over all of them, would fall into pushes: with 3000 proxies they cost a third of a push.
"""

import asyncio
import gc
from typing import Final

_ALLOCATIONS: Final = 50_000
_YOUNG_RUNS: Final = 25
_NEVER: Final = 1_000_000
_FULL_RUN_SECONDS: Final = 300.0


def settle() -> None:
    """Exempt what is there now from collection, and leave full runs to `collect_now_and_then`."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, _YOUNG_RUNS, _NEVER)


async def collect_now_and_then() -> None:
    """Make a full run every five minutes, until cancelled."""
    while True:
        await asyncio.sleep(_FULL_RUN_SECONDS)
        gc.collect()
