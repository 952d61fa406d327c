"""Options and arguments that several commands share, with what completes them."""

import json
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

import click
from click.shell_completion import CompletionItem

from lateen.cli.failures import BadInput
from lateen.errors import LateenError

_Function = TypeVar("_Function", bound=Callable[..., Any])


class _Decorator(Protocol):
    """Adds something to a command's function and gives it back."""

    def __call__(self, function: _Function, /) -> _Function: ...


DEFAULT_NAMESPACE: Final = "default"


def _words(what: str, ctx: click.Context, incomplete: str, **query: object) -> list[CompletionItem]:
    """Ask the running mesh for words; nothing where none answers at once, for a shell must not be kept waiting."""
    from lateen.cli import client, meshes

    try:
        api = client.ApiClient(meshes.choose(ctx.params.get("mesh")), patience_seconds=0)
        answer = api.get("v1", "words", what, timeout_seconds=1.0, **query)
    except LateenError:
        return []
    return [CompletionItem(word) for word in answer["words"] if word.startswith(incomplete)]


def complete_workload(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a workload, or `deploy/name`."""
    return _words("workloads", ctx, incomplete, namespace=ctx.params.get("namespace"))


def complete_kind(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a kind that has objects, or any kind."""
    return _words("kinds", ctx, incomplete)


def complete_object(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of an object of the kind that was typed before."""
    kind = ctx.params.get("kind")
    if kind is None:
        return []
    return _words("objects", ctx, incomplete, kind=kind, namespace=ctx.params.get("namespace"))


def complete_words(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete `KIND NAME…` or `KIND/NAME…`, whichever the user has begun."""
    if "/" in incomplete:
        return complete_reference(ctx, param, incomplete)
    words = ctx.params.get("words") or ()
    if not words or "/" in words[0]:
        return complete_kind(ctx, param, incomplete)
    return _words("objects", ctx, incomplete, kind=words[0], namespace=ctx.params.get("namespace"))


def complete_reference(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete `KIND/NAME`: first the kind, then the name."""
    kind, slash, name = incomplete.partition("/")
    if not slash:
        return [CompletionItem(f"{item.value}/", type="nospace") for item in complete_kind(ctx, param, kind)]
    found = _words("objects", ctx, name, kind=kind, namespace=ctx.params.get("namespace"))
    return [CompletionItem(f"{kind}/{item.value}") for item in found]


def complete_mesh(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a running mesh."""
    from lateen.cli import meshes

    return [CompletionItem(mesh.name) for mesh in meshes.running() if mesh.name.startswith(incomplete)]


def mesh_option(function: _Function) -> _Function:
    """Add `--name MESH`."""
    return click.option(
        "--name",
        "mesh",
        metavar="MESH",
        shell_complete=complete_mesh,
        help="The mesh that is meant; not needed while only one runs.",
    )(function)


def namespace_option(help: str = "The namespace; 'default' where none is given.") -> _Decorator:
    """Add `-n NAMESPACE`; None where the user gave none."""
    return click.option("-n", "--namespace", metavar="NAMESPACE", help=help)


def output_option(*choices: str) -> _Decorator:
    """Add `-o`; None means a table."""
    return click.option("-o", "--output", "form", type=click.Choice(choices), help="Print this instead of a table.")


def workload_argument(required: bool = True) -> _Decorator:
    """Add the argument WORKLOAD."""
    return click.argument("workload", required=required, shell_complete=complete_workload)


def files_option(required: bool = False) -> _Decorator:
    """Add `-f`, which may be given several times: files, folders, or `-` for standard input."""
    return click.option(
        "-f",
        "--filename",
        "filenames",
        multiple=True,
        required=required,
        type=click.Path(exists=True, allow_dash=True),
        help="A YAML file, a folder of them, or - for standard input; may be repeated.",
    )


def claims(written: str | None) -> object:
    """Read the claims of `--jwt-claims`; None without them. Raises `BadInput` for what is no JSON object."""
    if written is None:
        return None
    try:
        found = json.loads(written)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BadInput("""--jwt-claims must be a JSON object, such as '{"iss": "https://example.com", "sub": "a"}'""")
    return found
