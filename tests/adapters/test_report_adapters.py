"""What report adapters write: lines, datagrams, messages of fluentd, metrics of Prometheus."""

import asyncio
import json
import socket
import struct
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from lateen.adapters.fluentd import Fluentd, packed
from lateen.adapters.prometheus import Prometheus, bounds_of
from lateen.adapters.statsd import Dogstatsd, Statsd
from lateen.adapters.stdio import Stdio
from lateen.api.mixer.reports import (
    Buckets,
    DogstatsdParams,
    FluentdParams,
    PrometheusParams,
    StatsdParams,
    StdioParams,
)
from lateen.errors import Unavailable
from lateen.mixer.ports import MadeInstance

from .surroundings import World

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAME = "size.instance.default"
METRIC = MadeInstance(NAME, "metric", {"value": 3, "dimensions": {"app": "a b", "code": 200}})
LATENCY = MadeInstance(NAME, "metric", {"value": timedelta(milliseconds=20), "dimensions": {"app": "x"}})
ENTRY = MadeInstance(
    "log.instance.default",
    "logentry",
    {
        "variables": {"ip": ip_address("10.0.0.1"), "took": timedelta(milliseconds=1500), "ok": True},
        "timestamp": NOW,
        "severity": "warning",
    },
)


async def test_lines_on_the_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    params = StdioParams.model_validate({"severityLevels": {"warning": "WARNING"}, "outputAsJson": True})
    await Stdio(params).report([ENTRY, METRIC])
    entry, metric = map(json.loads, capsys.readouterr().out.splitlines())
    assert entry == {
        "level": "warn",
        "time": "2026-01-01T00:00:00Z",
        "instance": "log.instance.default",
        "ip": "10.0.0.1",
        "took": "1.5s",
        "ok": True,
    }
    assert (metric["level"], metric["value"], metric["app"], metric["code"]) == ("info", 3, "a b", 200)


async def test_lines_that_are_not_important_enough_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "out"
    written = {"logStream": "FILE", "outputPath": str(path), "outputLevel": "WARNING", "outputAsJson": False}
    handler = Stdio(StdioParams.model_validate({**written, "severityLevels": {"warning": "WARNING"}}))
    await handler.report([METRIC, ENTRY])
    await handler.close()
    (line,) = path.read_text().splitlines()
    assert line.startswith("2026-01-01T00:00:00Z\twarn\tlog.instance.default\t{")


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(5)
        yield made


def address(receiver: socket.socket) -> str:
    return f"127.0.0.1:{receiver.getsockname()[1]}"


async def received(receiver: socket.socket) -> str:
    return (await asyncio.to_thread(receiver.recv, 4096)).decode()


async def test_statsd(receiver: socket.socket) -> None:
    metrics = {NAME: {"type": "DISTRIBUTION", "nameTemplate": "size.{{.app}}"}}
    params = StatsdParams.model_validate({"address": address(receiver), "prefix": "mesh", "metrics": metrics})
    handler = Statsd(params, World().surroundings)
    await handler.report([METRIC, LATENCY, replace(METRIC, name="other.instance.default")])
    assert await received(receiver) == "mesh.size.a_b:3|ms\nmesh.size.x:20|ms"
    await handler.close()


async def test_sampling(receiver: socket.socket) -> None:
    params = StatsdParams.model_validate(
        {"address": address(receiver), "samplingRate": 0.5, "metrics": {NAME: {"type": "COUNTER"}}}
    )
    chances = iter([0.4, 0.6, 0.1])
    handler = Statsd(params, World().surroundings, lambda: next(chances))
    await handler.report([METRIC] * 3)
    assert await received(receiver) == f"{NAME}:3|c|@0.5\n{NAME}:3|c|@0.5"
    await handler.close()


async def test_dogstatsd(receiver: socket.socket) -> None:
    metrics = {NAME: {"name": "size", "type": "GAUGE", "tags": {"kind": "http"}}}
    params = DogstatsdParams.model_validate(
        {"address": address(receiver), "globalTags": {"mesh": "m"}, "metrics": metrics}
    )
    handler = Dogstatsd(params, World().surroundings)
    await handler.report([METRIC])
    assert await received(receiver) == "istio.size:3|g|#app:a_b,code:200,kind:http,mesh:m"
    await handler.close()


async def test_an_address_that_is_none() -> None:
    handler = Statsd(StatsdParams(address="nowhere"), World().surroundings)
    with pytest.raises(Unavailable, match="nowhere to send to"):
        await handler.report([METRIC])


def test_messagepack() -> None:
    assert packed([1, "a", {"b": None}, True, 0.5]) == (
        b"\xdd\x00\x00\x00\x05\xd3" + struct.pack(">q", 1) + b"\xdb\x00\x00\x00\x01a"
        b"\xdf\x00\x00\x00\x01\xdb\x00\x00\x00\x01b\xc0\xc3\xcb" + struct.pack(">d", 0.5)
    )


async def test_fluentd() -> None:
    got: list[bytes] = []
    arrived = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.read(4096))
        arrived.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    handler = Fluentd(FluentdParams.model_validate({"address": place, "integerDuration": True}), World().surroundings)
    tagged = replace(ENTRY, fields={**ENTRY.fields, "variables": {"tag": "mesh.log", "took": timedelta(seconds=1)}})
    await handler.report([ENTRY, tagged])
    await asyncio.wait_for(arrived.wait(), 5)
    seconds = int(NOW.timestamp())
    first = {"ip": "10.0.0.1", "took": 1500, "ok": True, "severity": "warning"}
    assert got == [
        packed(["log.instance.default", seconds, first])
        + packed(["mesh.log", seconds, {"took": 1000, "severity": "warning"}])
    ]
    await handler.close()
    server.close()


async def test_a_fluentd_that_is_not_there() -> None:
    handler = Fluentd(FluentdParams(address="127.0.0.1:1"), World().surroundings)
    with pytest.raises(Unavailable, match="does not take entries"):
        await handler.report([ENTRY])


def metrics(world: World, *written: dict[str, Any], expiry: str = "") -> Prometheus:
    policy = {"metricsExpirationPolicy": {"metricsExpiryDuration": expiry}} if expiry else {}
    rows = [{"instanceName": NAME, "labelNames": ["app"], **each} for each in written]
    return Prometheus(PrometheusParams.model_validate({"metrics": rows, **policy}), world.surroundings)


def test_prometheus() -> None:
    handler = metrics(
        World(),
        {"name": "sizes", "kind": "COUNTER", "description": "Sizes."},
        {"name": "last", "kind": "GAUGE"},
        {"name": "spread", "kind": "DISTRIBUTION", "buckets": {"explicit_buckets": {"bounds": [1, 5]}}},
    )
    handler.report([METRIC, METRIC, LATENCY])
    counter, gauge, histogram = handler.families()
    assert (counter.name, counter.kind, counter.help) == ("istio_sizes", "counter", "Sizes.")
    assert counter.lines == ['istio_sizes{app="a b"} 6', 'istio_sizes{app="x"} 0.02']
    assert gauge.lines == ['istio_last{app="a b"} 3', 'istio_last{app="x"} 0.02']
    assert histogram.lines[:5] == [
        'istio_spread_bucket{app="a b",le="1"} 0',
        'istio_spread_bucket{app="a b",le="5"} 2',
        'istio_spread_bucket{app="a b",le="+Inf"} 2',
        'istio_spread_sum{app="a b"} 6',
        'istio_spread_count{app="a b"} 2',
    ]


def test_series_that_are_too_old_go() -> None:
    world = World()
    handler = metrics(world, {"name": "sizes", "kind": "COUNTER"}, expiry="10s")
    handler.report([METRIC])
    world.now += 9
    handler.report([LATENCY])
    world.now += 2
    (family,) = handler.families()
    assert family.lines == ['istio_sizes{app="x"} 0.02']
    world.now += 20
    assert list(handler.families()) == []


@pytest.mark.parametrize(
    ("written", "bounds"),
    [
        ({"linear_buckets": {"num_finite_buckets": 2, "width": 10, "offset": 5}}, (5, 15, 25)),
        ({"exponential_buckets": {"num_finite_buckets": 2, "growth_factor": 10, "scale": 8}}, (8, 80, 800)),
        ({"explicit_buckets": {"bounds": [1, 2]}}, (1, 2)),
    ],
)
def test_buckets(written: dict[str, Any], bounds: tuple[float, ...]) -> None:
    assert bounds_of(Buckets.model_validate(written)) == bounds
