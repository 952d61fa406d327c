"""What is said between the supervisor and those who ask it for sandboxes and processes.

The wire is a unix socket, `supervisor.sock` in the run directory, with one JSON object a line:

    → {"id": 7, "request": "start_process", "body": {...}}
    ← {"id": 7, "reply": {...}}                                  or
    ← {"id": 7, "error": {"code": "conflict", "message": "..."}}
    ← {"event": "process_exited", "number": 12, "at": 1700000000.5, "body": {...}}   (after a `subscribe`)

Requests of one connection run concurrently; replies come in the order in which the work ends. Every request is
idempotent: asking again for what is already so answers with what is. Addresses are IPv4 in text, times are seconds
since the epoch. Standard library only.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

VERSION = 1
LINE_LIMIT_BYTES = 16 * 1024 * 1024

Role = Literal["app", "proxy"]
Transport = Literal["tcp", "udp"]
EventName = Literal["process_exited", "control_plane_exited", "progress", "stopping", "subscribed"]
_Message = TypeVar("_Message")


class Refused(Exception):
    """The supervisor answered with an error: `code` is for programs, the message says what to do about it.

    Codes: `bad_request`, `conflict` (exists with another spec), `unknown_sandbox`, `unknown_process`,
    `no_such_command`, `no_such_directory`, `sandbox_failed`, `rules_failed`, `address_in_use`, `not_permitted`,
    `stopping`, `timeout`, `unavailable`, `defect`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Interception:
    """Which of a sandbox's connections are taken to its sidecar; the words of Istio's traffic annotations.

    `None` for an include means all, an empty tuple means none. Excludes count only beside an include of all, except
    `exclude_outbound_ports`, which always wins. `include_outbound_ports` are taken whatever the destination is.
    """

    include_inbound_ports: tuple[int, ...] | None = None
    exclude_inbound_ports: tuple[int, ...] = ()
    include_outbound_ports: tuple[int, ...] = ()
    exclude_outbound_ports: tuple[int, ...] = ()
    include_outbound_ip_ranges: tuple[str, ...] | None = None
    exclude_outbound_ip_ranges: tuple[str, ...] = ()
    dns: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A file or folder of the machine, absolute `source`, that is seen at `target` inside a sandbox.

    `what` names it for people. Both paths may be anywhere but in /proc and /sys; a `target` that does not exist is made
    for the sandbox alone.
    """

    source: str
    target: str
    what: str
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSpec:
    """A network and mount namespace for one workload, asked for by `create_sandbox`.

    `id` is a path-safe word, unique in the mesh; `address` lies in 10.244.0.0/16; `hosts` maps a name to its address
    and goes to /etc/hosts beside localhost and the sandbox's own name. Without `interception` traffic is left alone:
    then use 10.244.0.1 as the name server. `visible` are paths that stay seen when a mount covers a folder above them;
    the run directory always is one.
    """

    id: str
    address: str
    hostname: str
    nameserver: str = "10.96.0.10"
    search: tuple[str, ...] = ()
    hosts: Mapping[str, str] = field(default_factory=dict)
    interception: Interception | None = None
    mounts: tuple[Mount, ...] = ()
    visible: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """A process in a sandbox, asked for by `start_process`; (`sandbox`, `name`) is its key.

    `env` is the whole environment (the supervisor adds its own LATEEN_* markers). Output goes to `log`, a file name
    under `logs/` of the run directory. The process leads its own session; `stop_signal` goes to that whole group.
    When it exits, whatever it left behind (also daemons) is killed. `role` orders the end of the mesh: apps stop
    before proxies. `marker` is the caller's own word, given back by `list`, and no part of the digest.
    """

    sandbox: str
    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    log: str = ""
    stop_signal: str = "SIGTERM"
    role: Role = "app"
    marker: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a process ended: a `code`, or the name of the `signal` that killed it; `at` seconds since the epoch."""

    code: int | None
    signal: str | None
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessState:
    """A process that runs, or that ended and was not started again (then `exit` says how).

    `start_time` is the kernel's (clock ticks since boot, from /proc), which tells a process from a later one with
    the same pid; `log` is an absolute path.
    """

    sandbox: str
    name: str
    pid: int
    start_time: int
    started_at: float
    digest: str
    role: Role
    marker: str
    log: str
    exit: Exit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The answer to `stop_process`: the process as it ended, or None where none of that name was ever started."""

    process: ProcessState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxState:
    """A sandbox that exists. Enter it with `namespaces.enter_argv(holder_pid, rootless=...)`."""

    id: str
    address: str
    hostname: str
    holder_pid: int
    digest: str
    processes: tuple[ProcessState, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPort:
    """A port of the host from which connections go to `targets` (`ip:port` in the mesh), taken in turn.

    With `tells_client`, each begins with the client's address, in the form of the PROXY protocol. With `also_udp`,
    the same port of UDP leads to the same targets.
    """

    host_port: int
    targets: tuple[str, ...]
    host_address: str = "127.0.0.1"
    tells_client: bool = False
    also_udp: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why something was refused; the same words as in `Refused`."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PortOutcome:
    """Whether one published port is open: it is when `failure` is None."""

    host_address: str
    host_port: int
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """A process of the mesh itself, beside the control plane in the mesh's namespace, started again when it ends.

    Its output goes to `NAME.log` in the run directory.
    """

    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Companions:
    """All companions that there should be; what is not named is ended. Body of `set_companions`."""

    companions: tuple[Companion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanionState:
    """A companion: its process of this moment (None between two lives), and how often it was started again."""

    name: str
    pid: int | None
    restarts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshState:
    """Everything that the supervisor holds, as answered to `list`: enough for a new control plane to take over."""

    mesh: str
    rootless: bool
    supervisor_pid: int
    mesh_holder_pid: int
    control_plane_pid: int | None
    control_plane_restarts: int
    sandboxes: tuple[SandboxState, ...] = ()
    published_ports: tuple[PublishedPort, ...] = ()
    companions: tuple[CompanionState, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The supervisor's answer to `hello`: who it is and which version of these words it speaks."""

    version: int
    mesh: str
    directory: str
    rootless: bool
    supervisor_pid: int
    mesh_holder_pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessKey:
    """Names a process: the body of `stop_process` (with `grace_seconds`) and `signal_process` (with `signal`)."""

    sandbox: str
    name: str
    grace_seconds: float = 5.0
    signal: str = "SIGTERM"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxKey:
    """Names a sandbox: the body of `delete_sandbox`; its processes get `grace_seconds` to end, proxies after apps."""

    id: str
    grace_seconds: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPorts:
    """All ports that should be open on the host; what is not named is closed. Body of `set_published_ports`."""

    ports: tuple[PublishedPort, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PortOutcomes:
    """The answer to `set_published_ports`, one outcome a port, in the order asked."""

    outcomes: tuple[PortOutcome, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRoute:
    """Where connections to a service's `address` and `port` lead that no sidecar takes: to one of `targets`.

    Targets are `ip:port`, in the mesh. Without any the connections are refused.
    """

    address: str
    port: int
    targets: tuple[str, ...]
    transport: Transport = "tcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRoutes:
    """All routes that there should be; what is not named is gone. Body of `set_service_routes`."""

    routes: tuple[ServiceRoute, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshNames:
    """All names that the node's resolver answers by itself: name → IPv4 addresses. Body of `set_names`.

    A name below `domain` that is not among them does not exist; all others are asked of the host's resolvers, those
    in `aliases` (name → the name that it stands for) under their other name.
    """

    domain: str
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One short line about what is going on: printed on the supervisor's terminal, sent to all subscribers."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shutdown:
    """Ends the mesh: body of `shutdown`, which answers at once; the socket's end is the sign that all is gone."""

    grace_seconds: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """The body of requests without parameters, and the answer of those with nothing to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, told to subscribers; exactly the field that fits `name` is set.

    `process_exited` → `process` (its `exit` is set) · `control_plane_exited` → `exit` · `progress` → `text` ·
    `stopping` → `text` (why) · `subscribed`: made by the client whenever its connection is new: events may have been
    missed before, ask `list`. `number` counts up from 1 in one supervisor's life.
    """

    name: EventName
    number: int
    at: float
    process: ProcessState | None = None
    exit: Exit | None = None
    text: str = ""


def encode(message: Any) -> dict[str, Any]:
    """A message as the plain values that JSON carries."""
    return asdict(message)


def decode(kind: type[_Message], value: object) -> _Message:
    """A message of `kind` from JSON values; raises `Refused("bad_request")` that names the field that does not fit."""
    return cast(_Message, _decoded(kind, value, kind.__name__))


def digest(spec: SandboxSpec | ProcessSpec) -> str:
    """A short fingerprint of what a spec asks for: equal specs give equal digests, in any process and at any time."""
    asked = {name: value for name, value in encode(spec).items() if name != "marker"}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def _decoded(kind: Any, value: object, path: str) -> Any:
    if is_dataclass(kind):
        return _decoded_dataclass(cast(type, kind), value, path)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if value is None and NoneType in arguments:
            return None
        return _decoded(next(choice for choice in arguments if choice is not NoneType), value, path)
    if origin is Literal:
        return _expect(value in arguments, value, path, " or ".join(map(str, arguments)))
    if origin is tuple:
        items = cast(list[object], _expect(isinstance(value, list | tuple), value, path, "a list"))
        return tuple(_decoded(arguments[0], item, f"{path}[{place}]") for place, item in enumerate(items))
    if origin is Mapping:
        pairs = cast(dict[str, object], _expect(isinstance(value, dict), value, path, "an object"))
        return {key: _decoded(arguments[1], item, f"{path}.{key}") for key, item in pairs.items()}
    if kind is float:
        return float(cast(float, _expect(_is_number(value, int | float), value, path, "a number")))
    if kind is int:
        return _expect(_is_number(value, int), value, path, "a whole number")
    return _expect(isinstance(value, kind), value, path, kind.__name__)


def _decoded_dataclass(kind: type, value: object, path: str) -> Any:
    given = cast(dict[str, object], _expect(isinstance(value, dict), value, path, "an object"))
    hints = _hints(kind)
    unknown = sorted(given.keys() - hints.keys())
    if unknown:
        raise Refused("bad_request", f"{path} has no field {unknown[0]}; it has {', '.join(sorted(hints))}")
    try:
        return kind(**{name: _decoded(hints[name], item, f"{path}.{name}") for name, item in given.items()})
    except TypeError:
        missing = [each.name for each in fields(kind) if each.name not in given and _is_required(each)]
        raise Refused("bad_request", f"{path} needs more fields; absent are {', '.join(missing)}") from None


def _is_required(each: Field[Any]) -> bool:
    return each.default is MISSING and each.default_factory is MISSING


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _is_number(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _expect(fits: bool, value: object, path: str, wanted: str) -> object:
    if not fits:
        raise Refused("bad_request", f"{path} is {value!r:.80}, expected {wanted}")
    return value
