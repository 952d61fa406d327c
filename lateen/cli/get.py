"""`lateen get`: the objects that count, as a table, by name, or as they were written."""

from collections.abc import Sequence
from typing import Any

import click

from lateen.cli import client, options, output
from lateen.cli.apply import shown_path, violation_line
from lateen.cli.references import parse


@click.command("get")
@click.argument("kind", shell_complete=options.complete_words)
@click.argument("name", required=False, shell_complete=options.complete_object)
@options.mesh_option
@options.namespace_option()
@click.option("-A", "--all-namespaces", is_flag=True, help="Objects of all namespaces.")
@options.output_option("yaml", "json", "wide", "name")
def command(
    *,
    kind: str,
    name: str | None,
    mesh: str | None,
    namespace: str | None,
    all_namespaces: bool,
    form: str | None,
) -> None:
    """List the objects of KIND, or print the one called NAME. KIND is a word such as vs or virtualservices, or all.

    STATE is accepted, or rejected when a later version of the object was refused and the last good one stays. A
    WorkloadEntry that was made for a member of a WorkloadGroup is registered, unhealthy or disconnected.
    """
    if "/" in kind and name is None:
        kind, name = parse(kind)
    home = None if all_namespaces else namespace or options.DEFAULT_NAMESPACE
    objects = client.connect(mesh).get("v1", "objects", kind=kind, name=name, namespace=home)["objects"]
    _print(objects, form, with_namespace=all_namespaces, alone=name is not None and len(objects) == 1)


def _print(objects: Sequence[dict[str, Any]], form: str | None, *, with_namespace: bool, alone: bool) -> None:
    if form == "yaml":
        click.echo("---\n".join(item["yaml"] for item in objects), nl=False)
    elif form == "json":
        bodies = [item["body"] for item in objects]
        output.print_json(bodies[0] if alone else {"apiVersion": "v1", "kind": "List", "items": bodies})
    elif form == "name":
        for item in objects:
            click.echo(f"{item['kind'].lower()}/{item['name']}")
    else:
        _print_table(objects, with_namespace=with_namespace, wide=form == "wide")


def _print_table(objects: Sequence[dict[str, Any]], *, with_namespace: bool, wide: bool) -> None:
    if not objects:
        click.echo("no such objects here; -A looks in all namespaces", err=True)
        return
    columns = (*(("NAMESPACE",) if with_namespace else ()), "KIND", "NAME", "STATE", "SOURCE", "GENERATION")
    rows = [_cells(item, with_namespace) for item in objects]
    if wide:
        columns += ("API VERSION", "LABELS")
        rows = [(*row, item["api_version"], _labels(item)) for row, item in zip(rows, objects, strict=True)]
    output.print_table(columns, rows)
    for violation in (violation for item in objects for violation in item["violations"]):
        click.echo(violation_line(violation), err=True)


def _cells(item: dict[str, Any], with_namespace: bool) -> tuple[object, ...]:
    where = f"{shown_path(item['file'])}:{item['line']}" if item["file"] else ""
    source = f"applied {where}".rstrip() if item["is_applied"] else where or item["made_by"]
    cells = (item["kind"], item["name"], item["state"], source, item["generation"])
    return (item["namespace"], *cells) if with_namespace else cells


def _labels(item: dict[str, Any]) -> str:
    labels = item["body"].get("metadata", {}).get("labels") or {}
    return ",".join(f"{name}={value}" for name, value in labels.items())
