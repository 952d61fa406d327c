"""The probe of a WorkloadGroup, asked by the agent of each member as Istio's agent does.

Its verdict decides whether the member's WorkloadEntry is an endpoint; it restarts nothing.
"""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final

from lateen.api.core.probe import Exec, GrpcHealth, HttpGet, HttpHeader, Probe, TcpSocket
from lateen.api.networking.workload_group import GroupProbe
from lateen.platforms.local import probing
from lateen.platforms.local.health import ProbeKind, Thresholds, begin, observe
from lateen.platforms.local.probing import Clock

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def as_probe(probe: GroupProbe, address: str) -> Probe:
    """Say a group's probe as that of a container: 0 is the default, and a member's own host is its address."""
    return Probe(
        http_get=_http(probe, address),
        tcp_socket=_tcp(probe, address),
        exec=Exec(command=probe.exec.command) if probe.exec is not None else None,
        grpc=GrpcHealth(port=probe.grpc.port, service=probe.grpc.service) if probe.grpc is not None else None,
        initial_delay_seconds=probe.initial_delay_seconds,
        timeout_seconds=probe.timeout_seconds or 1,
        period_seconds=probe.period_seconds or 10,
        success_threshold=probe.success_threshold or 1,
        failure_threshold=probe.failure_threshold or 3,
    )


def said_of(probe: Probe) -> str:
    """Say in a few words what a probe lacks when it fails."""
    if probe.http_get is not None:
        get = probe.http_get
        return f"GET {get.path} at port {get.port} is not answered with 200 to 399"
    if probe.tcp_socket is not None:
        return f"no connection to port {probe.tcp_socket.port} opens"
    if probe.grpc is not None:
        return f"the gRPC health service at port {probe.grpc.port} does not answer SERVING"
    return f"the command {' '.join(probe.exec.command) if probe.exec is not None else ''} does not end with 0"


async def watch(
    thresholds: Thresholds,
    ask: probing.Ask,
    tell: Callable[[bool], None],
    *,
    known: bool | None = None,
    clock: Clock = monotonic,
) -> None:
    """Ask a probe until cancelled, and tell each new verdict; `known` is the one that holds at the start.

    Without one, as many failures as turn a good verdict make the first one bad.
    """
    state = begin(ProbeKind.READINESS, thresholds, clock(), known_good=known is True)
    told, failures = known, 0
    while True:
        await asyncio.sleep(max(0.0, state.asked_at - clock()))
        is_regular = state.asked_at >= state.regular_at
        has_succeeded = await probing.answer(ask, thresholds.timeout)
        failures = 0 if has_succeeded else failures + is_regular
        state = observe(state, has_succeeded, clock())
        verdict = state.good if state.good or failures >= thresholds.failures else told
        if verdict is not None and verdict != told:
            told = verdict
            tell(verdict)


def _http(probe: GroupProbe, address: str) -> HttpGet | None:
    get = probe.http_get
    if get is None:
        return None
    headers = tuple(HttpHeader(name=each.name, value=each.value) for each in get.http_headers)
    return HttpGet(
        path=get.path or "/",
        port=get.port,
        host=_within(get.host, address),
        scheme=get.scheme.upper(),
        http_headers=headers,
    )


def _tcp(probe: GroupProbe, address: str) -> TcpSocket | None:
    socket = probe.tcp_socket
    return TcpSocket(port=socket.port, host=_within(socket.host, address)) if socket is not None else None


def _within(host: str, address: str) -> str:
    """Resolve a host as the member itself understands it: its loopback is asked at its address."""
    return address if host in _LOOPBACK else host
