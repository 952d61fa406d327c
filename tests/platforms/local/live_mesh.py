"""A real supervisor for tests, run as root or as an ordinary user, and ways to act inside its sandboxes."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lateen.platforms.local import namespaces, procfs
from lateen.platforms.local.client import SupervisorClient
from lateen.platforms.local.protocol import ProcessSpec, ProcessState, Refused, SandboxSpec

ROOT = Path(__file__).parents[3]
ORDINARY_UID = 65534
IDLE_CONTROL_PLANE = '["sleep", "1000"]'

CATCHER = """
import socket, struct, sys, threading
def tcp(port):
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("0.0.0.0", port))
    listening.listen()
    while True:
        connection, peer = listening.accept()
        try:
            number, address = struct.unpack("!2xH4s8x", connection.getsockopt(0, 80, 16))
            meant = f"{socket.inet_ntoa(address)}:{number}"
        except OSError:
            meant = "unknown"
        connection.sendall(f"{port} {meant} {peer[0]}".encode())
        connection.close()
def udp(port):
    listening = socket.socket(type=socket.SOCK_DGRAM)
    # on all addresses it would answer from another one than it was asked at
    listening.bind(("127.0.0.1", port))
    while True:
        _, peer = listening.recvfrom(512)
        listening.sendto(str(port).encode(), peer)
for port in map(int, sys.argv[1].split(",")):
    threading.Thread(target=tcp, args=(port,)).start()
threading.Thread(target=udp, args=(15053,)).start()
print("listening", flush=True)
"""

CALLER = """
import socket, sys
kind, address, port, source, mark = sys.argv[1:]
calling = socket.socket(type=socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
calling.settimeout(2)
if mark:
    calling.setsockopt(socket.SOL_SOCKET, 36, int(mark))
if source:
    calling.bind((source, 0))
try:
    calling.connect((address, int(port)))
    if kind == "udp":
        calling.send(b"?")
    print(calling.recv(100).decode())
except OSError as error:
    print(type(error).__name__)
"""


@dataclass
class LiveMesh:
    """A mesh that runs; `prefix` makes a command run as the user who owns it."""

    name: str
    directory: Path
    prefix: tuple[str, ...]
    rootless: bool
    process: asyncio.subprocess.Process
    client: SupervisorClient
    python: str
    holders: dict[str, int] = field(default_factory=dict)

    async def sandbox(self, number: int, **settings: object) -> str:
        """Makes the sandbox `wNUMBER` at 10.244.1.NUMBER."""
        spec = {"nameserver": "10.244.0.1", "hostname": f"w{number}", **settings}
        asked = SandboxSpec(id=f"w{number}", address=address(number), **spec)  # type: ignore[arg-type]
        state = await self.client.create_sandbox(asked)
        self.holders[state.id] = state.holder_pid
        return state.id

    async def start(self, sandbox: str, *argv: str, name: str = "app", **settings: object) -> ProcessState:
        """Starts a process there."""
        spec = {"env": {"PATH": os.environ["PATH"]}, **settings}
        asked = ProcessSpec(sandbox=sandbox, name=name, argv=argv, **spec)  # type: ignore[arg-type]
        return await self.client.start_process(asked)

    async def catch(self, sandbox: str, *ports: int) -> None:
        """Starts a process that answers on these ports (and UDP 15053) with the port and the original destination."""
        listed = ",".join(map(str, ports))
        state = await self.start(sandbox, self.python, "-c", CATCHER, listed, name="catcher", role="proxy")
        await until(lambda: "listening" in Path(state.log).read_text())

    async def inside(self, sandbox: str, *command: str) -> str:
        """What a command prints in a sandbox (`mesh`: in the mesh namespace)."""
        return await output(
            *self.prefix, *namespaces.enter_argv(self.holders[sandbox], command, rootless=self.rootless)
        )

    async def call(
        self, sandbox: str, address: str, port: int, *, kind: str = "tcp", source: str = "", mark: str = ""
    ) -> str:
        """What answers a connection from a sandbox."""
        return await self.inside(sandbox, self.python, "-c", CALLER, kind, address, str(port), source, mark)

    def networks(self) -> set[int]:
        """The network namespaces of the mesh."""
        return {network for pid in self.holders.values() if (network := procfs.network_namespace(pid))}

    async def end(self) -> int:
        """Stops the supervisor and waits for it."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 20)


def address(number: int) -> str:
    """The address of sandbox `wNUMBER`."""
    return f"10.244.1.{number}"


def users() -> list[str]:
    """The kinds of users for whom the mesh can be tried from here."""
    return ["root", "user"] if os.geteuid() == 0 else ["user"]


@contextlib.contextmanager
def home_of(user: str) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """A directory for meshes of that user, and the words that make a command that user's."""
    base = Path(tempfile.mkdtemp(prefix="lt-", dir="/tmp"))
    prefix: tuple[str, ...] = ()
    if user == "user" and os.geteuid() == 0:
        os.chown(base, ORDINARY_UID, ORDINARY_UID)
        ids = (f"--reuid={ORDINARY_UID}", f"--regid={ORDINARY_UID}", "--clear-groups")
        prefix = ("setpriv", *ids, "--")
    try:
        yield base, prefix
    finally:
        shutil.rmtree(base, ignore_errors=True)


def python_for(prefix: Sequence[str]) -> str:
    """A Python that this user may run; ours may lie in a directory that is closed to others."""
    may_run = "import os, sys; sys.exit(not os.access(sys.executable, os.X_OK))"
    for candidate in (sys.executable, "/usr/bin/python3"):
        with contextlib.suppress(OSError):
            if subprocess.run([*prefix, candidate, "-c", may_run], capture_output=True, check=False).returncode == 0:
                return candidate
    raise AssertionError("no Python interpreter is open to ordinary users")


async def start_supervisor(
    base: Path, prefix: tuple[str, ...], *arguments: str, control_plane: str = IDLE_CONTROL_PLANE
) -> asyncio.subprocess.Process:
    """A supervisor process of the mesh `m` below `base`."""
    python = python_for(prefix)
    path = os.pathsep.join((str(ROOT), *(entry for entry in sys.path if entry.endswith("site-packages"))))
    return await asyncio.create_subprocess_exec(
        *prefix, python, "-m", "lateen.platforms.local.supervisor", "--name", "m", "--directory", str(base / "m"),
        "--control-plane", control_plane, "--foreground", "--grace", "1", *arguments,
        env={**os.environ, "PYTHONPATH": path}, cwd="/",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


@contextlib.asynccontextmanager
async def live_mesh(user: str, *arguments: str, control_plane: str = IDLE_CONTROL_PLANE) -> AsyncIterator[LiveMesh]:
    """A mesh that is up; it is down, whatever happens, when the block ends."""
    with home_of(user) as (base, prefix):
        process = await start_supervisor(base, prefix, *arguments, control_plane=control_plane)
        client = SupervisorClient(base / "m" / "supervisor.sock")
        mesh = LiveMesh("m", base / "m", prefix, user != "root", process, client, python_for(prefix))
        try:
            await answers(mesh)
            yield mesh
        finally:
            await client.close()
            await mesh.end()


async def answers(mesh: LiveMesh) -> None:
    """Waits until the supervisor can be talked to."""
    for _ in range(200):
        try:
            mesh.holders["mesh"] = (await mesh.client.hello()).mesh_holder_pid
            return
        except Refused:
            if mesh.process.returncode is not None and mesh.process.stdout is not None:
                raise AssertionError((await mesh.process.stdout.read()).decode()) from None
            await asyncio.sleep(0.05)
    raise AssertionError("the supervisor does not answer")


async def output(*argv: str) -> str:
    """What a command prints; at most ten seconds."""
    running = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(running.communicate(), 10)
    return said.decode().strip()


async def until(condition: object, seconds: float = 5.0) -> None:
    """Waits until a condition holds; fails if it never does."""
    assert callable(condition)
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("waited in vain")
