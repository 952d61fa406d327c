"""`lateen apply`: sends files to the mesh and says what became of each object."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from lateen.cli import client, files, options, output
from lateen.cli.failures import USAGE


@click.command("apply")
@options.files_option(required=True)
@options.mesh_option
@options.namespace_option("For objects that name none; 'default' where none is given.")
@options.output_option("json")
@click.pass_context
def command(
    ctx: click.Context, *, filenames: tuple[str, ...], mesh: str | None, namespace: str | None, form: str | None
) -> None:
    """Create or change the objects in files. Invalid objects are refused, the others go on.

    What is applied outlives a restart of the control plane, and wins over the mesh's own files until they say something
    else about the object. Exit code 2 when anything was refused.
    """
    answer = client.connect(mesh).post("v1", "apply", body=request_body(filenames, namespace))
    if form == "json":
        output.print_json(answer)
    else:
        print_outcomes(answer["outcomes"])
        print_consequences(answer["consequences"])
    if any(outcome["action"] == "refused" for outcome in answer["outcomes"]):
        ctx.exit(USAGE)


def request_body(paths: Iterable[str], namespace: str | None) -> dict[str, object]:
    """Return the body of a request that sends files: absolute names, so that the mesh finds what lies beside them."""
    texts = files.read(paths)
    documents = [
        {"file": text.file if text.file == files.STANDARD_INPUT else str(Path(text.file).absolute()), "text": text.text}
        for text in texts
    ]
    return {"documents": documents, "namespace": namespace or options.DEFAULT_NAMESPACE}


def print_outcomes(outcomes: Iterable[Mapping[str, Any]]) -> None:
    """Print one line an object to standard output, and what is wrong with it or should be known to standard error."""
    for outcome in outcomes:
        click.echo(f"{outcome['subject'] or 'document'} {outcome['action']}")
        for violation in outcome["violations"]:
            if violation["severity"] != "info":
                click.echo(f"  {violation_line(violation)}", err=True)
        if outcome["note"]:
            click.echo(f"  note: {outcome['note']}", err=True)


def print_consequences(found: Iterable[Mapping[str, Any]]) -> None:
    """Print what is doubtful about other objects since a change."""
    for violation in found:
        if violation["severity"] != "info":
            click.echo(f"{violation['subject']} is concerned", err=True)
            click.echo(f"  {violation_line(violation)}", err=True)


def violation_line(violation: Mapping[str, Any]) -> str:
    """Write a violation as `file:line: field: message [code]`, the file as seen from here."""
    place = f"{shown_path(violation['file'])}:{violation['line']}" if violation["file"] else ""
    severity = violation["severity"] if violation["severity"] != "error" else ""
    code = f" [{violation['code']}]" if violation["code"] else ""
    return ": ".join(part for part in (place, severity, violation["path"], violation["message"]) if part) + code


def shown_path(path: str) -> str:
    """Return a path as seen from the working directory where that is shorter."""
    return min(os.path.relpath(path), path, key=len) if Path(path).is_absolute() else path
