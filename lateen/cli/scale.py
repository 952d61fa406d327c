"""`lateen scale`: how many instances run."""

import click

from lateen.cli import client, options
from lateen.cli.apply import print_outcomes


@click.command("scale")
@click.argument("name", shell_complete=options.complete_workload)
@click.option("--replicas", type=click.IntRange(min=0, max=10_000), required=True, help="How many instances shall run.")
@options.mesh_option
@options.namespace_option()
def command(name: str, replicas: int, mesh: str | None, namespace: str | None) -> None:
    """Set how many instances of NAME run: a Deployment or StatefulSet, also as deploy/NAME or sts/NAME.

    An instance that goes is drained first: out of every proxy, then SIGTERM, then a grace period.
    """
    kind, _, bare = name.rpartition("/")
    body = {
        "kind": kind or None,
        "name": bare,
        "namespace": namespace or options.DEFAULT_NAMESPACE,
        "replicas": replicas,
    }
    print_outcomes(client.connect(mesh).post("v1", "scale", body=body)["outcomes"])
