"""`lateen exec`: runs a command where a workload runs, from the user's own terminal."""

import os
from pathlib import Path

import click

from lateen.cli import client, options
from lateen.cli.failures import Failed
from lateen.cli.logs import choose_container, find_workload


@click.command("exec")
@options.mesh_option
@options.namespace_option()
@click.option("-c", "--container", help="Take the environment of this container's process; app, proxy or a name.")
@click.option("-i", "-t", "-it", "ignored", is_flag=True, hidden=True)
@options.workload_argument()
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD…")
def command(
    *,
    mesh: str | None,
    namespace: str | None,
    container: str | None,
    ignored: bool,
    workload: str,
    words: tuple[str, ...],
) -> None:
    """Run a command inside the network of WORKLOAD: its address, its sidecar, its DNS. Files are the machine's own.

    \b
    lateen exec deploy/sleep -- curl -s reviews:9080/reviews/0

    The command runs on this terminal; its exit code becomes ours.
    """
    api = client.connect(mesh)
    row = find_workload(api, workload, namespace)
    if row["holder_pid"] is None:
        raise Failed(f"{row['name']}.{row['namespace']} has no network yet ({row['status']}); try again")
    _become(row["holder_pid"], words, _environment(row, container))


def _become(holder_pid: int, words: tuple[str, ...], environment: dict[str, str]) -> None:
    """Replace this process by the command, in the namespaces of the holder."""
    from lateen.platforms.local import namespaces

    argv = namespaces.enter_argv(holder_pid, words, rootless=os.geteuid() != 0)
    try:
        os.execvpe(argv[0], argv, environment)  # noqa: S606 - the terminal goes to the command itself
    except OSError as error:
        raise Failed(f"cannot run {argv[0]}: {error.strerror}; it belongs to the package util-linux") from None


def _environment(row: dict[str, object], container: str | None) -> dict[str, str]:
    if container is None:
        return dict(os.environ)
    pid = choose_container(row, container)["pid"]
    if pid is None:
        raise Failed(f"{container} of {row['name']} does not run; leave out -c")
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError as error:
        raise Failed(f"the environment of {container} cannot be read: {error.strerror}") from None
    return dict(os.fsdecode(entry).split("=", 1) for entry in entries if b"=" in entry)
