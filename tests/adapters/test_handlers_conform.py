"""Every adapter of the table, through the one suite."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from lateen.adapters.table import ADAPTERS
from lateen.api.mixer import adapters
from lateen.api.parsing import parse
from lateen.mixer.ports import Handler, MadeInstance

from ..conformance import handlers
from .surroundings import World

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LISTED = MadeInstance("i.instance.default", "listentry", {"value": "v1"})
NOTHING = MadeInstance("i.instance.default", "checknothing")
QUOTA = MadeInstance("requests.instance.default", "quota", {"dimensions": {"user": "anna"}})
SUBJECT = MadeInstance(
    "i.instance.default",
    "authorization",
    {"subject": {"user": "anna", "properties": {"ip": ip_address("10.0.0.1")}}, "action": {"path": "/"}},
)
METRIC = MadeInstance(
    "m.instance.default", "metric", {"value": timedelta(seconds=1.5), "dimensions": {"app": "reviews", "code": 200}}
)
ENTRY = MadeInstance(
    "l.instance.default", "logentry", {"variables": {"a": "b", "took": timedelta(1)}, "timestamp": NOW, "severity": "x"}
)
GENERATED = MadeInstance("k.instance.default", "kubernetes", {})
REGO = 'package mixerauthz\ndefault allow = false\nallow { input.subject.user == "anna" }'

CASES: dict[str, tuple[dict[str, Any], list[MadeInstance]]] = {
    "denier": ({}, [NOTHING, LISTED, QUOTA]),
    "listchecker": ({"overrides": ["v1"]}, [LISTED]),
    "noop": ({}, [NOTHING, LISTED, SUBJECT, QUOTA, METRIC, ENTRY]),
    "opa": ({"policy": [REGO], "checkMethod": "data.mixerauthz.allow"}, [SUBJECT]),
    "memquota": ({"quotas": [{"name": "requests", "maxAmount": 5, "validDuration": "1s"}]}, [QUOTA]),
    "prometheus": ({"metrics": [{"name": "m", "instanceName": "m.instance.default", "kind": "COUNTER"}]}, [METRIC]),
    "stdio": ({"logStream": "FILE", "outputPath": "OUTPUT"}, [METRIC, ENTRY]),
    "statsd": ({"address": "127.0.0.1:9", "metrics": {"m.instance.default": {"type": "DISTRIBUTION"}}}, [METRIC]),
    "dogstatsd": ({"address": "127.0.0.1:9", "metrics": {"m.instance.default": {"name": "m"}}}, [METRIC]),
    "fluentd": ({"address": "FLUENTD"}, [ENTRY]),
    "kubernetesenv": ({}, []),
}
ELSEWHERE = {"redisquota"}
"""Tested with their servers."""


@pytest.fixture
def fluentd() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_every_adapter_has_a_case() -> None:
    assert CASES.keys() | ELSEWHERE == ADAPTERS.keys()


@pytest.mark.parametrize("name", CASES)
async def test_an_adapter(name: str, tmp_path: Path, fluentd: str) -> None:
    written, instances = CASES[name]
    replaced = {"OUTPUT": str(tmp_path / "out"), "FLUENTD": fluentd}
    row = adapters.adapter(name)
    assert row is not None
    settings = {key: replaced.get(value, value) if isinstance(value, str) else value for key, value in written.items()}
    params = parse(row.params, settings)
    assert not isinstance(params, tuple), params

    def make() -> Handler:
        return ADAPTERS[name](params, World().surroundings)

    await handlers.check(handlers.Candidate(name, make, instances))
