"""The control plane's own numbers: what it holds, how far its proxies are, what it measured, what it costs.

Where Istio's control plane has a metric of the same meaning, it has the same name here.
"""

import resource
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from lateen.api.networking.virtual_service import VirtualService
from lateen.manager.pushes import ProxyStatus, State
from lateen.manager.store import Store
from lateen.model.key_sets import KeySet
from lateen.model.snapshot import Snapshot
from lateen.serving.ports import Proxies
from lateen.telemetry.instruments import Gauge, Instrument, Registry

_PAGE_BYTES: Final = resource.getpagesize()
_SERVED: Final = ("CDS", "ECDS", "EDS", "LDS", "RDS", "SDS")

Values = Mapping[tuple[str, ...], float]


class Loop(Protocol):
    """The control loop, as far as its state is measured."""

    @property
    def generation(self) -> int:
        """The number of the newest accepted change."""
        ...

    @property
    def snapshot(self) -> Snapshot:
        """The mesh as it is now."""
        ...

    @property
    def key_sets(self) -> Sequence[KeySet]:
        """What is known of the keys with which tokens are verified."""
        ...


@dataclass(frozen=True, slots=True)
class Expiry:
    """When the mesh's root and the certificate that signs run out, in seconds since the epoch."""

    root: float
    chain: float


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """What the numbers are read from. `started_at` is in seconds since the epoch."""

    version: str
    started_at: float
    store: Store
    loop: Loop
    proxies: Proxies
    expiry: Callable[[], Expiry] | None = None
    now: Callable[[], float] = time.time


def registry(of: ControlPlane, measured: Iterable[Instrument] = ()) -> Registry:
    """List all metrics of a control plane; `measured` are those that its parts keep themselves."""
    found = Registry()
    found.add(
        *_about_itself(of), *_about_config(of), *_about_proxies(of), *measured, *_about_certificates(of), *_process()
    )
    return found


def _about_itself(of: ControlPlane) -> Sequence[Instrument]:
    return (
        Gauge(
            "istio_build",
            "The version of this component.",
            *("component", "tag"),
            read=lambda: {("pilot", of.version): 1.0},
        ),
        Gauge("pilot_info", "The version of the control plane.", "version", read=lambda: {(of.version,): 1.0}),
        Gauge(
            "istiod_uptime_seconds",
            "Seconds since the control plane was started.",
            read=lambda: of.now() - of.started_at,
        ),
    )


def _about_config(of: ControlPlane) -> Sequence[Instrument]:
    return (
        Gauge("lateen_config_generation", "The number of the newest accepted change.", read=lambda: of.loop.generation),
        Gauge(
            "lateen_config_violations",
            "Faults in the files of the mesh as they stand.",
            read=lambda: len(of.store.violations()),
        ),
        Gauge("lateen_config_objects", "Objects that count, by kind.", "kind", read=lambda: _kinds(of)),
        Gauge("pilot_services", "Services that the mesh knows.", read=lambda: len(of.loop.snapshot.services)),
        Gauge(
            "pilot_virt_services",
            "VirtualServices that count.",
            read=lambda: len(of.loop.snapshot.config.of(VirtualService)),
        ),
        Gauge(
            "lateen_token_keys_failing",
            "Whether the last attempt to fetch an issuer's keys failed, by URL.",
            "url",
            read=lambda: {(known.url,): float(bool(known.failure)) for known in of.loop.key_sets},
        ),
    )


def _about_proxies(of: ControlPlane) -> Sequence[Instrument]:
    return (
        Gauge("pilot_xds", "Connected proxies.", "version", read=lambda: {(of.version,): len(of.proxies.statuses())}),
        Gauge(
            "lateen_proxies",
            "Connected proxies, by the worst state of their resource types.",
            "state",
            read=lambda: _states(of.proxies.statuses()),
        ),
        *(
            Gauge(
                f"pilot_xds_{short.lower()}_reject",
                f"Resources of type {short} that proxies refuse now, by proxy.",
                "node",
                read=lambda short=short: _rejected(of.proxies.statuses(), short),  # type: ignore[misc]
            )
            for short in _SERVED
        ),
    )


def _about_certificates(of: ControlPlane) -> Sequence[Instrument]:
    if of.expiry is None:
        return ()
    expiry = of.expiry
    return (
        Gauge(
            "citadel_server_root_cert_expiry_timestamp",
            "When the mesh's root runs out, in seconds since the epoch.",
            read=lambda: expiry().root,
        ),
        Gauge(
            "citadel_server_root_cert_expiry_seconds",
            "Seconds until the mesh's root runs out.",
            read=lambda: expiry().root - of.now(),
        ),
        Gauge(
            "citadel_server_cert_chain_expiry_timestamp",
            "When the certificate that signs runs out, in seconds since the epoch.",
            read=lambda: expiry().chain,
        ),
    )


def _process() -> Sequence[Instrument]:
    """Say what this process costs, as clients of Prometheus commonly do."""
    return (
        Gauge(
            "process_cpu_seconds_total",
            "Processor time that this process has taken.",
            read=time.process_time,
            is_total=True,
        ),
        Gauge("process_resident_memory_bytes", "Memory that this process has.", read=_resident_bytes),
        Gauge("process_open_fds", "Files that this process has open.", read=_open_files),
    )


def _kinds(of: ControlPlane) -> Values:
    counted = Counter(status.object.key.kind for status in of.store.statuses())
    return {(kind,): count for kind, count in sorted(counted.items())}


def _states(statuses: Iterable[ProxyStatus]) -> Values:
    counted = Counter(status.state for status in statuses)
    return {(state.value.lower(),): counted[state] for state in State}


def _rejected(statuses: Iterable[ProxyStatus], short: str) -> Values:
    counts = ((str(one.proxy), len(kind.rejected)) for one in statuses for kind in one.types if kind.short == short)
    return {(proxy,): count for proxy, count in counts if count}


def _open_files() -> float:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _resident_bytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
