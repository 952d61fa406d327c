"""The mesh's own collector of traces, over a real socket."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lateen.serving import mixer_admin
from lateen.serving.trace_collector import SPANS, TraceCollector


def span(span_id: str, parent: str = "", *, status: str = "200", start: int = 1_000_000) -> dict[str, Any]:
    """A span as an Envoy sends it."""
    return {
        "traceId": "94e9817898d0759e",
        "id": span_id,
        "parentId": parent,
        "name": "reviews:9080/*",
        "kind": "CLIENT",
        "timestamp": start,
        "duration": 500,
        "localEndpoint": {"serviceName": "web.default"},
        "tags": {"http.status_code": status, "http.url": "http://reviews/1", "http.method": "GET"},
    }


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    runner = await mixer_admin.serve([TraceCollector()], lambda: "", tmp_path / "mixer.sock")
    connector = aiohttp.UnixConnector(str(tmp_path / "mixer.sock"))
    async with aiohttp.ClientSession("http://mixer", connector=connector) as session:
        yield session
    await runner.cleanup()


async def test_spans_become_traces_that_can_be_listed_and_shown(client: aiohttp.ClientSession) -> None:
    for spans in ([span("2", "1", status="503", start=1_000_100)], [span("1")]):
        async with client.post(SPANS, data=json.dumps(spans)) as answer:
            assert answer.status == 202
    async with client.get("/traces?errors=true&service=web&at_least=500&limit=5") as answer:
        (found,) = (await answer.json())["traces"]
    assert found == {
        "trace_id": "94e9817898d0759e",
        "start": 1_000_000,
        "duration": 600,
        "service": "web.default",
        "name": "reviews:9080/*",
        "path": "http://reviews/1",
        "method": "GET",
        "status": "200",
        "services": ["web.default"],
        "spans": 2,
        "errors": 1,
    }
    async with client.get("/traces/94e9") as answer:
        (whole,) = (await answer.json())["traces"]
    assert [(each["span_id"], each["depth"], each["is_error"]) for each in whole["spans"]] == [
        ("1", 0, False),
        ("2", 1, True),
    ]


async def test_what_is_no_list_of_spans_is_refused_and_counted(client: aiohttp.ClientSession) -> None:
    async with client.post(SPANS, data=b"{") as answer:
        assert (answer.status, await answer.text()) == (400, "the body must be a JSON list of spans\n")
    async with client.post(SPANS, data=b"[7]"):
        pass
    async with client.get("/metrics") as answer:
        assert "lateen_trace_spans_dropped_total 2" in (await answer.text()).splitlines()
