"""`lateen mixer`: Mixer's rules, and where each of their actions ended up."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import click

from lateen.cli import client, options, output
from lateen.cli.apply import shown_path
from lateen.cli.failures import EXIT_CODES, BadInput

Told = Mapping[str, Any]


@click.group("mixer", no_args_is_help=True, epilog=EXIT_CODES)
def command() -> None:
    """See Mixer's rules: what proxies do of them themselves, and what Mixer is asked about."""


@command.command("explain")
@click.argument("rule")
@options.files_option()
@options.mesh_option
@options.namespace_option()
@options.output_option("json")
def explain(
    *, rule: str, filenames: tuple[str, ...], mesh: str | None, namespace: str | None, form: str | None
) -> None:
    """Tell where each action of RULE is carried out: at which workloads, by what, or why Mixer is asked.

    RULE may be written as NAMESPACE/NAME. With -f the files are asked, without a mesh.
    """
    written, slash, name = rule.rpartition("/")
    place = written if slash else namespace or options.DEFAULT_NAMESPACE
    told = _of_files(filenames, place, name) if filenames else _asked(mesh, "rules", place, name)
    if form == "json":
        output.print_json(told)
    else:
        _print(told)


@command.command("list")
@options.files_option()
@options.mesh_option
@options.output_option("json")
def listing(*, filenames: tuple[str, ...], mesh: str | None, form: str | None) -> None:
    """List all rules, and in how many ways their actions are carried out."""
    told = _all_of_files(filenames) if filenames else _asked(mesh, "rules")["rules"]
    if form == "json":
        output.print_json(told)
    else:
        output.print_table(("RULE", "NAMESPACE", "ACTIONS", "FROM"), map(_row, told))


def _asked(mesh: str | None, *path: str) -> Any:
    return client.connect(mesh).get("v1", "mixer", *path)


def _of_files(filenames: Iterable[str], namespace: str, name: str) -> Told:
    from lateen.cli import world
    from lateen.errors import ProtocolError
    from lateen.mixer import explain as explaining

    try:
        return asdict(explaining.rule(world.plans_of(filenames, options.DEFAULT_NAMESPACE), namespace, name))
    except ProtocolError as error:
        raise BadInput(str(error)) from None


def _all_of_files(filenames: Iterable[str]) -> list[Told]:
    from lateen.cli import world
    from lateen.mixer import explain as explaining

    return [asdict(one) for one in explaining.rules(world.plans_of(filenames, options.DEFAULT_NAMESPACE))]


def _row(told: Told) -> tuple[str, ...]:
    ways = "; ".join(dict.fromkeys(one["where"] for one in _effective(told)))
    done = "refused" if told["faults"] else ways or "never matches"
    return told["name"], told["namespace"], done, _here(told["place"])


def _effective(told: Told) -> Iterator[Told]:
    return (one for one in told["actions"] if one["where"] not in ("never matches here", "nothing to do"))


def _here(place: str) -> str:
    """Write `file:line` with the file as seen from the working directory."""
    file, colon, line = place.rpartition(":")
    return f"{shown_path(file)}{colon}{line}" if file else place


def _print(told: Told) -> None:
    scope = "the whole mesh" if told["mesh_wide"] else f"the namespace {told['namespace']}"
    click.echo(f"rule {told['namespace']}/{told['name']}  {_here(told['place'])}")
    click.echo(f"for {scope}, {'when ' + told['match'] if told['match'] else 'always'}")
    for fault in told["faults"]:
        click.echo(f"takes no part: {fault}")
    field = None
    for action in told["actions"]:
        if action["field"] != field:
            field = action["field"]
            click.echo(f"\n{field}  {action['what']}  {_here(action['place'])}")
        why = f": {action['why']}" if action["why"] else ""
        click.echo(f"  {_calls(action['calls'])} {', '.join(action['workloads'])}")
        click.echo(f"    {action['where']}{why}")


def _calls(direction: str) -> str:
    way, _, port = direction.partition(" :")
    return ("to" if way == "in" else "by") + (f" port {port} of" if port else "")
