"""`lateen metrics`, `top` and `trace` as a user runs them, on a mesh whose numbers are made up."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from lateen.serving.api import Api
from lateen.serving.scraper import Scraper
from lateen.serving.telemetry_routes import TelemetryRoutes
from lateen.telemetry import exposition
from lateen.telemetry.exposition import Family
from lateen.telemetry.targets import ScrapeTarget
from tests.cli.conftest import Machine, running
from tests.serving.small_mesh import SmallMesh

WAY = (
    'source_workload="web",source_workload_namespace="default",'
    'destination_service_name="shop",destination_service_namespace="bank"'
)
SPAN = {
    "span_id": "1", "parent_id": "", "depth": 0, "service": "web.default", "name": "shop.bank:80/*", "kind": "client",
    "start": 1_000_000, "duration": 2000, "is_error": True, "tags": {"http.status_code": "503"},
}  # fmt: skip
TRACE = {
    "trace_id": "94e9", "start": 1_000_000, "duration": 2000, "service": "web.default", "name": "shop.bank:80/*",
    "path": "http://shop/", "method": "GET", "status": "503", "services": ["web.default", "shop.bank"], "errors": 1,
}  # fmt: skip


class Growing(Scraper):
    """Every reading, a second later each, shows ten more requests."""

    def __init__(self) -> None:
        super().__init__()
        self.readings = 0

    async def read_all(self, targets: object, names: str = "") -> tuple[Family, ...]:
        self.readings += 1
        count = 10 * self.readings
        text = (
            f'istio_requests_total{{reporter="source",response_code="200",{WAY}}} {count * 0.9:g}\n'
            f'istio_requests_total{{reporter="source",response_code="500",{WAY}}} {count * 0.1:g}\n'
            f'istio_request_duration_milliseconds_bucket{{reporter="source",le="10",{WAY}}} {count}\n'
            f'istio_request_duration_milliseconds_bucket{{reporter="source",le="+Inf",{WAY}}} {count}\n'
        )
        return tuple(exposition.read(text).families.values())


class Mixer:
    """Keeps one trace."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, str] | None] = []

    async def ask(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        self.asked.append(query)
        if path == "/traces":
            return {"traces": [{**TRACE, "spans": 2}]}
        second = {**SPAN, "span_id": "2", "depth": 1, "service": "shop.bank", "kind": "server", "start": 1_000_500}
        whole = {**TRACE, "spans": [SPAN, {**second, "duration": 1000}]}
        return {"traces": [whole] if "94e9".startswith(path.rpartition("/")[2]) else []}


async def nothing() -> tuple[Family, ...]:
    """No metrics of the control plane's own."""
    return ()


@dataclass
class MeasuredMesh(SmallMesh):
    """A mesh that tells numbers."""

    scraper: Growing = field(default_factory=Growing)
    mixer: Mixer = field(default_factory=Mixer)

    def api(self, name: str = "test", directory: str = "/run/lateen/test") -> Api:
        targets: Sequence[ScrapeTarget] = ()
        routes = TelemetryRoutes(nothing, lambda: targets, self.scraper, self.mixer, lambda: self.scraper.readings)
        return replace(super().api(name, directory), telemetry=routes)


@pytest.fixture
def measured(machine: Machine) -> Iterator[MeasuredMesh]:
    small = MeasuredMesh()
    with running(machine, "test", small):
        yield small


def test_a_question_is_answered_as_a_table(machine: Machine, measured: MeasuredMesh) -> None:
    query = "sum(rate(istio_requests_total[1m])) by (destination_service_name)"
    result = machine.run("metrics", query, "--interval", "1ms")
    assert (result.exit_code, result.stdout) == (0, 'VALUE   SERIES\n10      {destination_service_name="shop"}\n')


def test_a_question_is_answered_for_programs(machine: Machine, measured: MeasuredMesh) -> None:
    found = machine.run_json("metrics", "istio_requests_total{response_code='500'}", "-o", "json")
    assert found == [
        {
            "metric": {
                "__name__": "istio_requests_total",
                "destination_service_name": "shop",
                "destination_service_namespace": "bank",
                "reporter": "source",
                "response_code": "500",
                "source_workload": "web",
                "source_workload_namespace": "default",
            },
            "value": "1",
        }
    ]
    assert measured.scraper.readings == 1


def test_a_question_that_cannot_be_read_is_shown_with_its_fault(machine: Machine, measured: MeasuredMesh) -> None:
    result = machine.run("metrics", "sum(rate(x))")
    assert result.exit_code == 2
    assert result.stderr == "error: rate() needs a range, such as x[1m]\n  sum(rate(x))\n           ^\n"


def test_no_answer_is_told(machine: Machine, measured: MeasuredMesh) -> None:
    result = machine.run("metrics", "nothing_there")
    assert (result.exit_code, result.stderr.splitlines()[0][:36]) == (1, "error: no series answers this; `late")


TABLE = """\
SERVICE     RATE     ERRORS   P50   P90   P99     MTLS
shop.bank   10.0/s   10.0%    5ms   9ms   9.9ms   unknown

FROM   TO          RATE     ERRORS   P50   P90   P99     MTLS
web    shop.bank   10.0/s   10.0%    5ms   9ms   9.9ms   unknown
"""


@pytest.mark.parametrize("words", [("--once",), ("-n", "bank")])
def test_top_shows_services_and_edges(machine: Machine, measured: MeasuredMesh, words: tuple[str, ...]) -> None:
    result = machine.run("top", "--interval", "100ms", *words)
    assert (result.exit_code, result.stdout) == (0, TABLE)


def test_top_of_a_namespace_without_calls_says_so(machine: Machine, measured: MeasuredMesh) -> None:
    assert machine.run("top", "--interval", "100ms", "-n", "x").stdout == "nothing is called at the moment\n"


def test_top_tells_programs_everything(machine: Machine, measured: MeasuredMesh) -> None:
    found = machine.run_json("top", "--interval", "100ms", "-o", "json")
    figures = {
        "requests_per_second": 10.0, "error_share": 0.1, "p50_ms": 5.0, "p90_ms": 9.0, "p99_ms": 9.9,
        "connections_per_second": 0.0, "bytes_per_second": 0.0, "mtls": "unknown",
    }  # fmt: skip
    way = {
        "source_name": "web",
        "source_namespace": "default",
        "destination_name": "shop",
        "destination_namespace": "bank",
    }
    assert found["services"] == [{"name": "shop", "namespace": "bank", **figures}]
    assert found["edges"] == [{**way, **figures}]


def test_traces_are_listed(machine: Machine, measured: MeasuredMesh) -> None:
    result = machine.run("trace", "list", "--at-least", "100ms", "--errors", "--service", "shop", "--limit", "3")
    assert result.exit_code == 0
    heading, line = result.stdout.splitlines()
    assert heading.split() == ["TRACE", "STARTED", "DURATION", "REQUEST", "STATUS", "SPANS", "ERRORS", "SERVICES"]
    assert line.split()[2:] == ["2ms", "GET", "http://shop/", "503", "2", "1", "web.default", "shop.bank"]
    assert measured.mixer.asked == [{"limit": "3", "service": "shop", "at_least": "100000", "errors": "true"}]
    assert machine.run("trace", "list", "-o", "name").stdout == "94e9\n"


def test_a_trace_is_shown_as_a_waterfall(machine: Machine, measured: MeasuredMesh) -> None:
    result = machine.run("trace", "show", "94")
    assert result.exit_code == 0
    assert [line[:-42] for line in result.stdout.splitlines()[1:]] == [
        "web.default  client  shop.bank:80 ! 503       2ms  ",
        "  shop.bank  server  shop.bank:80 ! 503       1ms  ",
    ]
    bars = [line[-42:] for line in result.stdout.splitlines()[1:]]
    assert [(bar.count(bar[15]), len(bar) - len(bar[1:].lstrip()) - 1) for bar in bars] == [(40, 0), (20, 10)]


def test_a_trace_that_is_not_kept_is_not_found(machine: Machine, measured: MeasuredMesh) -> None:
    result = machine.run("trace", "show", "77")
    assert (result.exit_code, result.stderr) == (
        1,
        "error: no trace '77' is kept; `lateen trace list` lists the last ones\n",
    )
