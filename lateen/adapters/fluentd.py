"""Sends log entries to fluentd by its forward protocol: messages of MessagePack on a TCP connection."""

import asyncio
import struct
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from lateen.adapters import shown
from lateen.adapters.surroundings import Surroundings
from lateen.api.mixer.reports import FluentdParams
from lateen.errors import Unavailable
from lateen.mixer.ports import Field, MadeInstance

_TAG: Final = "tag"
_SEVERITY: Final = "severity"


class Fluentd:
    """A handler of the adapter fluentd; a connection that is lost is made anew with the next entry."""

    def __init__(self, params: FluentdParams, surroundings: Surroundings) -> None:
        self._params = params
        self._surroundings = surroundings
        self._writer: asyncio.StreamWriter | None = None

    async def report(self, instances: Sequence[MadeInstance]) -> None:
        """Send entries. Raises `Unavailable`."""
        data = b"".join(self._message(instance) for instance in instances)
        try:
            if self._writer is None or self._writer.is_closing():
                self._writer = await self._connect()
            self._writer.write(data)
            await self._writer.drain()
        except (OSError, ValueError) as error:
            await self.close()
            raise Unavailable(f"fluentd at {self._params.address} does not take entries: {error}") from None

    async def close(self) -> None:
        """Close the connection."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    async def _connect(self) -> asyncio.StreamWriter:
        host, _, port = self._params.address.rpartition(":")
        place = self._surroundings.locate(host, int(port)) or (host, int(port))
        _, writer = await asyncio.open_connection(*place)
        return writer

    def _message(self, instance: MadeInstance) -> bytes:
        """Write an entry: its tag, its time in whole seconds, and what it says."""
        variables = dict(shown.entries(instance.fields.get("variables")))
        tag = str(variables.pop(_TAG, "") or instance.name)
        record = {name: self._value(value) for name, value in variables.items()}
        if _SEVERITY in instance.fields:
            record[_SEVERITY] = str(instance.fields[_SEVERITY])
        time = instance.fields.get("timestamp")
        seconds = int(time.timestamp()) if isinstance(time, datetime) else 0
        return packed([tag, seconds, record])

    def _value(self, value: Field) -> object:
        if isinstance(value, timedelta) and self._params.integer_duration:
            return value // timedelta(milliseconds=1)
        return shown.plain(value)


def packed(value: object) -> bytes:
    """Write a value as MessagePack."""
    match value:
        case None:
            return b"\xc0"
        case bool():
            return b"\xc3" if value else b"\xc2"
        case int() if -(2**63) <= value < 2**63:
            return b"\xd3" + struct.pack(">q", value)
        case int() | float():
            return b"\xcb" + struct.pack(">d", float(value))
        case str():
            text = value.encode(errors="replace")
            return b"\xdb" + struct.pack(">I", len(text)) + text
        case Mapping():
            entries = b"".join(packed(str(name)) + packed(item) for name, item in value.items())
            return b"\xdf" + struct.pack(">I", len(value)) + entries
        case list() | tuple():
            return b"\xdd" + struct.pack(">I", len(value)) + b"".join(map(packed, value))
        case _:
            return packed(str(value))
