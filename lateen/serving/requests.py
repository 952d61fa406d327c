"""What requests to the API say: their bodies and parameters as our types, or why they cannot be served."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from lateen.api import decode, kinds
from lateen.api.decode import DEFAULT_NAMESPACE, Decoded
from lateen.api.kinds import Kind
from lateen.api.objects import ObjectKey
from lateen.errors import LateenError, ProtocolError

_LONGEST_WAIT_SECONDS: Final = 3600.0


class Refusal(LateenError):
    """A request that cannot be served as asked, with the status that says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def body_of(request: web.Request) -> dict[str, Any]:
    """Read a body that is a JSON object; raises `ProtocolError`."""
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ProtocolError("the body must be a JSON object")
    return body


def documents(body: Mapping[str, Any]) -> Decoded:
    """Decode the `documents` of a request: texts with the names of the files that they are from."""
    documents = body.get("documents")
    if not isinstance(documents, list) or not all(isinstance(each, dict) for each in documents):
        raise ProtocolError('documents must be a list of {"file": name, "text": YAML}')
    namespace = body.get("namespace") or DEFAULT_NAMESPACE
    return decode.combine(
        decode.decode_yaml(text(each, "text"), str(each.get("file", "")), namespace) for each in documents
    )


def text(values: Mapping[str, Any], name: str) -> str:
    """Return a value that must be a text; raises `ProtocolError`."""
    value = values.get(name)
    if not isinstance(value, str):
        raise ProtocolError(f"{name} is {value!r}; it must be a text")
    return value


def needed(request: web.Request, name: str) -> str:
    """Return a query parameter that must be there; raises `ProtocolError`."""
    value = request.query.get(name)
    if not value:
        raise ProtocolError(f"{request.path} needs ?{name}=")
    return value


def seconds(text: str) -> float:
    """Read a number of seconds, at most an hour; raises `ProtocolError`."""
    try:
        return min(max(0.0, float(text)), _LONGEST_WAIT_SECONDS)
    except ValueError:
        raise ProtocolError(f"timeout is {text!r}; it must be a number of seconds") from None


def kind_of(word: str) -> Kind:
    """Return the kind that a word like `vs` means; raises `Refusal`."""
    row = kinds.of_word(word)
    if row is None:
        near = kinds.near_words(word)
        hint = f"did you mean {' or '.join(near)}?" if near else "`lateen kinds` lists what there is"
        raise Refusal(400, f"there is no kind '{word}'; {hint}")
    return row


def key_of(word: str, name: str, namespace: str | None) -> ObjectKey:
    """Return the key of an object named by a word for its kind, a name and, where one was given, a namespace."""
    row = kind_of(word)
    home = (namespace or DEFAULT_NAMESPACE) if row.namespaced else ""
    return ObjectKey(row.group, row.kind, home, name)
