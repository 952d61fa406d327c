"""`lateen down`: ends a mesh and makes sure that nothing of it is left."""

import asyncio
from typing import Final

import click

from lateen.cli import meshes, options
from lateen.cli.failures import Failed
from lateen.cli.meshes import Mesh
from lateen.platforms.local import leftovers, lock
from lateen.platforms.local.client import SupervisorClient
from lateen.platforms.local.protocol import Refused

_LONGEST_SECONDS: Final = 60.0
_LOOK_AGAIN_SECONDS: Final = 0.1


@click.command("down")
@options.mesh_option
@click.option(
    "--grace", type=click.FloatRange(min=0), default=5.0, show_default=True, help="Seconds that each process has."
)
def command(mesh: str | None, grace: float) -> None:
    """Stop a mesh: endpoints leave all proxies, applications end, then proxies, then namespaces, links and rules go.

    Without a supervisor it removes what a killed one left behind. Succeeds when nothing runs.
    """
    for each in _meant(mesh):
        _stop(each, grace) if each.is_running else _clean(each)


def _meant(name: str | None) -> tuple[Mesh, ...]:
    """Choose the named mesh, or the only running one with everything that killed supervisors left."""
    known = meshes.known()
    if name is not None:
        known = tuple(mesh for mesh in known if mesh == meshes.named(name))
    if not known:
        click.echo("no mesh is running" if name is None else f"mesh '{name}' is not running")
    running = [mesh for mesh in known if mesh.is_running]
    if len(running) > 1:
        meshes.choose(None)
    return known


def _stop(mesh: Mesh, grace: float) -> None:
    click.echo(f"stopping mesh '{mesh.name}'")
    try:
        asyncio.run(_shut_down(mesh, grace))
    except Refused as refused:
        raise Failed(f"mesh '{mesh.name}' does not stop: {refused}") from None
    except TimeoutError:
        raise Failed(
            f"mesh '{mesh.name}' has not stopped after {_LONGEST_SECONDS + grace:g} s; see {mesh.supervisor_log}, "
            f"or end its supervisor with `kill -9 {mesh.supervisor_pid}` and call `lateen down` again"
        ) from None
    click.echo(f"mesh '{mesh.name}' has stopped")


async def _shut_down(mesh: Mesh, grace: float) -> None:
    supervisor = SupervisorClient(mesh.supervisor_socket)
    try:
        async with asyncio.timeout(_LONGEST_SECONDS + grace):
            telling = asyncio.create_task(_tell(supervisor))
            await supervisor.shutdown(grace)
            while mesh.is_running:  # noqa: ASYNC110 - a lock file tells nobody when it is let go
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            telling.cancel()
    finally:
        await supervisor.close()


async def _tell(supervisor: SupervisorClient) -> None:
    async for event in supervisor.events():
        if event.name == "progress" and event.text:
            click.echo(f"  {event.text}")


def _clean(mesh: Mesh) -> None:
    descriptor = lock.acquire(mesh.directory)
    if descriptor is None:
        raise Failed(f"mesh '{mesh.name}' is starting just now; call `lateen down` again")
    was_left = leftovers.is_left_behind(mesh.directory)
    problems = leftovers.clean(mesh.name, mesh.directory)
    if problems:
        raise Failed(f"not all of mesh '{mesh.name}' could be removed", problems)
    leftovers.remove_directory(mesh.directory)
    click.echo(f"removed what mesh '{mesh.name}' left behind" if was_left else f"mesh '{mesh.name}' is not running")
