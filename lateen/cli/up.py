"""`lateen up`: checks the machine and the files, then becomes the supervisor of the mesh, or starts it detached."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

import click

from lateen.cli import meshes, startup, validate
from lateen.cli.failures import BadInput, Failed
from lateen.cli.meshes import Mesh

_CONTROL_PLANE: Final = "lateen.app"
_SUPERVISOR: Final = "lateen.platforms.local.supervisor"


@click.command("up")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…", type=click.Path(exists=True))
@click.option(
    "-d",
    "--detach",
    is_flag=True,
    help="Return when all workloads are ready and the files are live; the mesh stays up.",
)
@click.option("--name", "mesh", metavar="MESH", default=meshes.DEFAULT_NAME, show_default=True, help="Its name.")
@click.option(
    "--image-map",
    "image_map",
    multiple=True,
    metavar="IMAGE=COMMAND|FILE",
    help="What to run for an image, or a file with one IMAGE=COMMAND a line; may be repeated.",
)
@click.option(
    "--host-address",
    default="127.0.0.1",
    show_default=True,
    help="The address of this machine on which gateways are published; 0.0.0.0 for all.",
)
@click.option(
    "--ca-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Your own certificate authority: ca-cert.pem, ca-key.pem, root-cert.pem, cert-chain.pem in this directory.",
)
@click.option("--timeout", default="2m", show_default=True, help="With -d: how long to wait for the workloads.")
def command(
    *,
    paths: tuple[str, ...],
    detach: bool,
    mesh: str,
    image_map: tuple[str, ...],
    host_address: str,
    ca_dir: Path | None,
    timeout: str,
) -> None:
    """Start a mesh from YAML files and folders, and follow their changes.

    In the foreground it runs until Ctrl-C or SIGTERM, and then leaves nothing behind. Objects that are not valid are
    named and left out; the mesh starts without them.
    """
    from lateen.cli.wait import parse_timeout

    seconds = parse_timeout(timeout)
    new = _free_mesh(mesh)
    images = read_image_map(image_map)
    wanted = _checked(paths)
    if ca_dir is not None:
        _check_authority(ca_dir)
    _check_machine()
    argv = _supervisor(new, _control_plane(new, paths, images, host_address, ca_dir))
    if detach:
        startup.watch(new, _start(new, argv), wanted, seconds)
    else:
        sys.stdout.flush()
        os.execv(argv[0], argv)  # noqa: S606 - we become the supervisor


def read_image_map(entries: Sequence[str]) -> tuple[str, ...]:
    """Return the entries `IMAGE=COMMAND`, those of files too (`#` begins a comment); raises `BadInput`."""
    found: list[str] = []
    for entry in entries:
        if "=" in entry:
            found.append(_checked_entry(entry, "--image-map"))
        else:
            lines = (line.strip() for line in _read(entry).splitlines())
            found += [_checked_entry(line, entry) for line in lines if line and not line.startswith("#")]
    return tuple(found)


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--image-map {file} is neither IMAGE=COMMAND nor a file ({error.strerror})") from None


def _checked_entry(entry: str, where: str) -> str:
    image, equals, words = entry.partition("=")
    try:
        if image.strip() and equals and shlex.split(words):
            return f"{image.strip()}={words.strip()}"
    except ValueError:
        pass
    raise BadInput(f"{where}: '{entry}' is no image map entry; write IMAGE=COMMAND, quoted as in a shell")


def _free_mesh(name: str) -> Mesh:
    mesh = meshes.named(name)
    if mesh.is_running:
        raise Failed(f"mesh '{name}' is already running; `lateen down --name {name}` stops it, --name starts another")
    return mesh


def _checked(paths: Sequence[str]) -> frozenset[startup.Wanted]:
    """Print all violations of the files, return the workloads that they want; raises `BadInput` if nothing is valid."""
    decoded = validate.read(paths)
    for violation in decoded.violations:
        click.echo(str(violation), err=True)
    if not decoded.objects:
        raise BadInput("there is no valid object in " + ", ".join(paths))
    if decoded.errors:
        click.echo(f"going on without what is wrong ({len(decoded.errors)} errors)", err=True)
    return startup.wanted(decoded.objects)


def _check_machine() -> None:
    from lateen.platforms.local import preflight

    if problems := preflight.problems():
        raise BadInput("this machine cannot run a mesh yet", problems)


def _check_authority(directory: Path) -> None:
    """Refuse an authority that is not whole or does not fit together, with everything that is wrong with it."""
    from datetime import UTC, datetime

    from lateen.auth.plugged_in import plugged_in
    from lateen.errors import ConfigRejected
    from lateen.platforms.local.ca_files import read_authority_files

    try:
        plugged_in(read_authority_files(directory), datetime.now(UTC))
    except ConfigRejected as rejected:
        raise BadInput(f"--ca-dir {directory}: {rejected}") from None


def _control_plane(
    mesh: Mesh, paths: Sequence[str], images: Sequence[str], host_address: str, ca_directory: Path | None
) -> list[str]:
    argv = [sys.executable, "-m", _CONTROL_PLANE, "--name", mesh.name, "--directory", str(mesh.directory)]
    argv += ["--host-address", host_address]
    if ca_directory is not None:
        argv += ["--ca-dir", str(ca_directory.absolute())]
    for image in images:
        argv += ["--image-map", image]
    return [*argv, *(str(Path(path).absolute()) for path in paths)]


def _supervisor(mesh: Mesh, control_plane: Sequence[str]) -> list[str]:
    argv = [sys.executable, "-m", _SUPERVISOR, "--name", mesh.name, "--directory", str(mesh.directory)]
    return [*argv, "--control-plane", json.dumps(control_plane), "--foreground"]


def _start(mesh: Mesh, argv: Sequence[str]) -> startup.Started:
    """Start the supervisor in a session of its own; what it says goes to a file that only we and it can see."""
    said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the supervisor keeps writing to it when we are gone
    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True, cwd=Path.cwd()
    )
    return startup.Started(process, said)
