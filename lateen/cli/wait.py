"""`lateen wait`: the answer to "is it live?"."""

import re
from typing import Any, Final

import click

from lateen.cli import client, options, output
from lateen.cli.apply import violation_line
from lateen.cli.failures import FAILED, BadInput
from lateen.cli.references import parse

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_MARGIN_SECONDS: Final = 10.0


@click.command("wait")
@click.argument("reference", metavar="[KIND/NAME]", required=False, shell_complete=options.complete_reference)
@options.mesh_option
@options.namespace_option()
@click.option("--timeout", default="30s", show_default=True, help="How long to wait: 500ms, 30s, 2m.")
@options.output_option("json")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    reference: str | None,
    mesh: str | None,
    namespace: str | None,
    timeout: str,
    form: str | None,
) -> None:
    """Return when every proxy that KIND/NAME concerns has acknowledged it, and its own workloads are ready.

    Without KIND/NAME, return when every proxy works by all that has been accepted so far.

    Exit code 0: it is live. Exit code 1: not (yet); the proxies that have not acknowledged it are named. An object of
    which the last version was refused is not live either.
    """
    seconds = parse_timeout(timeout)
    query = _query(reference, namespace or options.DEFAULT_NAMESPACE)
    answer = client.connect(mesh).get(
        "v1",
        "wait",
        **query,
        timeout=seconds,
        timeout_seconds=seconds + _MARGIN_SECONDS,
    )
    _print(reference or "the configuration", answer, form)
    if not answer["is_live"]:
        ctx.exit(FAILED)


def _query(reference: str | None, namespace: str) -> dict[str, str]:
    if reference is None:
        return {}
    kind, name = parse(reference)
    return {"kind": kind, "name": name, "namespace": namespace}


def parse_timeout(text: str) -> float:
    """Read a duration such as `30s`; raises `BadInput`."""
    return parse_duration(text, "--timeout")


def parse_duration(text: str, option: str) -> float:
    """Read a duration that an option gives, in seconds; raises `BadInput`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", text)
    if match is None:
        raise BadInput(f"{option} {text} is no duration; write one like 500ms, 30s or 2m")
    return float(match[1]) * _UNITS[match[2] or ""]


def _print(reference: str, answer: dict[str, Any], form: str | None) -> None:
    if form == "json":
        output.print_json(answer)
        return
    if answer["is_live"]:
        click.echo(f"{reference} is live: {answer['acknowledged']} proxies have acknowledged it")
        return
    for violation in answer["violations"]:
        click.echo(f"the last version was refused: {violation_line(violation)}", err=True)
    for proxy in answer["unsettled"]:
        click.echo(": ".join(filter(None, (proxy["proxy"], proxy["state"], proxy["message"]))), err=True)
    for row in answer["unready"]:
        click.echo(": ".join(filter(None, (row["workload"], row["status"], row["reason"]))), err=True)
    if answer["missing_workloads"]:
        click.echo(f"{answer['missing_workloads']} workloads have not been started yet", err=True)
    click.echo(f"{reference} is not live", err=True)
