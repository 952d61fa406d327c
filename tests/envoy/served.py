"""A real Envoy with a control plane of its own: what users write is pushed to it as it is in a mesh."""

import asyncio
import json
import subprocess
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from lateen.api.changes import Change, Remove, Upsert
from lateen.api.decode import decode_yaml
from lateen.api.objects import ObjectKey
from lateen.envoy.bootstrap import XDS_CLUSTER, bootstrap
from lateen.manager.loop import ControlLoop
from lateen.manager.pushes import Pushes
from lateen.model.workload import Locality, Workload, WorkloadKey
from lateen.platforms.local.patch_review import PatchReview
from lateen.serving.xds import DiscoveryServer

from .acceptance import envoy_path
from .running import HOST, free_ports, until

T = TypeVar("T")
NAMESPACE = "istio-system"
PLACE = Locality("eu", "a")
GATEWAY = Workload(
    WorkloadKey(NAMESPACE, "gate"), HOST, {"istio": "ingressgateway", "team": "red"}, ready=True, locality=PLACE
)
SETTLED_WITHIN_SECONDS = 20


@dataclass
class Served:
    """A running proxy and the control plane that it is connected to."""

    place: Path
    _events: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread = field(init=False)
    loop: ControlLoop = field(init=False)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._events.run_forever, daemon=True)
        self._thread.start()

    def apply(self, text: str) -> None:
        """Write some objects, and return when the proxy has what follows from them."""
        decoded = decode_yaml(text, "test.yaml")
        assert not decoded.violations, list(map(str, decoded.violations))
        self.change([Upsert(item) for item in decoded.objects])

    def remove(self, key: ObjectKey) -> None:
        """Take an object away."""
        self.change([Remove(key)])

    def change(self, changes: list[Change]) -> None:
        """Make changes, and return when the proxy has what follows from them."""
        assert self.run(self._settled(changes)) == ()

    @property
    def doubts(self) -> list[str]:
        """What the control plane has to say about the configuration."""
        return [str(one) for one in self.loop.diagnostics()]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the control plane."""
        return asyncio.run_coroutine_threadsafe(work, self._events).result(SETTLED_WITHIN_SECONDS + 5)

    async def start(self) -> DiscoveryServer:
        """Let proxies in."""
        review = PatchReview(str(envoy_path()))
        self.loop = ControlLoop(Pushes(), reviewer=review)
        review.follow(self.loop.reviewed)
        self.loop.report_workloads([GATEWAY])
        self.loop.push()
        server = DiscoveryServer(self.loop)
        await server.start(self.place / "xds.sock")
        self.work = asyncio.create_task(self.loop.run())
        return server

    async def stop(self, server: DiscoveryServer) -> None:
        """Let nobody in any more."""
        self.work.cancel()
        await server.stop()

    def end(self) -> None:
        """End the thread."""
        self._events.call_soon_threadsafe(self._events.stop)
        self._thread.join(5)
        self._events.close()

    async def _settled(self, changes: list[Change]) -> tuple[str, ...]:
        return await self.loop.wait_settled(self.loop.submit(changes), SETTLED_WITHIN_SECONDS)

    def is_connected(self) -> bool:
        """Tell whether the proxy has asked for something."""
        return bool(self.loop._pushes.connections)


@contextmanager
def served_gateway(place: Path) -> Iterator[Served]:
    """Run a gateway's Envoy under a control plane that knows nothing yet, until the block ends."""
    served = Served(place)
    server = served.run(served.start())
    config, log = place / "envoy.json", place / "envoy.log"
    config.write_text(json.dumps(_bootstrap(place)))
    command = [str(envoy_path()), "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "-l", "warning"]
    try:
        with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
            try:
                until(served.is_connected, process, log)
                yield served
            finally:
                process.kill()
    finally:
        served.run(served.stop(server))
        served.end()


def _bootstrap(place: Path) -> dict[str, Any]:
    """The gateway's own, but that the control plane does not ask who it is."""
    admin, health, metrics = free_ports(3)
    whole = bootstrap(
        f"router~{HOST}~gate.{NAMESPACE}~{NAMESPACE}.svc.cluster.local",
        f"gate.{NAMESPACE}",
        xds_socket=str(place / "xds.sock"),
        sds_socket=str(place / "sds.sock"),
        mixer_socket=str(place / "mixer.sock"),
        traces_socket=str(place / "traces.sock"),
        admin_socket=str(place / "admin.sock"),
        socket_mark=None,
        admin_port=admin,
        health_port=health,
        metrics_port=metrics,
    )
    for cluster in whole["static_resources"]["clusters"]:
        if cluster["name"] == XDS_CLUSTER:
            cluster.pop("transport_socket", None)
    return whole
