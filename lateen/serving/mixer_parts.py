"""What the Mixer process is made of: parts, each with a service, background work and numbers of its own."""

from collections.abc import Iterable
from typing import Protocol

from aiohttp import web

from lateen.model.snapshot import Snapshot
from lateen.serving.grpc_services import GrpcService


class Part(Protocol):
    """One thing that the Mixer process does for the mesh."""

    def services(self) -> Iterable[GrpcService]:
        """List the gRPC services by which Envoys reach it."""
        ...

    def routes(self) -> Iterable[web.RouteDef]:
        """List the HTTP routes by which the control plane reaches it."""
        ...

    def take(self, snapshot: Snapshot) -> None:
        """Work by this state of the mesh from now on; also called once before the doors open. Never raises."""
        ...

    async def run(self) -> None:
        """Do what has to be done beside calls, until cancelled."""
        ...

    def metrics(self) -> Iterable[str]:
        """Write down numbers, as lines of Prometheus' text form."""
        ...
