"""The tour's own mesh, which it handles as any user would: with files, the command `lateen`, and its API."""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import readings
import ways
import yaml
from access import Reply, Told
from explained import Explained
from limits import Hasty
from readings import Instance, Reading
from steps import BOOKINFO, DEMO, Call, Hurry, Question

from lateen.cli import meshes, metrics
from lateen.cli.client import ApiClient
from lateen.errors import LateenError
from lateen.telemetry.readings import Reading as Metrics

# The command `lateen` of the Python that runs us.
_LATEEN: Final = (sys.executable, "-m", "lateen")
_FOLDER: Final = "lateen-tour"
_LOCK: Final = ".lock"
_UP_SECONDS: Final = 60.0
_DOWN_SECONDS: Final = 45.0
_LIVE_SECONDS: Final = 10.0
_BEGIN_SECONDS: Final = 2.0
_LOOK_AGAIN_SECONDS: Final = 0.01
_LOG_AGAIN_SECONDS: Final = 0.3
_PORT: Final = 9080
_NOT_RUNNING: Final = 3
_T = TypeVar("_T")


class TourFailed(Exception):
    """The tour cannot go on; the message says why, `details` what was printed."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class Ended(NamedTuple):
    """How a command ended, and all that it printed."""

    code: int
    output: str


class Folder:
    """The folder with the mesh's rules, one object a file, which the tour edits; ours while we hold its lock."""

    def __init__(self, name: str) -> None:
        # No mesh has a dot in its name: this finds one mesh's folders, and no other's.
        self.path = Path(tempfile.mkdtemp(prefix=f"{_FOLDER}.{name}."))
        # Held until this process ends, however it does: that tells a killed tour's folder from a living one's.
        self._lock = (self.path / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._original = dict(_files_at_first())
        for file, text in self._original.items():
            (self.path / file).write_text(text)

    def edit(self, name: str, source: Path | None) -> tuple[str, str]:
        """Replace a file by another, or by what it was at first; return its text before and after, empty for none."""
        file = self.path / name
        before = file.read_text() if file.exists() else ""
        after = self._original.get(name, "") if source is None else source.read_text()
        if after:
            file.write_text(after)
        else:
            file.unlink()
        return before, after

    def remove(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _files_at_first() -> Iterator[tuple[str, str]]:
    """Yield the files of the folder: mutual TLS and nothing else, who has none, and v1 of everything, a file each."""
    yield "peer-authentication.yaml", (BOOKINFO / "security" / "peer-authentication-strict.yaml").read_text()
    yield "stranger.yaml", (DEMO / "security" / "stranger.yaml").read_text()
    yield "destination-rules.yaml", (BOOKINFO / "routing" / "destination-rule-all.yaml").read_text()
    for text in (BOOKINFO / "routing" / "virtual-service-all-v1.yaml").read_text().split("\n---\n"):
        yield f"{yaml.safe_load(text)['metadata']['name']}.yaml", text.rstrip("\n") + "\n"


class Mesh:
    """Bookinfo as the mesh of this name, with the rules of a folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._folder = folder
        self._mesh = meshes.named(name)
        self._api = ApiClient(self._mesh, patience_seconds=3.0)

    async def up(self) -> None:
        """Start it, and return when all its workloads are ready; raises `TourFailed`."""
        try:
            ended = await _lateen(
                "up", "-d", "--name", self.name, str(BOOKINFO), str(self._folder), seconds=_UP_SECONDS
            )
        except asyncio.CancelledError:
            await self._begun()
            raise
        if ended.code != 0:
            raise TourFailed(f"the mesh did not come up: `lateen up` ended with exit code {ended.code}", ended.output)

    async def url(self) -> str:
        """Where the ingress gateway is published; raises `TourFailed`."""
        ports = (await self._ask("v1", "ports"))["ports"]
        errors = "; ".join(port["error"] for port in ports if port["error"])
        for port in ports:
            if port["service"] == "istio-ingressgateway" and port["port"] == 80 and not port["error"]:
                return str(port["url"]).rstrip("/")
        raise TourFailed(f"the ingress gateway is not published: {errors or 'no port of it is listed'}")

    async def generation(self, kind: str, name: str) -> int:
        """The generation of an object as the mesh has it now, 0 for none; raises `TourFailed` where it was refused."""
        objects = (await self._ask("v1", "objects", kind=kind, namespace="default"))["objects"]
        found = next((each for each in objects if each["name"] == name), None)
        if found is None:
            return 0
        if found["violations"]:
            raise TourFailed(f"{kind}/{name} was refused: {found['violations'][0]['message']}")
        return int(found["generation"])

    async def live(self, kind: str, name: str, generation_before: int) -> float:
        """Wait until an edited object is live in every proxy; return when that was. Raises `TourFailed`."""
        deadline = time.monotonic() + _LIVE_SECONDS
        while await self.generation(kind, name) == generation_before:
            if time.monotonic() > deadline:
                raise TourFailed(f"the edit of {name}.yaml was not noticed within {_LIVE_SECONDS:g} s")
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        await self._ask("v1", "wait", kind=kind, name=name, namespace="default", timeout=_LIVE_SECONDS)
        at = time.monotonic()
        await self._confirm_live(f"{kind}/{name}")
        return at

    async def call(self, call: Call) -> Reply:
        """Make a call where a workload is; raises `TourFailed` where it cannot be made."""
        argv = (sys.executable, str(DEMO / "call.py"), call.service, str(_PORT), call.path)
        return Reply(**await self._told("exec", call.caller, "--", *argv))

    async def call_until(self, call: Call, status: int) -> Reply:
        """Make a call until this comes of it, or the time is over; return what came last."""
        deadline = time.monotonic() + _LIVE_SECONDS
        while (reply := await self.call(call)).status != status and time.monotonic() < deadline:
            pass
        return reply

    async def hurry(self, hurry: Hurry) -> list[Hasty]:
        """Make calls where a workload is, as fast as they go; raises `TourFailed` where they cannot be made."""
        argv = (sys.executable, str(DEMO / "hurry.py"), hurry.service, str(_PORT), hurry.path, str(hurry.calls))
        return [Hasty(**answer) for answer in await self._told("exec", hurry.caller, "--", *argv)]

    async def hurry_until_free(self, hurry: Hurry) -> list[Hasty]:
        """Make these calls until no limit counts them, or the time is over; return the answers that came last."""
        deadline = time.monotonic() + _LIVE_SECONDS
        while True:
            answers = await self.hurry(hurry)
            if not any(one.limit for one in answers) or time.monotonic() > deadline:
                return answers

    async def explained(self, question: Question) -> Explained:
        """What `lateen explain` tells."""
        wanted = ("--from", question.caller, "--to", question.url, "--header", question.header)
        told: Explained = await self._told("explain", *wanted, "-o", "json")
        return told

    async def checked(self, caller: str, service: str, path: str = "/") -> Told:
        """What `lateen authz check` tells."""
        told: Told = await self._told("authz", "check", caller, service, "--path", path, "-o", "json")
        return told

    async def last_denial(self, workload: str) -> Told:
        """What `lateen authz why` tells, with the `record` from the log of the proxy, which writes it once a second."""
        deadline = time.monotonic() + _LIVE_SECONDS
        while True:
            try:
                found = await self._told("authz", "why", workload, "-o", "json")
                return {**found, "record": json.loads(found["log"])}
            except TourFailed:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_LOG_AGAIN_SECONDS)

    async def identities(self) -> dict[str, set[str]]:
        """The identities in the certificates that the proxies of each service hold."""
        found: dict[str, set[str]] = {}
        for row in (await self._ask("v1", "workloads"))["workloads"]:
            if row["role"]:
                found.setdefault(row["app"], set()).update(await readings.identities(_instance(row)))
        return found

    async def refusals(self) -> tuple[str, ...]:
        """What is wrong in the files as they are now, a line each; the last good version of it counts."""
        found = (await self._ask("v1", "violations"))["violations"]
        errors = (each for each in found if each["severity"] == "error")
        return tuple(_told(each) for each in errors)

    async def reading(self) -> Reading:
        """What all Envoys of the mesh have counted so far."""
        rows = (await self._ask("v1", "workloads"))["workloads"]
        return await readings.read(_instance(row) for row in rows if row["role"])

    async def metrics(self) -> Metrics:
        """The mesh's metrics at the moment, read as `lateen top` does; raises `TourFailed`."""
        return await _answer(asyncio.to_thread(metrics.read, self._api, ways.FILTER))

    async def down(self) -> bool:
        """End it; whether nothing of it is left. What `lateen down` has to say about a failure is printed."""
        ended = await _lateen("down", "--name", self.name, seconds=_DOWN_SECONDS)
        if ended.code not in (0, _NOT_RUNNING):
            print(ended.output, file=sys.stderr)
        return ended.code in (0, _NOT_RUNNING) and not self._mesh.is_running

    def keep_logs(self) -> Path | None:
        """Copy the logs of the mesh and its rules to a folder that stays; None where there are none."""
        found = [file for file in self._mesh.directory.rglob("*.log") if file.is_file()]
        if not found:
            return None
        kept = Path(tempfile.mkdtemp(prefix=f"lateen-logs.{self.name}."))
        for file in (*found, *self._folder.glob("*.yaml")):
            inside = file.relative_to(self._folder if file.parent == self._folder else self._mesh.directory)
            (kept / inside).parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):
                shutil.copyfile(file, kept / inside)
        return kept

    async def _begun(self) -> None:
        """Wait for a supervisor that was just being started: only one that has begun can be told to end."""
        deadline = time.monotonic() + _BEGIN_SECONDS
        while not self._mesh.is_running and time.monotonic() < deadline:  # noqa: ASYNC110 - a lock file tells nobody
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def _told(self, command: str, *arguments: str) -> Any:
        """Run a command that prints JSON, be it with exit code 0 or 1; raises `TourFailed`."""
        words = (command, *arguments[:1]) if command == "authz" else (command,)
        ended = await _lateen(*words, "--name", self.name, *arguments[len(words) - 1 :], seconds=_LIVE_SECONDS * 3)
        try:
            return json.loads(ended.output)
        except ValueError:
            raise TourFailed(f"`lateen {' '.join(words)}` ended with exit code {ended.code}", ended.output) from None

    async def _confirm_live(self, reference: str) -> None:
        """Have the command that users have say so too."""
        ended = await _lateen("wait", reference, "--name", self.name, seconds=_LIVE_SECONDS * 3)
        if ended.code != 0:
            raise TourFailed(f"{reference} did not become live", ended.output)

    async def _ask(self, *path: str, **query: object) -> Any:
        return await _answer(asyncio.to_thread(self._api.get, *path, timeout_seconds=_LIVE_SECONDS + 5, **query))


async def remove_leftovers(name: str) -> None:
    """End what a killed tour left; raises `TourFailed` where a tour lives, or a mesh of that name is not a tour's."""
    folders = _own_folders(name)
    if any(_is_held(folder) for folder in folders):
        raise TourFailed(f"another tour with the mesh '{name}' is under way; end it first")
    if folders:
        ended = await _lateen("down", "--name", name, seconds=_DOWN_SECONDS)
        if ended.code not in (0, _NOT_RUNNING):
            raise TourFailed(f"the mesh '{name}' of an earlier tour does not end", ended.output)
    elif meshes.named(name).is_running:
        raise TourFailed(f"a mesh '{name}' is running that is no tour's; end it, or choose another name with --name")
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _own_folders(name: str) -> list[Path]:
    return [folder for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}.{name}.*") if _is_own(folder)]


def _is_own(folder: Path) -> bool:
    found = folder.lstat()
    return folder.is_dir() and not folder.is_symlink() and found.st_uid == os.geteuid()


def _is_held(folder: Path) -> bool:
    """Whether the tour that made this folder lives."""
    try:
        with (folder / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _told(violation: dict[str, Any]) -> str:
    place = f"{Path(violation['file']).name}:{violation['line']}"
    return ": ".join(part for part in (place, violation["path"], violation["message"]) if part)


def _instance(row: dict[str, Any]) -> Instance:
    return Instance(row["name"], row["app"], row["version"], row["role"] == "router", Path(row["admin_socket"]))


async def _answer(asked: Awaitable[_T]) -> _T:
    try:
        return await asked
    except LateenError as error:
        raise TourFailed(f"the mesh does not answer: {error}") from None


async def _lateen(*arguments: str, seconds: float) -> Ended:
    """Run the command to its end, out of reach of the terminal's Ctrl-C, which is ours to act on.

    When we are interrupted or it takes too long it is asked to end, and waited for: nothing that it began goes on.
    """
    process = await asyncio.create_subprocess_exec(
        *_LATEEN,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    reading = asyncio.ensure_future(process.communicate())
    try:
        output, _ = await asyncio.wait_for(asyncio.shield(reading), seconds)
    except TimeoutError:
        await _end(process, reading)
        raise TourFailed(f"`lateen {arguments[0]}` took more than {seconds:g} s") from None
    except asyncio.CancelledError:
        await _end(process, reading)
        raise
    return Ended(process.returncode or 0, output.decode(errors="replace").strip())


async def _end(process: asyncio.subprocess.Process, reading: "asyncio.Future[tuple[bytes, bytes]]") -> None:
    for which in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(which)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(reading), 10.0)
            return
