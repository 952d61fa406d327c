"""`lateen validate`: checks files with the same code as a mesh, without one."""

from collections.abc import Iterable
from dataclasses import replace

import click

from lateen.api import decode
from lateen.api.config_set import ConfigSet
from lateen.api.kinds import MIXER_GROUP
from lateen.api.mesh import settings
from lateen.api.violations import Severity
from lateen.cli import files, options, output
from lateen.cli.failures import USAGE


@click.command("validate")
@options.files_option()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, allow_dash=True))
@options.namespace_option("For objects that name none; 'default' where none is given.")
@options.output_option("json")
@click.pass_context
def command(
    ctx: click.Context, filenames: tuple[str, ...], paths: tuple[str, ...], namespace: str | None, form: str | None
) -> None:
    """Check files and folders; print everything that is wrong, with file, line and field. Needs no mesh.

    `lateen analyze` also tells what is doubtful in the objects together. Exit code 2 when an object would be refused;
    warnings alone leave it at 0.
    """
    if not filenames and not paths:
        raise click.UsageError("name a file: lateen validate -f FILE", ctx)
    decoded = read((*filenames, *paths), namespace or options.DEFAULT_NAMESPACE)
    _print(decoded, form)
    if decoded.errors:
        ctx.exit(USAGE)


def read(paths: Iterable[str], namespace: str = options.DEFAULT_NAMESPACE, *, deeply: bool = False) -> decode.Decoded:
    """Read and decode files and folders, all together; `deeply` with the folders in folders."""
    texts = files.read(paths, deeply=deeply)
    decoded = decode.combine(decode.decode_yaml(text.text, text.file, namespace) for text in texts)
    return _with_rule_faults(decoded)


def _with_rule_faults(decoded: decode.Decoded) -> decode.Decoded:
    """Add what is wrong with Mixer's objects among each other. That one is not there is only a warning: a mesh may have
    it.
    """
    if all(item.key.group != MIXER_GROUP for item in decoded.objects):
        return decoded
    # Files without such objects are read without the engine of Mixer, which takes time to load.
    from lateen.mixer import rules

    rule_set = rules.resolve(ConfigSet(decoded.objects), settings.ROOT_NAMESPACE)
    missing = (replace(violation, severity=Severity.WARNING) for violation in rule_set.unresolved)
    faulty = {violation.subject for violation in rule_set.violations}
    valid = tuple(item for item in decoded.objects if str(item.key) not in faulty)
    return decode.Decoded(valid, (*decoded.violations, *rule_set.violations, *missing))


def _print(decoded: decode.Decoded, form: str | None) -> None:
    if form == "json":
        from lateen.cli import analyze
        from lateen.plan.analysis import reports

        output.print_json([analyze.finding_json(one) for one in reports.of_violations(decoded.violations)])
        return
    for violation in decoded.violations:
        click.echo(str(violation), err=True)
    faults = f"{len(decoded.errors)} errors" if decoded.errors else "no errors"
    warnings = f", {len(decoded.warnings)} warnings" if decoded.warnings else ""
    click.echo(f"{len(decoded.objects)} valid objects, {faults}{warnings}")
