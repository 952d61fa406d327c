"""What the node agent tells about itself: rows for `ps`, published ports, notices, and who a reference means.

Values only; whoever shows them decides how. Times are seconds since the epoch, 0.0 where there is none yet.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

ContainerKind = Literal["app", "init", "proxy"]
ContainerState = Literal["waiting", "running", "exited"]

_OWNER_KINDS = {
    "deploy": "Deployment",
    "deployment": "Deployment",
    "deployments": "Deployment",
    "sts": "StatefulSet",
    "statefulset": "StatefulSet",
    "statefulsets": "StatefulSet",
    "pod": "Pod",
    "pods": "Pod",
    "po": "Pod",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRow:
    """One container of a workload, its proxy included. `log` is an absolute path, `reason` says why it waits."""

    name: str
    kind: ContainerKind
    state: ContainerState = "waiting"
    reason: str = ""
    ready: bool = False
    restarts: int = 0
    pid: int | None = None
    started_at: float = 0.0
    log: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadRow:
    """One workload as `ps` lists it.

    `ready` counts containers, such as `1/2`; `is_ready` tells whether it gets traffic. `status` is one word
    (Pending, Init, Running, CrashLoopBackOff, Error, Completed, Stopping), `reason` a sentence or nothing.
    `owner` is `Deployment/reviews-v1`, `StatefulSet/db` or `Pod/name`; `role` is `sidecar`, `router`, or empty where
    no proxy runs. `holder_pid` is the process that holds the workload's namespaces.
    """

    namespace: str
    name: str
    app: str
    version: str
    address: str
    ready: str
    is_ready: bool
    status: str
    reason: str
    restarts: int
    created: float
    owner: str
    role: str
    containers: tuple[ContainerRow, ...] = ()
    holder_pid: int | None = None
    admin_socket: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that the user should know and need not act on, said once for each `subject` (`Deployment/x`)."""

    subject: str
    namespace: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """A port of a service that is open on the host: `url` is what to type; `error` says why it is not open."""

    namespace: str
    service: str
    port: int
    host_address: str
    host_port: int
    url: str
    ready_targets: int
    error: str = ""


def find(rows: Iterable[WorkloadRow], reference: str, namespace: str = "") -> tuple[WorkloadRow, ...]:
    """List the workloads that a reference means, ready ones first.

    A reference is `name`, `name.namespace`, `deploy/name`, `sts/name` or `pod/name`, where a name is a workload's or
    its owner's; the first of these readings that fits wins. `namespace` narrows what the reference leaves open.
    """
    kind, slash, rest = reference.rpartition("/")
    candidates = [row for row in rows if not namespace or row.namespace == namespace]
    owner_kind = _OWNER_KINDS.get(kind.lower(), kind) if slash else ""
    for name, home in _readings(rest):
        homely = [row for row in candidates if not home or row.namespace == home]
        if found := _named(homely, name, owner_kind):
            return tuple(sorted(found, key=lambda row: (not row.is_ready, row.namespace, row.name)))
    return ()


def _named(rows: list[WorkloadRow], name: str, owner_kind: str) -> list[WorkloadRow]:
    """Choose by a pod's own name unless an owner's kind was said, and else by the owner's name."""
    own = [row for row in rows if row.name == name] if owner_kind in ("", "Pod") else []
    kinds = (owner_kind,) if owner_kind else ("Deployment", "StatefulSet", "Pod")
    return own or [row for row in rows if row.owner in {f"{each}/{name}" for each in kinds}]


def _readings(reference: str) -> tuple[tuple[str, str], ...]:
    """Give the (name, namespace) pairs that a reference without kind can mean: the whole text is a name first."""
    name, dot, namespace = reference.rpartition(".")
    return ((reference, ""), (name, namespace)) if dot else ((reference, ""),)
