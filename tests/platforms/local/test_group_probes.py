"""The probe of a WorkloadGroup: what is asked of a member, and when its verdict turns."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from lateen.api.networking.workload_group import GroupProbe
from lateen.platforms.local import group_probes, probes
from lateen.platforms.local.group_probes import as_probe
from lateen.platforms.local.health import Thresholds

ADDRESS = "10.244.1.7"


def said(written: Mapping[str, Any]) -> dict[str, Any]:
    """The probe of a container that a group's is."""
    return as_probe(GroupProbe.model_validate(written), ADDRESS).model_dump(exclude_none=True, exclude_defaults=True)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"httpGet": {"port": 80}}, {"http_get": {"port": 80}}),
        (
            {"httpGet": {"port": 80, "path": "/h", "host": "127.0.0.1", "scheme": "https", "httpHeaders": [{"name": "a", "value": "b"}]}},
            {"http_get": {"port": 80, "path": "/h", "host": ADDRESS, "scheme": "HTTPS", "http_headers": ({"name": "a", "value": "b"},)}},
        ),
        ({"tcpSocket": {"port": 80, "host": "localhost"}}, {"tcp_socket": {"port": 80, "host": ADDRESS}}),
        ({"exec": {"command": ["true"]}}, {"exec": {"command": ("true",)}}),
        ({"grpc": {"port": 80, "service": "s"}}, {"grpc": {"port": 80, "service": "s"}}),
    ],
)  # fmt: skip
def test_a_member_is_asked_at_its_address(written: dict[str, Any], expected: dict[str, Any]) -> None:
    assert said(written) == expected


def test_zero_is_the_default() -> None:
    numbers = ("timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
    zeroes = GroupProbe.model_validate({"tcpSocket": {"port": 80}, **dict.fromkeys(numbers, 0)})
    found = probes.thresholds(as_probe(zeroes, ADDRESS))
    assert (found.initial_delay, found.period, found.timeout, found.successes, found.failures) == (0, 10, 1, 1, 3)


async def verdicts(answers: Iterable[bool], thresholds: Thresholds, known: bool | None = None) -> list[bool]:
    """What is told while a probe is answered so."""
    told: list[bool] = []
    left = list(answers)
    finished = asyncio.Event()

    async def ask() -> bool:
        if not left:
            finished.set()
            await asyncio.sleep(60)
        return left.pop(0)

    watching = asyncio.create_task(group_probes.watch(thresholds, ask, told.append, known=known))
    async with asyncio.timeout(10):
        await finished.wait()
    watching.cancel()
    return told


QUICK = Thresholds(period=0.001, timeout=5.0, successes=1, failures=2)


@pytest.mark.parametrize(
    ("answers", "known", "expected"),
    [
        ([True, True], None, [True]),
        ([False, True], None, [True]),
        ([False, False, False], None, [False]),
        ([False, False, True], None, [False, True]),
        ([True, False, True, False], None, [True]),
        ([True, False, False, True], None, [True, False, True]),
        ([True, True], True, []),
        ([False, False], True, [False]),
        ([False, False], False, []),
        ([True], False, [True]),
    ],
)
async def test_verdicts_turn_at_their_thresholds_and_are_told_once(
    answers: list[bool], known: bool | None, expected: list[bool]
) -> None:
    assert await verdicts(answers, QUICK, known) == expected


async def test_several_successes_may_be_asked_for() -> None:
    patient = Thresholds(period=0.001, timeout=5.0, successes=3, failures=2)
    assert await verdicts([True, True], patient) == []
    assert await verdicts([True, True, True], patient) == [True]


async def test_an_answer_that_is_late_is_a_failure() -> None:
    told: list[bool] = []
    unhealthy = asyncio.Event()

    def tell(verdict: bool) -> None:
        told.append(verdict)
        unhealthy.set()

    async def never() -> bool:
        await asyncio.Event().wait()
        return True

    hasty = Thresholds(period=0.001, timeout=0.001, failures=2)
    watching = asyncio.create_task(group_probes.watch(hasty, never, tell, known=True))
    async with asyncio.timeout(10):
        await unhealthy.wait()
    watching.cancel()
    assert told == [False]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"httpGet": {"port": 80, "path": "/h"}}, "GET /h at port 80 is not answered with 200 to 399"),
        ({"tcpSocket": {"port": 80}}, "no connection to port 80 opens"),
        ({"grpc": {"port": 80}}, "the gRPC health service at port 80 does not answer SERVING"),
        ({"exec": {"command": ["is", "well"]}}, "the command is well does not end with 0"),
    ],
)
def test_what_fails_is_said(written: dict[str, Any], expected: str) -> None:
    assert group_probes.said_of(as_probe(GroupProbe.model_validate(written), ADDRESS)) == expected
