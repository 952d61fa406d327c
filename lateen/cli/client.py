"""Asks the control plane: HTTP with JSON bodies and TLS over the run directory's unix socket, standard library only.

The owner's certificate, and the roots to know the control plane by, are in the run directory too.
"""

import http.client
import json
import socket
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from lateen import names
from lateen.cli import meshes
from lateen.cli.failures import BadInput, Failed, NotRunning
from lateen.cli.meshes import Mesh
from lateen.platforms.local import owner_files

_PATIENCE_SECONDS: Final = 6.0
_RETRY_SECONDS: Final = 0.1
_CODES: Final = {400: BadInput, 409: BadInput, 422: BadInput, 503: NotRunning, 504: NotRunning}


class ApiClient:
    """One mesh's API. Paths are given in parts, which are quoted: `get("v1", "objects", kind="Service")`.

    A control plane that its supervisor restarts just now is waited for, up to `patience_seconds`. Raises `NotRunning`
    when nobody answers, `BadInput` or `Failed` with the words of the API when it refuses.
    """

    def __init__(self, mesh: Mesh, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self.mesh = mesh
        self._patience_seconds = patience_seconds

    def get(self, *path: str, timeout_seconds: float = 30.0, **query: object) -> Any:
        """Read something; query values of None are left out."""
        return self._ask("GET", path, query, None, timeout_seconds)

    def post(self, *path: str, body: Mapping[str, object], timeout_seconds: float = 60.0) -> Any:
        """Ask for a change."""
        return self._ask("POST", path, {}, body, timeout_seconds)

    def delete(self, *path: str, timeout_seconds: float = 60.0) -> Any:
        """Ask for a removal."""
        return self._ask("DELETE", path, {}, None, timeout_seconds)

    def _ask(
        self,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, object],
        body: Mapping[str, object] | None,
        timeout_seconds: float,
    ) -> Any:
        given = {name: value for name, value in query.items() if value is not None}
        target = "/" + "/".join(quote(part, safe="") for part in path) + ("?" + urlencode(given) if given else "")
        connection = self._let_in(timeout_seconds)
        try:
            connection.request(method, target, None if body is None else json.dumps(body), _headers(body))
            answer = connection.getresponse()
            return _understood(answer.status, answer.read())
        except TimeoutError:
            raise NotRunning(f"mesh '{self.mesh.name}' did not answer within {timeout_seconds:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise self._broken_off(error) from None
        finally:
            connection.close()

    def _let_in(self, timeout_seconds: float) -> http.client.HTTPConnection:
        """Return a connection on which the control plane has answered, so that our certificate is one that it takes.

        It may just be exchanged, and with TLS 1.3 a client learns that it was refused only when it waits for an answer:
        too late to know what became of a request for a change.
        """
        deadline = time.monotonic() + self._patience_seconds
        while True:
            connection = self._connection(timeout_seconds)
            try:
                connection.request("GET", "/healthz")
                connection.getresponse().read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if time.monotonic() > deadline:
                    raise self._broken_off(error) from None
            else:
                return connection
            time.sleep(_RETRY_SECONDS)

    def _broken_off(self, error: Exception) -> NotRunning:
        return NotRunning(f"mesh '{self.mesh.name}' broke off its answer ({error}); try again")

    def _connection(self, timeout_seconds: float) -> http.client.HTTPConnection:
        deadline = time.monotonic() + self._patience_seconds
        while True:
            try:
                return _connected(self.mesh, timeout_seconds)
            except PermissionError:
                raise Failed(
                    f"mesh '{self.mesh.name}' belongs to another user: only its owner can read "
                    f"{self.mesh.directory / owner_files.DIRECTORY}"
                ) from None
            except OSError as error:
                if time.monotonic() > deadline or not self.mesh.is_running:
                    raise NotRunning(
                        f"the control plane of mesh '{self.mesh.name}' does not answer ({_reason(error)}); "
                        f"see {self.mesh.supervisor_log}"
                    ) from None
            time.sleep(_RETRY_SECONDS)


def connect(name: str | None) -> ApiClient:
    """Return the API of the mesh that is meant: the named one, or the only one."""
    return ApiClient(meshes.choose(name))


class _UnixConnection(http.client.HTTPConnection):
    """HTTP with TLS over a unix socket."""

    def __init__(self, path: Path, context: ssl.SSLContext, timeout_seconds: float) -> None:
        super().__init__("lateen", timeout=timeout_seconds)
        self._path = path
        self._context = context

    def connect(self) -> None:
        """Open the socket, and make sure who answers."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
        self.sock = self._context.wrap_socket(self.sock, server_hostname=names.CONTROL_PLANE_HOST)


def _context(run_directory: Path) -> ssl.SSLContext:
    """Read the owner's certificate and the roots, which are renewed from time to time."""
    files = run_directory / owner_files.DIRECTORY
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(files / owner_files.ROOTS_FILE)
    context.load_cert_chain(files / owner_files.IDENTITY_FILE)
    return context


def _reason(error: OSError) -> str:
    return error.reason if isinstance(error, ssl.SSLError) and error.reason else error.strerror or str(error)


def _connected(mesh: Mesh, timeout_seconds: float) -> http.client.HTTPConnection:
    connection = _UnixConnection(mesh.api_socket, _context(mesh.directory), timeout_seconds)
    try:
        connection.connect()
    except OSError:
        connection.close()
        raise
    return connection


def _headers(body: object) -> dict[str, str]:
    return {} if body is None else {"content-type": "application/json"}


def _understood(status: int, text: bytes) -> Any:
    """Return the JSON of a good answer; raise the failure that a bad one describes."""
    try:
        answer = json.loads(text) if text else None
    except ValueError:
        answer = {"error": {"message": f"the control plane answered {status} with something that is not JSON"}}
        status = max(status, 500)
    if status < 400:
        return answer
    error = answer.get("error", {}) if isinstance(answer, dict) else {}
    kind = _CODES.get(status, Failed)
    raise kind(error.get("message", f"the control plane answered {status}"), error.get("details", ()))
