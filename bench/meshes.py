"""A real mesh to measure: started by the command that users have, and gone when the measurement ends in any way."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lateen.cli import meshes
from lateen.cli.client import ApiClient
from lateen.errors import LateenError

ROOT: Final = Path(__file__).parent.parent
LATEEN: Final = (sys.executable, "-m", "lateen")
_UP_SECONDS: Final = 60.0
_DOWN_SECONDS: Final = 30.0
_LOOK_AGAIN_SECONDS: Final = 0.01

Row = Mapping[str, Any]


@dataclass
class Running:
    """A mesh that a child of ours holds up: `began` is when it was started, `said` what it printed and when."""

    process: "subprocess.Popen[str]"
    mesh: meshes.Mesh
    began: float
    said: list[tuple[float, str]] = field(default_factory=list)

    def when_said(self, part: str) -> float | None:
        """Return the seconds from the start to the first line with this part; None while there is none."""
        return next((at - self.began for at, line in self.said if part in line), None)

    def rows(self) -> list[Row]:
        """Return its workloads; none while the control plane does not answer."""
        return self._ask("workloads")

    def ports(self) -> list[Row]:
        """Return what it has published; nothing while the control plane does not answer."""
        return self._ask("ports")

    def _ask(self, name: str) -> list[Row]:
        try:
            return list(ApiClient(self.mesh, patience_seconds=0).get("v1", name)[name])
        except LateenError:
            return []

    def control_plane_pid(self) -> int:
        """Return the process of its control plane."""
        return int(ApiClient(self.mesh).get("v1", "mesh")["pid"])

    def until(self, holds: Callable[[], Any], what: str, seconds: float = _UP_SECONDS) -> Any:
        """Look until something is there, and return it; ends the measurement when it does not come."""
        deadline = time.monotonic() + seconds
        while not (found := holds()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(
                    f"mesh '{self.mesh.name}': no {what}\n" + "\n".join(line for _, line in self.said[-20:])
                )
            time.sleep(_LOOK_AGAIN_SECONDS)
        return found

    def workloads(self, count: int) -> dict[str, Row]:
        """Wait until so many workloads are ready; return them by the names of their Deployments."""

        def ready() -> list[Row]:
            found = [row for row in self.rows() if row["is_ready"]]
            return found if len(found) >= count else []

        return {row["owner"].partition("/")[2]: row for row in self.until(ready, f"{count} ready workloads")}


def proxy_pid(row: Row) -> int:
    """Return the process of a workload's proxy."""
    return int(next(container["pid"] for container in row["containers"] if container["kind"] == "proxy"))


@contextmanager
def running(name: str, *paths: Path, host_address: str = "127.0.0.1") -> Iterator[Running]:
    """Start a mesh; it ends with the block, and would end with us if we were killed."""
    mesh = meshes.named(f"{name}-{os.getpid()}")
    began = time.monotonic()
    process = subprocess.Popen(
        _dying_with_us(*LATEEN, "up", "--name", mesh.name, "--host-address", host_address, *paths),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Ctrl-C is for us: we end it, once.
        start_new_session=True,
        cwd=ROOT,
    )
    run = Running(process, mesh, began)
    reader = threading.Thread(target=_read, args=(run,), daemon=True)
    reader.start()
    try:
        yield run
    finally:
        _end(run)
        reader.join(timeout=1.0)


def _dying_with_us(*command: object) -> Sequence[str]:
    return ("setpriv", "--pdeathsig", "TERM", "--", *(str(word) for word in command))


def _read(run: Running) -> None:
    assert run.process.stdout
    for line in run.process.stdout:
        run.said.append((time.monotonic(), line.rstrip("\n")))


def _end(run: Running) -> None:
    """Take the mesh down and wait for its end; a second Ctrl-C does not stop that."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run.process.terminate()
        run.process.wait(_DOWN_SECONDS)
    except subprocess.TimeoutExpired:
        run.process.kill()
        run.process.wait()
    finally:
        if run.mesh.directory.exists():
            # Its supervisor was killed, or told to end before it had begun.
            subprocess.run([*LATEEN, "down", "--name", run.mesh.name], check=False, capture_output=True)
        signal.signal(signal.SIGINT, before)
