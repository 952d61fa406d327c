"""`lateen authz`: may this one call that one, and which line of which file says so."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from lateen.cli import client, logs, options, output
from lateen.cli.apply import shown_path
from lateen.cli.failures import EXIT_CODES, FAILED, BadInput, Failed

_DENIED: Final = "rbac_access_denied"
_DETAILS: Final = re.compile(r"rbac_access_denied_matched_policy\[[^\s\"]*\]")
_REQUEST: Final = re.compile(r'"(?P<request>[A-Z]+ [^"]*)"')
Told = Mapping[str, Any]


@click.group("authz", no_args_is_help=True, epilog=EXIT_CODES)
def command() -> None:
    """See who may call whom, and why."""


@command.command("check")
@click.argument("caller", metavar="FROM", shell_complete=options.complete_workload)
@click.argument("callee", metavar="TO", shell_complete=options.complete_workload)
@options.files_option()
@options.mesh_option
@options.namespace_option()
@click.option("--method", default="GET", show_default=True)
@click.option("--path", default="/", show_default=True)
@click.option("--host", help="What the request is for; the name of TO's Service where nothing is said.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="May be repeated.")
@click.option("--port", type=click.IntRange(1, 65535), help="A port of TO or of its Service; the first if not said.")
@click.option("--jwt-claims", metavar="JSON", help="The claims of the request's token, which is signed well.")
@click.option("--source-ip", metavar="ADDRESS", help="The address that FROM calls from.")
@options.output_option("json")
@click.pass_context
def check(
    ctx: click.Context,
    *,
    caller: str,
    callee: str,
    filenames: tuple[str, ...],
    mesh: str | None,
    namespace: str | None,
    method: str,
    path: str,
    host: str | None,
    headers: tuple[str, ...],
    port: int | None,
    jwt_claims: str | None,
    source_ip: str | None,
    form: str | None,
) -> None:
    """Tell whether FROM may call TO, and which rule decides.

    FROM is a workload, a service account as namespace/name, or outside for whoever is not in the mesh. TO is a workload
    or a Service. With -f the files are asked, without a mesh: identities are those of the pods' service accounts.

    Exit code 0 when the call is allowed, 1 when it is not.
    """
    question = {
        "caller": caller,
        "callee": callee,
        "namespace": namespace or options.DEFAULT_NAMESPACE,
        "port": port,
        "method": method,
        "path": path,
        "host": host,
        "headers": _headers(headers),
        "claims": options.claims(jwt_claims),
        "source_ip": source_ip,
    }
    told = _asked_files(filenames, question) if filenames else _asked_mesh(mesh, question)
    if form == "json":
        output.print_json(told)
    else:
        _print(told)
    if not told["allowed"]:
        ctx.exit(FAILED)


@command.command("explain")
@click.argument("details")
@options.files_option()
@options.mesh_option
@options.output_option("json")
def explain(*, details: str, filenames: tuple[str, ...], mesh: str | None, form: str | None) -> None:
    """Tell where the rule stands that a proxy's log names in DETAILS, rbac_access_denied_matched_policy[…]."""
    found = _explained_by_files(filenames, details) if filenames else _explained_by_mesh(mesh, {"details": details})
    if form == "json":
        output.print_json(found)
    else:
        _print_explained(found, details)


@command.command("why")
@options.workload_argument()
@click.argument("request_id", required=False)
@options.mesh_option
@options.namespace_option()
@options.output_option("json")
def why(*, workload: str, request_id: str | None, mesh: str | None, namespace: str | None, form: str | None) -> None:
    """Tell why WORKLOAD's proxy refused a request: the one with REQUEST_ID, else the last that it refused."""
    row = logs.find_workload(client.connect(mesh), workload, namespace)
    line = _last_denial(Path(logs.choose_container(row, "proxy")["log"]), request_id)
    denied = _DETAILS.search(line)
    details = denied.group() if denied else line
    asked = {"details": details, "workload": row["name"], "namespace": row["namespace"]}
    found = {**_explained_by_mesh(mesh, asked), "log": line}
    if form == "json":
        output.print_json(found)
        return
    click.echo(f"denied: {_request_in(line)}")
    _print_explained(found, details)


def _asked_mesh(mesh: str | None, question: Told) -> Told:
    told: Told = client.connect(mesh).post("v1", "authz", "check", body=question)
    return told


def _asked_files(filenames: Iterable[str], question: Told) -> Told:
    from lateen.plan import access_check
    from lateen.platforms.local import described
    from lateen.serving import authz_routes

    asked = authz_routes.question_of(question)
    return asdict(access_check.check(described.snapshot(_config(filenames, asked.namespace)), asked))


def _explained_by_mesh(mesh: str | None, asked: Told) -> Told:
    told: Told = client.connect(mesh).post("v1", "authz", "explain", body=asked)
    return told


def _explained_by_files(filenames: Iterable[str], details: str) -> Told:
    from lateen.plan import access_check
    from lateen.platforms.local import described

    place = access_check.explain(described.snapshot(_config(filenames, options.DEFAULT_NAMESPACE)), details)
    return {"rule": asdict(place) if place is not None else None, "policies": []}


def _config(filenames: Iterable[str], namespace: str) -> Any:
    """Read the objects of files; raises `BadInput` where one of them would be refused."""
    from lateen.api.config_set import ConfigSet
    from lateen.cli import validate

    decoded = validate.read(filenames, namespace)
    if decoded.errors:
        raise BadInput("the files are not valid", [str(each) for each in decoded.errors])
    return ConfigSet(decoded.objects)


def _headers(written: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in written:
        name, colon, value = each.partition(":")
        if not colon or not name.strip():
            raise BadInput(f"--header is '{each}'; write NAME:VALUE, such as end-user:jason")
        found.setdefault(name.strip().lower(), []).append(value.strip())
    return found


def _print(told: Told) -> None:
    click.echo(f"{told['outcome']}: {_decided_by(told)}")
    click.echo(f"  caller  {told['caller']}, {_proved(told)}")
    click.echo(f"  callee  {told['callee']} port {told['port']} ({told['protocol']})")
    click.echo(f"  mTLS    {_mode(told)}")
    for place in told["policies"]:
        if all(step["place"]["object"] != place["object"] for step in told["steps"]):
            click.echo(f"  ALLOW   {_place(place)}: has no rule that could match")
    for step in told["steps"]:
        outcome = f"no: {step['failed']}" if step["failed"] else "matches"
        click.echo(f"  {step['action']:7} {_place(step['place'])}: {outcome}")
    if told["audited"]:
        click.echo(f"  audit   {_place(told['audited'])} records it")
    if told["tried"]:
        click.echo(f"  dry run {told['tried']}, if the policies in dry-run counted")
    for note in told["notes"]:
        click.echo(f"  note    {note}")


def _decided_by(told: Told) -> str:
    answer = f" ({told['status']})" if told["status"] else ""
    return f"{_place(told['rule'])}{answer}" if told["rule"] else f"{told['reason']}{answer}"


def _proved(told: Told) -> str:
    if told["identity"]:
        return f"as {told['identity']}"
    return "with no identity: it does not speak the mesh's mutual TLS here"


def _mode(told: Told) -> str:
    if not told["mode"]:
        return "none: the callee has no proxy"
    source = f"by {_place(told['mode_from'])}" if told["mode_from"] else "by default"
    return f"{told['mode']} {source}; {'used' if told['mutual_tls'] else 'not used'} between these two"


def _place(place: Told) -> str:
    file, colon, line = place["at"].rpartition(":")
    at = f" at {shown_path(file)}{colon}{line}" if file else ""
    return f"{place['object']} {place['path']}".rstrip() + at


def _print_explained(found: Told, details: str) -> None:
    if found["rule"]:
        click.echo(f"the rule is {_place(found['rule'])}")
    elif "[none]" in details or found["policies"]:
        click.echo("no rule of an ALLOW policy matched, and where one applies a call has to match")
        for place in found["policies"]:
            click.echo(f"  {_place(place)}")
    else:
        raise BadInput(f"'{details}' names no rule: rules are named like ns[default]-policy[name]-rule[0]")


def _request_in(line: str) -> str:
    """Return what a line of a log says of a request, be it an audit record or of the access log."""
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if isinstance(record, dict) and record.get("method"):
        caller = record.get("source_principal")
        return f"{record['method']} {record.get('path')}" + (f" by {caller}" if caller else "")
    found = _REQUEST.search(line)
    return found["request"] if found else line


def _last_denial(log: Path, request_id: str | None) -> str:
    """Find the newest line of a proxy's log that tells of a request refused by rules; raises `Failed`."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError as error:
        raise Failed(f"cannot read {log}: {error.strerror}") from None
    for line in reversed(lines):
        if _DENIED in line and (request_id is None or request_id in line):
            return line
    which = f"no request {request_id}" if request_id else "no request"
    raise Failed(f"by its log, this proxy has refused {which} because of a policy")
