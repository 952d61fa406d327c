"""Sends metrics to statsd, and to DogStatsD with their dimensions as tags: datagrams, which nobody waits for."""

import asyncio
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final

from lateen.adapters import shown
from lateen.adapters.surroundings import Surroundings
from lateen.api.mixer.reports import DogstatsdParams, MetricKind, StatsdParams
from lateen.errors import Unavailable
from lateen.mixer.ports import Field, MadeInstance

_KINDS: Final = {MetricKind.COUNTER: "c", MetricKind.GAUGE: "g", MetricKind.DISTRIBUTION: "h"}
_LARGEST_DATAGRAM: Final = 1432
_UNSAFE: Final = re.compile(r"[:|@\s]")
_DIMENSION: Final = re.compile(r"\{\{\s*\.(\w+)\s*\}\}")


class Datagrams:
    """Sends lines to one address, several in a datagram."""

    def __init__(self, address: str, surroundings: Surroundings, most_bytes: int) -> None:
        self._address = address
        self._locate = surroundings.locate
        self._most_bytes = min(most_bytes, _LARGEST_DATAGRAM)
        self._transport: asyncio.DatagramTransport | None = None

    async def send(self, lines: Iterable[str]) -> None:
        """Send lines. Raises `Unavailable` where the address is none."""
        if self._transport is None or self._transport.is_closing():
            self._transport = await self._open()
        for datagram in _packed(lines, self._most_bytes):
            self._transport.sendto(datagram)

    async def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()

    async def _open(self) -> asyncio.DatagramTransport:
        host, _, port = self._address.rpartition(":")
        try:
            number = int(port)
            place = self._locate(host or "localhost", number) or (host, number)
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=place
            )
        except (OSError, ValueError) as error:
            raise Unavailable(f"{self._address} is nowhere to send to: {error}") from None
        return transport


class Statsd:
    """A handler of the adapter statsd."""

    def __init__(
        self, params: StatsdParams, surroundings: Surroundings, chance: Callable[[], float] = random.random
    ) -> None:
        self._params = params
        self._chance = chance
        self._datagrams = Datagrams(params.address, surroundings, params.flush_bytes)

    async def report(self, instances: Sequence[MadeInstance]) -> None:
        """Send the metrics that the settings name."""
        await self._datagrams.send(self._lines(instances))

    async def close(self) -> None:
        """Close the socket."""
        await self._datagrams.close()

    def _lines(self, instances: Sequence[MadeInstance]) -> Iterator[str]:
        rate = self._params.sampling_rate
        for instance in instances:
            metric = next(
                (each for name, each in self._params.metrics.items() if shown.is_called(instance.name, name)), None
            )
            if metric is None or self._chance() >= rate:
                continue
            dimensions = shown.entries(instance.fields.get("dimensions"))
            name = _templated(metric.name_template, dimensions) if metric.name_template else instance.name
            prefix = f"{self._params.prefix}." if self._params.prefix else ""
            value = instance.fields.get("value")
            kind = "ms" if metric.type is MetricKind.DISTRIBUTION else _KINDS[metric.type]
            yield f"{prefix}{_safe(name)}:{_number(value, kind)}|{kind}{_rate(rate)}"


class Dogstatsd:
    """A handler of the adapter dogstatsd."""

    def __init__(
        self, params: DogstatsdParams, surroundings: Surroundings, chance: Callable[[], float] = random.random
    ) -> None:
        self._params = params
        self._chance = chance
        self._datagrams = Datagrams(params.address, surroundings, _LARGEST_DATAGRAM if params.buffer_length else 1)

    async def report(self, instances: Sequence[MadeInstance]) -> None:
        """Send the metrics that the settings name."""
        await self._datagrams.send(self._lines(instances))

    async def close(self) -> None:
        """Close the socket."""
        await self._datagrams.close()

    def _lines(self, instances: Sequence[MadeInstance]) -> Iterator[str]:
        rate = self._params.sample_rate
        for instance in instances:
            metric = next(
                (each for name, each in self._params.metrics.items() if shown.is_called(instance.name, name)), None
            )
            if metric is None or self._chance() >= rate:
                continue
            value = instance.fields.get("value")
            is_time = metric.type is MetricKind.DISTRIBUTION and isinstance(value, timedelta)
            kind = "ms" if is_time else _KINDS[metric.type]
            dimensions = shown.entries(instance.fields.get("dimensions"))
            tags = {
                **self._params.global_tags,
                **metric.tags,
                **{k: str(shown.plain(v)) for k, v in dimensions.items()},
            }
            tagged = f"|#{','.join(f'{_safe(k)}:{_safe(v)}' for k, v in sorted(tags.items()))}" if tags else ""
            yield f"{self._params.prefix}{_safe(metric.name)}:{_number(value, kind)}|{kind}{_rate(rate)}{tagged}"


def _packed(lines: Iterable[str], most_bytes: int) -> Iterator[bytes]:
    """Join lines as long as they fit into a datagram."""
    waiting: list[bytes] = []
    for line in (each.encode() for each in lines):
        if waiting and sum(map(len, waiting)) + len(waiting) + len(line) > most_bytes:
            yield b"\n".join(waiting)
            waiting = []
        waiting.append(line)
    if waiting:
        yield b"\n".join(waiting)


def _templated(template: str, dimensions: Mapping[str, Field]) -> str:
    return _DIMENSION.sub(lambda found: str(shown.plain(dimensions.get(found[1]))), template)


def _number(value: Field | None, kind: str) -> str:
    number = shown.number(value) * (1000 if kind == "ms" and isinstance(value, timedelta) else 1)
    return f"{number:.15g}"


def _rate(rate: float) -> str:
    return f"|@{rate:g}" if rate < 1 else ""


def _safe(text: str) -> str:
    return _UNSAFE.sub("_", text)
