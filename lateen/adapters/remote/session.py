"""What an adapter keeps for a handler, so that it is not told the settings in every call."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import any_pb2
from google.protobuf.message import DecodeError

from lateen.adapters.remote import wire
from lateen.adapters.remote.calls import Calls
from lateen.errors import Unavailable

BACKEND: Final = f"/{wire.MODEL}.InfrastructureBackend"
SESSION_TYPE: Final = "google.protobuf.Any.type_url"
"""The type under which a session's id stands where settings would."""


class Session:
    """A session with an adapter: made before the first call, and anew when the connection is another one."""

    def __init__(self, calls: Calls, settings: Any, inferred: Mapping[str, Any]) -> None:
        self._calls = calls
        self._settings = settings
        self._inferred = inferred
        self._id = ""
        self._making = asyncio.Lock()

    async def settings(self) -> Any:
        """Return what stands where settings would: the session's id. Raises `Unavailable` where it cannot be had."""
        async with self._making:
            if self._calls.is_new:
                await self._make()
        return any_pb2.Any(type_url=SESSION_TYPE, value=self._id.encode())

    async def close(self) -> None:
        """End the session; one whose connection was lost has ended."""
        if not self._calls.is_new:
            with contextlib.suppress(Unavailable):
                await self._ask("CloseSession", session_id=self._id)

    async def _make(self) -> None:
        validated = await self._ask("Validate", adapter_config=self._settings, inferred_types=self._inferred)
        _check(validated.status, "does not take the settings")
        made = await self._ask("CreateSession", adapter_config=self._settings, inferred_types=self._inferred)
        _check(made.status, "makes no session")
        self._id = made.session_id
        self._calls.is_new = False

    async def _ask(self, method: str, **fields: Any) -> Any:
        request = wire.message(f"{method}Request")()
        for name, value in fields.items():
            _write(request, name, value)
        data = await self._calls.call(f"{BACKEND}/{method}", request.SerializeToString())
        try:
            return wire.message(f"{method}Response").FromString(data)
        except DecodeError:
            raise Unavailable(f"the adapter answers {method} with something else") from None


def _write(request: Any, name: str, value: Any) -> None:
    if isinstance(value, str):
        setattr(request, name, value)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            getattr(request, name)[key].ParseFromString(each.SerializeToString())
    else:
        getattr(request, name).ParseFromString(value.SerializeToString())


def _check(status: Any, what: str) -> None:
    if status.code:
        raise Unavailable(f"the adapter {what}: {status.message or status.code}")
