"""Mixer's rules in a real Envoy: what conditions fit, and what refused clients get."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lateen.api.expressions import cel
from lateen.api.objects import ObjectKey
from lateen.model.proxy import Role
from lateen.plan.conditions import (
    AddressIn,
    Condition,
    HeaderFits,
    Not,
    PathFits,
    PeerFits,
    Says,
    all_of,
    any_of,
)
from lateen.plan.mixer_types import Checks, Denial, GatedRule, MixerGuard, RemoteCheck, Reply, Shown
from lateen.plan.types import Guard, Guards, MatchKind, Origin, ProxyPlan, TextMatch

from .guarded import Guarded, guarded

pytestmark = pytest.mark.live

RULE = Origin(ObjectKey("config.istio.io", "rule", "default", "rule"), "spec")
EXACT, PREFIX, REGEX, PRESENT = MatchKind.EXACT, MatchKind.PREFIX, MatchKind.REGEX, MatchKind.PRESENT


def said(text: str) -> Condition:
    return Says(cel.parse(text))


def header(name: str, value: str = "", kind: MatchKind = EXACT) -> Condition:
    return HeaderFits(name, TextMatch(kind, value))


CASES: dict[str, tuple[Condition, dict[str, str], dict[str, str]]] = {
    "text": (header("x-user", "a"), {"x-user": "a"}, {"x-user": "b"}),
    "missing": (Not(header("x-user", "a")), {}, {"x-user": "a"}),
    "present": (header("x-user", kind=PRESENT), {"x-user": ""}, {}),
    "any case": (HeaderFits("x-user", TextMatch(EXACT, "Bob", ignore_case=True)), {"x-user": "bOB"}, {"x-user": "rob"}),
    "regex": (header("x-user", "(?s:.*)(?:^a+$)(?s:.*)", REGEX), {"x-user": "aaa"}, {"x-user": "ab"}),
    "address": (all_of((AddressIn("127.0.0.0/8"), header("x-on", "1"))), {"x-on": "1"}, {}),
    "no certificate": (all_of((Not(PeerFits(TextMatch(PRESENT))), header("x-on", "1"))), {"x-on": "1"}, {}),
    "expression": (said("'x-a' in request.headers && request.headers['x-a'] == 'é\\'\"%'"), {"x-a": "é'\"%"}, {}),
    "choice": (
        said("('x-a' in request.headers ? request.headers['x-a'] : 'none') != 'none'"),
        {"x-a": "1"},
        {"x-a": "none"},
    ),
    "error": (said("request.headers['x-a'] == '1'"), {"x-a": "1"}, {}),
    "duration": (all_of((said("duration('1.5s') > duration('1s')"), header("x-on", "1"))), {"x-on": "1"}, {}),
    "number": (said("size(request.headers['x-a']) + 1 == 4"), {"x-a": "abc"}, {"x-a": "ab"}),
    "mixed": (
        any_of((header("x-b", "1"), all_of((said("request.headers['x-a'].startsWith('q')"), header("x-c", "1"))))),
        {"x-a": "qq", "x-c": "1"},
        {"x-a": "qq"},
    ),
    "two expressions": (
        all_of((said("request.headers['x-a'] == '1'"), said("request.headers['x-b'] == '2'"))),
        {"x-a": "1", "x-b": "2"},
        {"x-a": "1"},
    ),
    "and regex": (said("request.headers['x-a'].matches('^[a-c]+$')"), {"x-a": "abc"}, {"x-a": "xabc"}),
    "header by hyphen": (said("has(request.headers.accept)"), {"accept": "a"}, {}),
}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """One proxy with a rule for each case, each for a path of its own."""
    denials = [
        Denial(
            f"mixer-{number:04}",
            all_of((PathFits(TextMatch(EXACT, f"/{number}")), condition)),
            Reply(400 + number, (f"100% no: {name}: ", Shown(header="x-a"))),
            RULE,
        )
        for number, (name, (condition, _, _)) in enumerate(CASES.items())
    ]
    plan = ProxyPlan(Role.GATEWAY, (), (), guards=Guards(Guard(mixer=MixerGuard(Checks(tuple(denials))))))
    with guarded(plan, tmp_path_factory.mktemp("mixer")) as made:
        yield made


@pytest.mark.parametrize("name", CASES)
def test_a_condition_fits_what_it_says(proxy: Guarded, name: str) -> None:
    number = list(CASES).index(name)
    _, refused, passed = CASES[name]
    answer = proxy.ask(f"/{number}?x=1", **_named(refused))
    assert (answer.status, answer.body) == (400 + number, f"100% no: {name}: {refused.get('x-a', '-')}")
    assert proxy.ask(f"/{number}", **_named(passed)).status == 200


def test_connections_are_refused_too(tmp_path: Path) -> None:
    refused = Denial("mixer-0000", AddressIn("127.0.0.0/8"), Reply(403, ("no",)), RULE)
    plan = ProxyPlan(Role.GATEWAY, (), (), guards=Guards(Guard(mixer=MixerGuard(connections=Checks((refused,))))))
    with guarded(plan, tmp_path) as made:
        assert made.echo() == b""
        assert made.ask("/").status == 200


def test_connections_that_no_rule_fits_ask_nobody(tmp_path: Path) -> None:
    asked = RemoteCheck((GatedRule("mixer-0000", AddressIn("10.0.0.0/8"), RULE),))
    plan = ProxyPlan(Role.GATEWAY, (), (), guards=Guards(Guard(mixer=MixerGuard(connections=Checks(remote=asked)))))
    with guarded(plan, tmp_path) as made:
        assert made.echo() == b"hello"


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("-", "_"): value.encode().decode("latin-1") for name, value in headers.items()}
