"""The process that owns a local mesh: its namespaces, processes, published ports and name relay.

    python -m lateen.platforms.local.supervisor --name NAME --directory DIR --control-plane JSON-ARGV [--foreground]

It decides nothing about the mesh: the control plane, which it starts and restarts, asks for things on `supervisor.sock`
(`protocol.py`). It is small (standard library only) and outlives the control plane; when it ends, nothing is left.
Exit status: 0 after an orderly end, 1 if something could not be made or removed, 2 if this machine or the arguments
do not allow a mesh, 3 if another supervisor of the mesh lives.
"""

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from lateen.platforms.local import directories, leftovers, lock, preflight, resolver
from lateen.platforms.local.mesh import ENDING_SIGNALS, CannotStart, Mesh, Settings

EXIT_FAILED, EXIT_ANOTHER_LIVES = 1, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the supervisor of one mesh; the exit status."""
    settings = parse(arguments)
    problems = preflight.problems()
    envoy = preflight.envoy_binary()
    if problems or envoy is None:
        print("\n".join(problems), file=sys.stderr)
        return preflight.EXIT_CODE
    try:
        directories.prepare(settings.directory)
    except directories.UnusableDirectory as error:
        print(error, file=sys.stderr)
        return preflight.EXIT_CODE
    # From here on there is something to tidy up: signals wait until the mesh heeds them.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    if lock.acquire(settings.directory) is None:
        pid = lock.holder(settings.directory)
        print(f"mesh {settings.name} is up already (supervisor {pid}): `lateen down` ends it", file=sys.stderr)
        return EXIT_ANOTHER_LIVES
    return _supervise(settings, envoy)


def parse(arguments: Sequence[str] | None) -> Settings:
    """The settings that the command line gives; exits with status 2 where it is wrong."""
    parser = argparse.ArgumentParser(prog="lateen-supervisor", description="Owns one local mesh.")
    parser.add_argument("--name", required=True, help="the mesh")
    parser.add_argument("--directory", required=True, type=Path, help="its run directory, absolute")
    parser.add_argument("--control-plane", required=True, type=json.loads, metavar="JSON", help="its command line")
    parser.add_argument("--foreground", action="store_true", help="show on the terminal what goes on")
    parser.add_argument("--grace", type=float, default=5.0, metavar="SECONDS", help="time to end, for each process")
    parser.add_argument(
        "--resolver", action="append", default=[], metavar="ADDRESS[:PORT]", help="instead of /etc/resolv.conf"
    )
    given = parser.parse_args(arguments)
    return Settings(
        name=given.name,
        directory=given.directory,
        control_plane=tuple(given.control_plane),
        foreground=given.foreground,
        grace_seconds=given.grace,
        resolvers=tuple(_resolver(text) for text in given.resolver),
    )


def _resolver(text: str) -> resolver.Resolver:
    address, _, port = text.partition(":")
    return address, int(port or 53)


def _supervise(settings: Settings, envoy: Path) -> int:
    if leftovers.is_left_behind(settings.directory):
        for problem in leftovers.clean(settings.name, settings.directory):
            print(problem, file=sys.stderr)
    logging.basicConfig(
        filename=settings.directory / "supervisor.log", format="%(asctime)s %(message)s", level=logging.INFO
    )
    try:
        return asyncio.run(Mesh(settings, envoy).run())
    except (CannotStart, OSError) as error:
        print(error, file=sys.stderr)
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
