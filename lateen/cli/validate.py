"""`lateen validate`: checks files with the same code as a mesh, without one."""

from collections.abc import Iterable

import click

from lateen.api import decode
from lateen.api.violations import Violation
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

    Exit code 2 when an object would be refused; warnings alone leave it at 0.
    """
    if not filenames and not paths:
        raise click.UsageError("name a file: lateen validate -f FILE", ctx)
    decoded = read((*filenames, *paths), namespace or options.DEFAULT_NAMESPACE)
    _print(decoded, form)
    if decoded.errors:
        ctx.exit(USAGE)


def read(paths: Iterable[str], namespace: str = options.DEFAULT_NAMESPACE) -> decode.Decoded:
    """Read and decode files and folders, all together."""
    return decode.combine(decode.decode_yaml(text.text, text.file, namespace) for text in files.read(paths))


def violation_json(violation: Violation) -> dict[str, object]:
    """Return a violation as JSON values."""
    return {
        "file": violation.source.file,
        "line": violation.line,
        "subject": violation.subject,
        "path": violation.path,
        "message": violation.message,
        "severity": violation.severity.value,
    }


def _print(decoded: decode.Decoded, form: str | None) -> None:
    if form == "json":
        violations = [violation_json(violation) for violation in decoded.violations]
        output.print_json({"valid": len(decoded.objects), "violations": violations})
        return
    for violation in decoded.violations:
        click.echo(str(violation), err=True)
    faults = f"{len(decoded.errors)} errors" if decoded.errors else "no errors"
    warnings = f", {len(decoded.warnings)} warnings" if decoded.warnings else ""
    click.echo(f"{len(decoded.objects)} valid objects, {faults}{warnings}")
