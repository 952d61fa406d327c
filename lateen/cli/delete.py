"""`lateen delete`: removes objects by name, or those that files name."""

from typing import Any

import click

from lateen.cli import client, options
from lateen.cli.apply import print_consequences, print_outcomes, request_body
from lateen.cli.failures import FAILED, USAGE, BadInput
from lateen.cli.references import parse_words


@click.command("delete")
@click.argument("words", nargs=-1, metavar="[KIND NAME… | KIND/NAME…]", shell_complete=options.complete_words)
@options.files_option()
@options.mesh_option
@options.namespace_option()
@click.option("--ignore-not-found", is_flag=True, help="Succeed also when an object is not there.")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    words: tuple[str, ...],
    filenames: tuple[str, ...],
    mesh: str | None,
    namespace: str | None,
    ignore_not_found: bool,
) -> None:
    """Remove objects.

    One that a file of the mesh still holds stays away until that file says something else about it.
    """
    if bool(words) == bool(filenames):
        raise BadInput("name objects or files (-f), not both: KIND NAME, KIND/NAME, or -f FILE")
    references = parse_words(words) if words else ()
    api = client.connect(mesh)
    if filenames:
        body = request_body(filenames, namespace)
    else:
        home = namespace or options.DEFAULT_NAMESPACE
        body = {"objects": [{**reference._asdict(), "namespace": home} for reference in references]}
    answer = api.post("v1", "delete", body=body)
    print_outcomes(answer["outcomes"])
    print_consequences(answer["consequences"])
    ctx.exit(_exit_code(answer["outcomes"], ignore_not_found))


def _exit_code(outcomes: list[dict[str, Any]], ignore_not_found: bool) -> int:
    actions = {outcome["action"] for outcome in outcomes}
    if "refused" in actions:
        return USAGE
    return FAILED if "not found" in actions and not ignore_not_found else 0
