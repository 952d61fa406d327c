"""`lateen kinds`: what files may hold."""

import click

from lateen.api.kinds import KINDS, Kind
from lateen.cli import options, output


@click.command("kinds")
@options.output_option("json")
def command(form: str | None) -> None:
    """List the kinds of objects that Lateen accepts, and how much of each has an effect in this release."""
    _print(form)


def _print(form: str | None) -> None:
    if form == "json":
        output.print_json([_json(row) for row in KINDS])
        return
    columns = ("KIND", "WORDS", "API VERSIONS", "NAMESPACED", "EFFECT")
    output.print_table(columns, [_cells(row) for row in KINDS])


def _json(row: Kind) -> dict[str, object]:
    return {
        "kind": row.kind,
        "group": row.group,
        "api_versions": row.api_versions,
        "words": row.words,
        "namespaced": row.namespaced,
        "effect": row.effect.value,
    }


def _cells(row: Kind) -> tuple[object, ...]:
    words = ",".join((row.plural, *row.short_names))
    return (row.kind, words, ",".join(row.api_versions), row.namespaced, row.effect.value)
