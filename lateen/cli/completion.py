"""`lateen completion`: the script by which a shell completes commands, workloads, kinds and names."""

from typing import Final

import click
from click.shell_completion import get_completion_class

from lateen.cli.failures import Failed

_VARIABLE: Final = "_LATEEN_COMPLETE"
_SHELLS: Final = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash:  eval "$(lateen completion bash)"      in ~/.bashrc
    zsh:   eval "$(lateen completion zsh)"       in ~/.zshrc
    fish:  lateen completion fish > ~/.config/fish/completions/lateen.fish
    """
    found = get_completion_class(shell)
    if found is None:
        raise Failed(f"there is no completion for {shell}; there is for {', '.join(_SHELLS)}")
    click.echo(found(ctx.find_root().command, {}, "lateen", _VARIABLE).source())
