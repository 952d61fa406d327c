"""Whether what is to run in a sandbox can run at all: asked before it starts, for a better answer than an exit code."""

import json
import os
import shutil
from pathlib import Path

from lateen.platforms.local import processes, sandbox_files
from lateen.platforms.local.protocol import ProcessSpec, Refused


def command(spec: ProcessSpec, root: Path = Path("/")) -> tuple[str, ...]:
    """The arguments with the program found on the PATH that it will have; refuses what cannot start.

    `root` is where the files are that the process will see.
    """
    _check(spec)
    if spec.cwd is not None and not _below(root, spec.cwd).is_dir():
        raise Refused(
            "no_such_directory", f"working directory {spec.cwd} of {spec.name} in {spec.sandbox} is not there"
        )
    program, *arguments = spec.argv
    path = spec.env.get("PATH", os.defpath)
    found = _found(str(Path(spec.cwd or "/", program)) if "/" in program else program, path, root)
    if found is None:
        raise Refused(
            "no_such_command",
            f"command {program!r} of {spec.name} in {spec.sandbox} is not an executable file on this machine;"
            f" PATH is {json.dumps(path)}",
        )
    return (found, *arguments)


def _found(program: str, path: str, root: Path) -> str | None:
    """The program's path as the process will see it."""
    places = [str(Path(program).parent)] if "/" in program else path.split(os.pathsep)
    candidates = (Path(place, Path(program).name) for place in places)
    return next((str(each) for each in candidates if shutil.which(_below(root, str(each)))), None)


def _below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _check(spec: ProcessSpec) -> None:
    if not spec.argv:
        raise Refused("bad_request", f"process {spec.name} of {spec.sandbox} has no command: argv is empty")
    if spec.log and not sandbox_files.WORD.fullmatch(spec.log):
        raise Refused("bad_request", f"log {spec.log!r} of process {spec.name} is not a plain file name")
    processes.signal_named(spec.stop_signal)
