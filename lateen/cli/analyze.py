"""`lateen analyze`: what is wrong or doubtful in files, or in the running mesh, with Istio's codes."""

import gc
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import click

from lateen.cli import client, options, output
from lateen.cli.apply import shown_path
from lateen.cli.failures import FAILED, BadInput

if TYPE_CHECKING:
    from lateen.api.mesh.mesh_config import MeshConfig
    from lateen.plan.analysis.findings import Finding

_LEVELS: Final = ("Error", "Warning", "Info")
_COLOURS: Final = {"Error": "red", "Warning": "yellow", "Info": "cyan"}


@click.command("analyze")
@options.files_option()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, allow_dash=True))
@options.mesh_option
@options.namespace_option("For objects that name none; 'default' where none is given.")
@click.option("--mesh-config", "mesh_config", metavar="FILE", type=click.Path(exists=True), help="MeshConfig to go by.")
@click.option(
    "--failure-threshold",
    "threshold",
    type=click.Choice(_LEVELS, case_sensitive=False),
    default="Error",
    show_default=True,
    help="Exit with 1 when there is a finding of this level or above.",
)
@click.option(
    "-S", "--suppress", "suppressed", multiple=True, metavar="CODE", help="Leave out CODE, or CODE=Kind name.namespace."
)
@click.option("-R", "--recursive", "deeply", is_flag=True, help="Read the folders inside folders too.")
@click.option("-L", "--list-codes", "lists", is_flag=True, help="List the codes instead.")
@options.output_option("json")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    filenames: tuple[str, ...],
    paths: tuple[str, ...],
    mesh: str | None,
    namespace: str | None,
    mesh_config: str | None,
    threshold: str,
    suppressed: tuple[str, ...],
    deeply: bool,
    lists: bool,
    form: str | None,
) -> None:
    """Tell what is wrong or doubtful: in files and folders, or in the running mesh where none are given.

    The codes are Istio's (IST…) and Lateen's own (LAT…). The annotation galley.istio.io/analyze-suppress leaves codes
    out for one object. Exit code 1 when anything reaches the failure threshold.
    """
    if lists:
        _list_codes(form)
        return
    from lateen.plan.analysis import findings
    from lateen.plan.analysis.findings import Level

    files = (*filenames, *paths)
    if mesh_config is not None and not files:
        raise BadInput("--mesh-config is for files: the running mesh has its own")
    found = _of_files(files, namespace, mesh_config, deeply) if files else _of_mesh(mesh)
    told = findings.in_order(findings.without(found, suppressed))
    _print(told, form)
    if any(one.reaches(Level(threshold)) for one in told):
        ctx.exit(FAILED)


def finding_json(found: "Finding") -> dict[str, Any]:
    """Return a finding as JSON values."""
    return {
        "code": found.code,
        "level": found.level.value,
        "message": f"{found.path}: {found.message}" if found.path else found.message,
        "resource": {"kind": found.kind, "namespace": found.namespace, "name": found.name},
        "source": found.source,
    }


def line(found: "Finding") -> str:
    """Write a finding as `Error [IST0101] (VirtualService default/reviews file:line) field: message`."""
    file, colon, number = found.source.rpartition(":")
    place = f"{shown_path(file)}{colon}{number}" if file else ""
    level = click.style(found.level.value, fg=_COLOURS[found.level]) if output.has_colour() else found.level.value
    where = " ".join(filter(None, (found.subject, place)))
    return f"{level} [{found.code}] ({where}) " + ": ".join(filter(None, (found.path, found.message)))


def _print(found: Iterable["Finding"], form: str | None) -> None:
    told = list(found)
    if form == "json":
        output.print_json([finding_json(one) for one in told])
        return
    for one in told:
        click.echo(line(one))
    if not told:
        click.echo("nothing is wrong or doubtful")


def _of_files(paths: Iterable[str], namespace: str | None, mesh_config: str | None, deeply: bool) -> "list[Finding]":
    from lateen.api.config_set import ConfigSet
    from lateen.cli import validate
    from lateen.plan.analysis import analyze, reports
    from lateen.platforms.local import described

    gc.disable()  # the process ends soon, and what it reads stays until then
    decoded = validate.read(paths, namespace or options.DEFAULT_NAMESPACE, deeply=deeply)
    config = ConfigSet(decoded.objects)
    snapshot = described.snapshot(config, _mesh_settings(mesh_config))
    doubts = analyze.together(analyze.doubts_of_proxies(snapshot), analyze.analyze(snapshot))
    return [*reports.of_violations(decoded.violations), *reports.of_diagnostics(doubts, config)]


def _mesh_settings(path: str | None) -> "MeshConfig | None":
    """Read the settings of a mesh: the fields alone, a document of kind MeshConfig, or Istio's ConfigMap."""
    if path is None:
        return None
    from lateen.api.config_set import ConfigSet
    from lateen.api.mesh import settings
    from lateen.api.mesh.mesh_config import MeshConfig
    from lateen.cli import files, validate

    text = "\n---\n".join(each.text for each in files.read((path,)))
    if "kind:" in text:
        decoded = validate.read((path,))
        if decoded.errors:
            raise BadInput(f"{path} is not valid", [str(each) for each in decoded.errors])
        return settings.mesh_config(ConfigSet(decoded.objects))
    found = settings.read_mesh_config(text)
    if isinstance(found, MeshConfig):
        return found
    raise BadInput(f"{path} is no MeshConfig", [f"{fault.path}: {fault.message}".lstrip(": ") for fault in found])


def _of_mesh(mesh: str | None) -> "list[Finding]":
    from lateen.plan.analysis.findings import Finding, Level

    told = client.connect(mesh).get("v1", "analysis")["findings"]
    return [Finding(**{**one, "level": Level(one["level"])}) for one in told]


def _list_codes(form: str | None) -> None:
    from lateen.plan.analysis.codes import CODES

    if form == "json":
        output.print_json([{"code": row.code, "level": row.level.value, "title": row.title} for row in CODES])
        return
    output.print_table(("CODE", "LEVEL", "AN OBJECT …"), ((row.code, row.level.value, row.title) for row in CODES))
