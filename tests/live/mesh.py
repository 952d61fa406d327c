"""A mesh as a user has it: started with the command `lateen`, acted on with it, and gone in the end."""

import contextlib
import itertools
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeVar

import yaml

from lateen.cli import meshes
from lateen.cli.client import ApiClient
from lateen.errors import LateenError
from lateen.platforms.local import directories
from tests.platforms.local.live_mesh import ORDINARY_UID, ROOT, home_of, python_for

EXAMPLES = ROOT / "examples"
CALLER = Path(__file__).with_name("caller.py")
SITE_PACKAGES = Path(yaml.__file__).parents[1]
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOOK_AGAIN_SECONDS = 0.05
WORKLOADS = ("Deployment", "StatefulSet", "Pod")
# Longer than changes are gathered before they are pushed.
GATHERING_SECONDS = 0.15
_numbers = itertools.count(1)
_Found = TypeVar("_Found")


def until(condition: Callable[[], _Found], seconds: float = 15.0, what: str = "") -> _Found:
    """What the condition gives once that is true; fails if it never is."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain{': ' + what if what else ''}"
        time.sleep(LOOK_AGAIN_SECONDS)
    return found


def settle(caller: "Caller", url: str, status: int = 200, seconds: float = 15.0, **how: Any) -> None:
    """Waits until every connection that is kept answers so: where a chain itself was changed, as by PeerAuthentication,
    path normalization or a denial of Mixer's, each may give one more answer as before.
    """

    def settled() -> bool:
        return {answer.status for answer in caller.requests(url, 10, **how)} == {status}

    until(settled, seconds, f"{status} from {url}")


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """All that it printed."""
        return self.out + self.err


@dataclass(frozen=True)
class Answer:
    """What came of an HTTP request; status 0 where no answer came."""

    status: int
    headers: dict[str, str]
    body: str
    error: str
    seconds: float

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def version(self) -> str:
        """The version of the example service that answered."""
        return self.headers.get("x-version", "")

    @property
    def pod(self) -> str:
        """The instance of the example service that answered."""
        return self.headers.get("x-pod", "")


@dataclass(frozen=True)
class LoadResult:
    """What came of all requests of a load."""

    requests: int
    counts: dict[str, int]
    failures: list[str]


class Caller:
    """A process that makes calls from where it runs."""

    def __init__(self, argv: Sequence[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            argv, env=environment, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def get(self, url: str, **how: Any) -> Answer:
        """One request."""
        return self.requests(url, 1, **how)[0]

    def requests(self, url: str, count: int, **how: Any) -> list[Answer]:
        """So many equal requests, each on a connection of its own."""
        return [Answer(**answer) for answer in self._do("requests", url=url, count=count, **how)]

    def talk(self, host: str, port: int, **how: Any) -> dict[str, str]:
        """One TCP conversation."""
        said: dict[str, str] = self._do("talk", host=host, port=port, **how)
        return said

    def resolve(self, host: str) -> list[str]:
        """The addresses of a name."""
        found: list[str] = self._do("resolve", host=host)
        return found

    @contextlib.contextmanager
    def load(self, url: str, **how: Any) -> Iterator["Load"]:
        """Requests without end while the block runs."""
        self._do("load", url=url, **how)
        load = Load(lambda what: LoadResult(**self._do(what)))
        try:
            load.more()
            yield load
        finally:
            load.result = LoadResult(**self._do("stop"))

    def _do(self, what: str, **how: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"do": what, **how}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the caller has ended with {self._process.wait()}"
        return json.loads(answer)


class Load:
    """Traffic that flows; `result` is there when it has stopped."""

    result: LoadResult

    def __init__(self, ask: Callable[[str], LoadResult]) -> None:
        self._ask = ask

    def more(self, requests: int = 50) -> None:
        """Waits until so many more requests have been answered."""
        goal = self._ask("look").requests + requests
        until(lambda: self._ask("look").requests >= goal, 60, f"{requests} requests to be answered")


@dataclass
class Mesh:
    """A mesh of one user."""

    user: str
    base: Path
    prefix: tuple[str, ...]
    name: str = field(default_factory=lambda: f"live{os.getpid()}x{next(_numbers)}")

    @property
    def directory(self) -> Path:
        """Its run directory."""
        uid = ORDINARY_UID if self.prefix else os.geteuid()
        return directories.run_directory(self.name, self.environment, uid)

    @property
    def python(self) -> str:
        """A Python that its user may run."""
        return python_for(self.prefix)

    @property
    def environment(self) -> dict[str, str]:
        """What its user's commands have: nothing of pytest's, and `python3` is a Python that they may run."""
        return {
            "PATH": f"{Path(self.python).parent}:{SYSTEM_PATH}",
            "PYTHONPATH": f"{ROOT}:{SITE_PACKAGES}",
            "HOME": str(self.base),
            "XDG_RUNTIME_DIR": str(self.base),
            "LANG": "C.UTF-8",
        }

    @property
    def api(self) -> ApiClient:
        """Its API, for what tests do often: a command of its own takes a good part of a second."""
        return ApiClient(meshes.Mesh(self.name, self.directory), patience_seconds=10.0)

    def argv(self, command: str, *arguments: object) -> list[str]:
        """The words of a command, or of one of a group such as `ca rotate`, on this mesh."""
        return [*self.prefix, self.python, "-m", "lateen", *command.split(), "--name", self.name, *map(str, arguments)]

    def run(self, command: str, *arguments: object, seconds: float = 60.0, stdin: str = "") -> Ended:
        """Runs a command to its end, whatever that is."""
        ended = subprocess.run(
            self.argv(command, *arguments), env=self.environment, cwd=ROOT, input=stdin,
            capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def do(self, command: str, *arguments: object, seconds: float = 60.0) -> str:
        """Runs a command that succeeds, and gives what it prints."""
        ended = self.run(command, *arguments, seconds=seconds)
        assert ended.code == 0, f"lateen {command} ended with {ended.code}:\n{ended.said}"
        return ended.out

    def up(self, *paths: object) -> str:
        """Starts it detached."""
        return self.do("up", "-d", *paths, seconds=130)

    @contextlib.contextmanager
    def foreground(self, *paths: object) -> Iterator[subprocess.Popen[str]]:
        """`lateen up` in the foreground; what it prints goes to the file `foreground.log` of its base."""
        with (self.base / "foreground.log").open("w") as log:
            process = subprocess.Popen(
                self.argv("up", *paths), env=self.environment, cwd=ROOT, stdout=log, stderr=log, text=True
            )
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    def workloads(self) -> list[dict[str, Any]]:
        """What `lateen ps` lists."""
        rows: list[dict[str, Any]] = self.api.get("v1", "workloads")["workloads"]
        return rows

    def instances(self, name: str) -> list[dict[str, Any]]:
        """The workloads of an owner, or of that name."""
        return [row for row in self.workloads() if name in (row["name"], row["owner"].rpartition("/")[2])]

    def ready(self, name: str, count: int = 1, seconds: float = 20.0) -> list[dict[str, Any]]:
        """Waits until so many instances of an owner are there, all of them ready."""

        def found() -> list[dict[str, Any]]:
            rows = self.instances(name)
            return rows if len(rows) == count and all(row["is_ready"] for row in rows) else []

        try:
            return until(found, seconds)
        except AssertionError:
            raise AssertionError(f"{name} has no {count} ready instances: {self.instances(name)}") from None

    def app_pid(self, workload: dict[str, Any]) -> int:
        """The process of a workload's application."""
        return next(int(each["pid"]) for each in workload["containers"] if each["kind"] == "app")

    def control_plane(self) -> int:
        """The pid of the control plane; 0 while none answers."""
        try:
            return int(self.api.get("v1", "mesh")["pid"])
        except LateenError:
            return 0

    def url(self) -> str:
        """Where the ingress gateway is published."""

        def published() -> str:
            ports = self.api.get("v1", "ports")["ports"]
            return next(
                (port["url"] for port in ports if port["service"].endswith("gateway") and not port["error"]), ""
            )

        return until(published, 15, "a published gateway")

    def call_from(self, workload: str) -> Caller:
        """A process in the network of a workload, as `lateen exec` starts it."""
        return Caller(self.argv("exec", workload, "--", self.python, str(CALLER)), self.environment)

    def apply(self, text: str) -> list[dict[str, Any]]:
        """Applies YAML that is valid, and waits until all of it is everywhere; gives what became of each object."""
        outcomes = self.api.post("v1", "apply", body={"documents": [{"file": "", "text": text}]})["outcomes"]
        refused = [outcome for outcome in outcomes if outcome["action"] == "refused"]
        assert not refused, refused
        for item in objects(text):
            self.live(item)
        if any(item["kind"] in WORKLOADS for item in objects(text)):
            self.settled()
        return list(outcomes)

    def live(self, item: dict[str, Any], seconds: float = 20.0) -> None:
        """Waits until an object is live."""
        namespace = item["metadata"].get("namespace", "default")
        query = {"kind": item["kind"], "name": item["metadata"]["name"], "namespace": namespace, "timeout": seconds}
        answer = self.api.get("v1", "wait", timeout_seconds=seconds + 5, **query)
        assert answer["is_live"], f"{item['kind']} {item['metadata']['name']} is not live: {answer}"

    def delete(self, text: str) -> None:
        """Deletes the objects of some YAML, and waits until their workloads are gone."""
        keys = [
            {
                "kind": item["kind"],
                "name": item["metadata"]["name"],
                "namespace": item["metadata"].get("namespace", "default"),
            }
            for item in objects(text)
        ]
        self.api.post("v1", "delete", body={"objects": keys})
        owners = {f"{each['kind']}/{each['name']}" for each in keys}
        until(lambda: not any(row["owner"] in owners for row in self.workloads()), 30, f"{owners} to be gone")
        self.settled()

    def settled(self, seconds: float = 20.0) -> None:
        """Gives changes time to be gathered, and waits until no proxy lacks anything."""
        time.sleep(GATHERING_SECONDS)
        try:
            until(lambda: not self._behind(), seconds)
        except AssertionError:
            raise AssertionError(f"not settled after {seconds:g} s: {self._behind()}") from None

    def _behind(self) -> dict[str, Any]:
        return {
            row["name"]: row["proxy"] for row in self.workloads() if row["role"] and row["proxy"]["state"] != "synced"
        }

    @contextlib.contextmanager
    def having(self, text: str) -> Iterator[None]:
        """These objects are live while the block runs."""
        try:
            self.apply(text)
            yield
        finally:
            self.delete(text)


def objects(text: str) -> list[dict[str, Any]]:
    """The objects of some YAML."""
    return [item for item in yaml.safe_load_all(text) if item]


@contextlib.contextmanager
def a_mesh(user: str) -> Iterator[Mesh]:
    """A mesh that is not started yet; whatever becomes of it, nothing of it is left after the block."""
    with home_of(user) as (base, prefix):
        base.chmod(0o755)
        mesh = Mesh(user, base, prefix)
        try:
            yield mesh
        finally:
            ended = mesh.run("down", "--grace", "2", seconds=90)
            assert ended.code == 0, ended.said
            until(lambda: not Remains.of(mesh), 3, "nothing to be left")


@dataclass(frozen=True)
class Footprint:
    """How the host's network and its processes look."""

    namespaces: str
    links: frozenset[str]
    rules: str

    @classmethod
    def now(cls) -> Self:
        """As it is at the moment."""
        links = json.loads(_printed("ip", "-json", "link"))
        return cls(
            _printed("ip", "netns"), frozenset(link["ifname"] for link in links), _printed("nft", "list", "ruleset")
        )


@dataclass(frozen=True)
class Remains:
    """What is there of a mesh."""

    processes: tuple[str, ...]
    files: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.processes or self.files)

    @classmethod
    def of(cls, mesh: Mesh, networks: "Networks | None" = None) -> Self:
        """Looks for processes that name the mesh's directory or live in its networks, and for its directory."""
        directory = str(mesh.directory)
        found = tuple(
            f"{pid} {words}"
            for pid, words in processes()
            if pid != os.getpid() and (directory in words or (networks is not None and pid in networks))
        )
        return cls(found, (directory,) if mesh.directory.exists() else ())


def network_of(pid: int) -> int:
    """The network namespace of a process; 0 where it is gone."""
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return 0


class Networks:
    """The network namespaces of a running mesh, held so that the kernel gives their numbers to nobody else."""

    def __init__(self, mesh: Mesh) -> None:
        directory = str(mesh.directory)
        pids = [pid for pid, words in processes() if directory in words]
        pids += [row["holder_pid"] for row in mesh.workloads() if row["holder_pid"]]
        self._held: dict[int, BinaryIO] = {}
        for pid in pids:
            number = network_of(pid)
            if number not in (0, network_of(os.getpid()), *self._held):
                self._held[number] = Path(f"/proc/{pid}/ns/net").open("rb")  # noqa: SIM115 - they are held as long as we are

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, pid: int) -> bool:
        return network_of(pid) in self._held


def processes() -> Iterator[tuple[int, str]]:
    """The pid and the command line of every process."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def _printed(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=10).stdout
