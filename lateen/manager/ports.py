"""What the control loop and its neighbours expect of each other, where they meet at connected proxies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from lateen.manager.pushes import Connection, Outlet
from lateen.model.workload import WorkloadKey


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """Who a proxy says it is, from its first request."""

    id: str
    cluster: str
    metadata: Mapping[str, object]


class ProxyDoor(Protocol):
    """Lets proxies in and sees them off."""

    def connect(self, node: NodeIdentity, outlet: Outlet, peer: WorkloadKey | None = None) -> Connection:
        """Take up a proxy that opened a stream.

        `peer` is the workload whose certificate its connection has shown; None where the server does not ask for any,
        as in tests and benchmarks. Raises `NotPermitted` for a proxy that is not of this mesh or is not its peer,
        `ProtocolError` for a node that cannot be understood, `Unavailable` when it should come back later.
        """
        ...

    def disconnect(self, connection: Connection) -> None:
        """Note that the stream of this connection has ended."""
        ...
