"""The first certificates of a thousand workloads, as when a whole mesh starts at once.

Each workload gets its own key, makes its request, is attested and certified, and what was issued is written down in
files, all in one process, as node agent and authority are in the control plane. Meanwhile a ticker on the same event
loop says for how long at most anything else had to wait. Run it with `python -m bench.certificates`.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from rich.console import Console
from rich.table import Table

from lateen.auth import authority, issuer, keys, requests
from lateen.auth.attestation import Attested, Evidence, LocalAttestor
from lateen.auth.issuer import Issuer
from lateen.auth.keys import KeyKind
from lateen.auth.ledger import Ledger
from lateen.auth.trust import TrustDomain
from lateen.names import Identity
from lateen.platforms.local.ca_files import CaFiles

WORKLOADS: Final = 1000
AT_ONCE: Final = 8
"""How many workloads make their keys at the same time, each in a thread."""
TARGET_SECONDS: Final = 10.0
_TICK_SECONDS: Final = 0.001
_LIFETIME: Final = timedelta(hours=24)


@dataclass(frozen=True)
class Result:
    """How long it took for all, the processor time of it, and the longest wait of the event loop."""

    kind: KeyKind
    workloads: int
    seconds: float
    processor_seconds: float
    longest_wait_seconds: float


async def run(kind: KeyKind = KeyKind.EC_P256, workloads: int = WORKLOADS) -> Result:
    """Certify all workloads, with a new authority that has an ECDSA key."""
    attested = [_workload(number) for number in range(workloads)]
    with tempfile.TemporaryDirectory() as folder:
        running = _authority(Path(folder, "ca"), attested)
        ticker = asyncio.create_task(_longest_wait())
        await asyncio.sleep(0.05)
        began, processor_began = time.perf_counter(), time.process_time()
        await _certify_all(running, attested, kind)
        seconds, processor_seconds = time.perf_counter() - began, time.process_time() - processor_began
        ticker.cancel()
        assert len(running.issued()) == workloads
        return Result(kind, workloads, seconds, processor_seconds, await ticker)


def _workload(number: int) -> Attested:
    identity = Identity("cluster.local", f"ns-{number % 20}", f"service-{number % 100}")
    return Attested(identity, f"service-{number % 100}-v1-6f9c-{number:05}", f"service-{number % 100}", "v1")


def _authority(directory: Path, attested: Sequence[Attested]) -> Issuer:
    files = CaFiles(directory)
    rotation = issuer.resumed(files, TrustDomain(), _self_signed)
    running = Issuer(rotation, files, Ledger(files), lambda: datetime.now(UTC), x509.random_serial_number)
    running.believe([LocalAttestor({each.subject: each for each in attested}.get)])
    return running


def _self_signed() -> authority.Authority:
    return authority.self_signed("cluster.local", keys.make_key(), datetime.now(UTC), x509.random_serial_number())


async def _certify_all(running: Issuer, attested: Sequence[Attested], kind: KeyKind) -> None:
    turns = asyncio.Semaphore(AT_ONCE)

    async def certify(one: Attested) -> None:
        async with turns:
            csr = await asyncio.to_thread(_request, kind, one.identity)
            running.issue(Evidence(started=one.subject), csr, _LIFETIME)

    await asyncio.gather(*map(certify, attested))


def _request(kind: KeyKind, identity: Identity) -> bytes:
    return requests.certificate_request(keys.make_key(kind), identity)


async def _longest_wait() -> float:
    """Tick until cancelled; return the longest time by which a tick was late."""
    longest, last = 0.0, time.perf_counter()
    try:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            now = time.perf_counter()
            longest, last = max(longest, now - last - _TICK_SECONDS), now
    except asyncio.CancelledError:
        return longest


def measure(quick: bool = False) -> list[Result]:
    """Measure the default kind of key, and fewer of the kind that is slow to make."""
    workloads = {KeyKind.EC_P256: WORKLOADS, KeyKind.RSA_2048: WORKLOADS // 20}
    return [asyncio.run(run(kind, count // 10 if quick else count)) for kind, count in workloads.items()]


def record(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return what is to be kept."""
    return [asdict(each) for each in results]


def tables(results: Sequence[Result]) -> Iterator[Table]:
    """Show the figures beside the target."""
    table = Table(title=f"first certificates (to reach: {WORKLOADS} ecdsa-p256 in {TARGET_SECONDS:.0f} s on two cores)")
    for column in ("key", "workloads", "seconds", "ms each", "processor s", "longest wait of the loop, ms"):
        table.add_column(column, justify="left" if column == "key" else "right")
    for each in results:
        table.add_row(
            each.kind,
            str(each.workloads),
            f"{each.seconds:.2f}",
            f"{each.seconds / each.workloads * 1000:.2f}",
            f"{each.processor_seconds:.2f}",
            f"{each.longest_wait_seconds * 1000:.0f}",
        )
    yield table


def main() -> None:
    """Measure, and print the tables."""
    for table in tables(measure()):
        Console().print(table)


if __name__ == "__main__":
    main()
