"""The entry point: finds the command in the table, imports its module, runs it, and turns its end into an exit code."""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from lateen.cli import failures
from lateen.cli.commands import COMMANDS, Row
from lateen.errors import LateenError

_ROWS: Final = {row.name: row for row in COMMANDS}
_SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


class CommandTable(click.Group):
    """A group whose commands are rows of the table; a command's module is imported when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands, in the order of the table."""
        return list(_ROWS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None when the table has no such row."""
        row = _ROWS.get(cmd_name)
        return None if row is None else _load(row)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments start with; for an unknown one, name those that it may have meant."""
        if args and args[0] not in _ROWS and not args[0].startswith("-"):
            ctx.fail(f"no command '{args[0]}'; {_suggestion(args[0])}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by section, from the table alone."""
        for section in dict.fromkeys(row.section for row in COMMANDS):
            with formatter.section(section):
                formatter.write_dl([(row.name, row.help) for row in COMMANDS if row.section == section])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name from the table alone."""
        rows = [row for row in COMMANDS if row.name.startswith(incomplete)]
        return [CompletionItem(row.name, help=row.help) for row in rows] + (
            click.Command.shell_complete(self, ctx, incomplete) if incomplete.startswith("-") else []
        )

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command line and exit with its code; errors are one line each, without a trace."""
        settings = {**extra, "standalone_mode": False}
        sys.exit(_ended(lambda: super(CommandTable, self).main(*args, **settings)))


@click.group(
    cls=CommandTable,
    name="lateen",
    context_settings=_SETTINGS,
    epilog=failures.EXIT_CODES + " With LATEEN_DEBUG=1 an error shows its trace.",
    no_args_is_help=True,
)
def lateen() -> None:
    """A service mesh around ordinary processes: real Envoy sidecars, Kubernetes and Istio objects, one command."""


def main() -> None:
    """Run the command `lateen`."""
    lateen.main(prog_name="lateen")


def _load(row: Row) -> click.Command:
    command: click.Command = importlib.import_module(f"lateen.cli.{row.module}").command
    command.epilog = command.epilog or failures.EXIT_CODES
    return command


def _ended(run: Callable[[], object]) -> int:
    """Run to the end and return the exit code; every foreseen error is printed on the way."""
    try:
        outcome = run()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return failures.USAGE
    except click.ClickException as error:
        return _refused(error)
    except click.exceptions.Exit as error:
        return error.exit_code
    except LateenError as error:
        return _failed(error)
    except (click.Abort, KeyboardInterrupt):
        return failures.INTERRUPTED
    except Exception as error:
        return _broken(error)
    return outcome if isinstance(outcome, int) else 0


def _refused(error: click.ClickException) -> int:
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    hint = f"; see `{context.command_path} --help`" if context is not None else ""
    click.echo(_red("error: ") + message[:1].lower() + message[1:] + hint, err=True)
    return failures.USAGE


def _failed(error: LateenError) -> int:
    if os.environ.get("LATEEN_DEBUG"):
        raise error
    click.echo(_red("error: ") + str(error), err=True)
    for line in failures.details(error):
        click.echo(f"  {line}", err=True)
    return failures.exit_code(error)


def _broken(error: Exception) -> int:
    """Report a defect of ours in one line: nobody at a terminal is helped by a trace that they did not ask for."""
    if os.environ.get("LATEEN_DEBUG"):
        raise error
    cause = f"{type(error).__name__}: {error}"
    click.echo(_red("error: ") + f"lateen has a defect here ({cause}); LATEEN_DEBUG=1 shows where", err=True)
    return failures.FAILED


def _red(text: str) -> str:
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return click.style(text, fg="red", bold=True) if coloured else text


def _suggestion(typed: str) -> str:
    import difflib

    close = difflib.get_close_matches(typed, _ROWS, n=2)
    return f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(_ROWS)}"
