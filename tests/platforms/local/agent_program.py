"""A control plane that is nothing but a node agent: `agent_program.py ENVOY CONFIG…`, run by a supervisor.

Writes what the agent tells to `told`, its reports to `reports` and its rows to `rows.json` in the run directory. Its
mesh takes every report as settled; its Envoys are ready at once because they have no configuration to wait for.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from lateen.api.changes import Remove, Upsert
from lateen.api.config_set import ConfigSet
from lateen.api.objects import ObjectKey
from lateen.model.workload import Workload, WorkloadKey
from lateen.platforms.local.agent import Agent, AgentSettings
from lateen.platforms.local.client import SupervisorClient
from lateen.platforms.local.containers import Ground
from lateen.platforms.local.envoy_process import BootstrapRequest, EnvoyProgram
from lateen.platforms.local.source import FileSource, FileState


class RecordingMesh:
    """Takes config from files, and writes reports down as they come."""

    def __init__(self, record: Path) -> None:
        self.config = ConfigSet()
        self._by_file: dict[Path, set[ObjectKey]] = {}
        self._listeners: list[Callable[[object], None]] = []
        self._record = record
        self._generation = 0

    def take(self, states: tuple[FileState, ...]) -> None:
        for state in states:
            keys = {item.key for item in state.decoded.objects}
            removals = [Remove(key) for key in self._by_file.get(state.path, set()) - keys]
            self.config = self.config.apply([*removals, *map(Upsert, state.decoded.objects)])
            self._by_file[state.path] = keys
        for listener in self._listeners:
            listener(self)

    def report_workloads(self, upserts: Iterable[Workload], removals: Iterable[WorkloadKey] = ()) -> int:
        self._generation += 1
        with self._record.open("a") as record:
            for workload in upserts:
                print(workload.key.name, "ready" if workload.ready else "unready", file=record)
            for key in removals:
                print(key.name, "removed", file=record)
        return self._generation

    def as_seen(self, workload: Workload) -> Workload:
        return workload

    def subscribe(self, listener: Callable[..., None]) -> None:
        self._listeners.append(listener)


async def bare_bootstrap(request: BootstrapRequest) -> Mapping[str, object]:
    return {"admin": {"address": {"pipe": {"path": request.admin_socket}}}}


async def main(directory: Path, envoy: str, paths: list[Path]) -> None:
    mesh = RecordingMesh(directory / "reports")
    source = FileSource(paths)
    mesh.take(source.read())
    settings = AgentSettings(
        directory=directory,
        bootstrap=bare_bootstrap,
        envoy=EnvoyProgram(binary=envoy),
        ground=Ground(environment={"PATH": os.environ["PATH"]}),
    )
    told = directory / "told"

    def tell(line: str) -> None:
        with told.open("a") as lines:
            print(line, file=lines)

    async def settled(generation: int, seconds: float) -> None:
        await asyncio.sleep(0)

    agent = Agent(mesh, SupervisorClient(directory / "supervisor.sock"), settings, settled, tell)

    async def show() -> None:
        while True:
            rows = {
                "workloads": [asdict(row) for row in agent.workload_rows()],
                "published": [asdict(row) for row in agent.published()],
                "settled": agent.is_settled(),
                "pid": os.getpid(),
            }
            new = directory / "rows.new"
            new.write_text(json.dumps(rows))
            new.replace(directory / "rows.json")
            await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(agent.run())
        tasks.create_task(source.follow(mesh.take))
        tasks.create_task(show())


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        run_directory = Path(os.environ["LATEEN_SUPERVISOR_SOCKET"]).parent
        asyncio.run(main(run_directory, sys.argv[1], [Path(path) for path in sys.argv[2:]]))
