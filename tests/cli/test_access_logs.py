"""`lateen logs --access`: the calls that proxies logged."""

import json
from pathlib import Path

import pytest

from lateen.cli import access_logs
from lateen.cli.access_logs import CallReader, ProxyLog, Wanted

TEXT = (
    '[2026-11-23T07:50:53.{time}Z] "{method} {path} HTTP/1.1" {status} {flags} via_upstream - "-" 0 17 12 - "-" "curl" '
    '"ff30" "reviews:9080" "10.244.1.3:9080" {cluster} - 10.96.1.1:9080 {caller}:40000 - default\n'
)
ROWS = [
    {"name": "web-1", "namespace": "default", "app": "web", "owner": "Deployment/web", "address": "10.244.1.2", "role": "sidecar"},
    {"name": "reviews-v1-1", "namespace": "default", "app": "reviews", "owner": "Deployment/reviews-v1", "address": "10.244.1.3", "role": "sidecar"},
]  # fmt: skip
OUTBOUND = "outbound|9080|v1|reviews.default.svc.cluster.local"
OUT = TEXT.format(time=100, method="GET", path="/a b", status=200, flags="-", cluster=OUTBOUND, caller="10.244.1.2")
FAILED = TEXT.format(time=300, method="POST", path="/c", status=503, flags="UF", cluster=OUTBOUND, caller="10.244.1.2")
IN = TEXT.format(
    time=101, method="GET", path="/a b", status=200, flags="-", cluster="inbound|9080||", caller="10.244.1.2"
)


@pytest.fixture
def logs(tmp_path: Path) -> list[ProxyLog]:
    (tmp_path / "web").write_text(f"[2026-11-23 07:50:53.000][1][warning] hello\n{OUT}{FAILED}")
    (tmp_path / "reviews").write_text(IN)
    return [ProxyLog(row, tmp_path / name) for row, name in zip(ROWS, ("web", "reviews"), strict=True)]


def shown(logs: list[ProxyLog], wanted: Wanted) -> list[str]:
    """The calls in short."""
    calls = CallReader(logs, ROWS, wanted).new_calls()
    return [f"{call.source} {call.destination} {call.direction} {call.line['response_code']}" for call in calls]


def test_calls_of_all_proxies_come_in_the_order_of_time(logs: list[ProxyLog]) -> None:
    assert shown(logs, Wanted()) == ["web reviews outbound 200", "web reviews inbound 200", "web reviews outbound 503"]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (Wanted(status="5xx"), 1),
        (Wanted(source="web"), 3),
        (Wanted(source="reviews"), 0),
        (Wanted(destination="reviews.default"), 3),
        (Wanted(destination="reviews.default.svc.cluster.local"), 2),
        (Wanted(destination="reviews-v1"), 1),
        (Wanted(method="post"), 1),
        (Wanted(path="/a"), 2),
    ],
)
def test_filters_choose(logs: list[ProxyLog], wanted: Wanted, count: int) -> None:
    assert len(shown(logs, wanted)) == count


def test_a_log_is_read_on_from_its_last_whole_line(logs: list[ProxyLog], tmp_path: Path) -> None:
    reader = CallReader(logs[1:], ROWS, Wanted())
    assert len(reader.new_calls()) == 1
    with (tmp_path / "reviews").open("a") as log:
        log.write(IN + IN[:40])
    assert len(reader.new_calls()) == 1
    with (tmp_path / "reviews").open("a") as log:
        log.write(IN[40:])
    assert len(reader.new_calls()) == 1
    (tmp_path / "reviews").write_text(IN)
    assert len(reader.new_calls()) == 1


def test_calls_are_printed_for_people_and_for_programs(
    logs: list[ProxyLog], capsys: pytest.CaptureFixture[str]
) -> None:
    access_logs.print_calls(CallReader(logs, ROWS, Wanted(status="503")), None, follow=False, as_json=False)
    line = "2026-11-23T07:50:53.300Z  outbound  web → reviews  POST /c  503  UF  via_upstream  12ms\n"
    assert capsys.readouterr().out == line
    fresh = [ProxyLog(row, log._path) for row, log in zip(ROWS, logs, strict=True)]
    access_logs.print_calls(CallReader(fresh, ROWS, Wanted()), 1, follow=False, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert {name: found[name] for name in ("proxy", "from", "to", "direction", "path", "response_flags")} == {
        "proxy": "web-1",
        "from": "web",
        "to": "reviews",
        "direction": "outbound",
        "path": "/c",
        "response_flags": "UF",
    }
