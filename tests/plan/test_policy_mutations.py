"""Valid policies, broken by chance in ten thousand ways: each is refused, or means exactly what its text says.

More are tried with LATEEN_MUTATIONS=100000; LATEEN_SEED chooses others.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from lateen.api import decode
from lateen.api.objects import ConfigObject
from lateen.api.security.authorization_policy import AuthorizationPolicy
from lateen.api.security.peer_authentication import PeerAuthentication
from lateen.api.security.request_authentication import RequestAuthentication
from lateen.model.peers import PeerMode, peer_policies
from lateen.model.policies import Policies
from lateen.model.proxy import Proxy, Role
from lateen.model.workload import WorkloadKey
from lateen.plan import access, authentication, decide, paths
from lateen.plan.cache import PlanCache
from lateen.plan.diagnostics import Notes
from lateen.plan.directory import Directory
from lateen.plan.http_types import BASE_PATHS
from lateen.plan.verdicts import Call
from tests.envoy.policies import Chance, Signer, call_of

from . import literal_policies, worlds

MUTATIONS = int(os.environ.get("LATEEN_MUTATIONS", "10000"))
SEED = int(os.environ.get("LATEEN_SEED", "1"))
PARTS = 4
PORT = 8080
KEYS = Signer().key_set
TEXTS = (
    "",
    "*",
    "**",
    "*a*",
    "/",
    "//",
    "a b",
    "\u0000",
    "ä",
    "{**}/a",
    "/{*}x",
    "1.2.3.4/33",
    "0.0.0.0/0",
    "-1",
    "x" * 300,
)
OTHERS: tuple[Any, ...] = (None, [], {}, 0, 1, 1.5, True, False, "", "null", [None], [[]], [{}], {"": None})
UNKNOWN = ("unknown", "", "rule", "principal", "status", "Rules", "not", "x-y", "matchExpressions", "portlevelMtls")


class Pairs(list[tuple[str, Any]]):
    """A mapping whose keys may come twice."""


def plain(content: Any) -> Any:
    """The document, of keys that come twice the last."""
    if isinstance(content, Pairs):
        return {name: plain(value) for name, value in content}
    return [plain(item) for item in content] if isinstance(content, list) else content


def paired(content: Any) -> Any:
    if isinstance(content, dict):
        return Pairs((name, paired(value)) for name, value in content.items())
    return [paired(item) for item in content] if isinstance(content, list) else content


def written(content: Any) -> str:
    """The document as JSON, keys that come twice included."""
    if isinstance(content, Pairs):
        return "{" + ", ".join(f"{json.dumps(name)}: {written(value)}" for name, value in content) + "}"
    return f"[{', '.join(map(written, content))}]" if isinstance(content, list) else json.dumps(content)


def repeats(content: Any) -> bool:
    """Tell whether a key comes twice in one of the mappings."""
    if isinstance(content, Pairs):
        names = [name for name, _ in content]
        return len(set(names)) < len(names) or any(repeats(value) for _, value in content)
    return isinstance(content, list) and any(map(repeats, content))


class Breaker:
    """Breaks documents; the same seed breaks them in the same ways."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def broken(self, document: dict[str, Any]) -> Any:
        """The document with one to three changes somewhere, most of them below its spec."""
        content = paired(document)
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            spec = next((value for name, value in content if name == "spec"), None)
            inside = isinstance(spec, Pairs | list) and spec and self._random.random() < 0.9
            self._change(self._somewhere(spec if inside else content))
        return content

    def _somewhere(self, content: Any) -> Any:
        """Choose one of the mappings and lists that are not empty, at any depth."""
        found = [content]
        for holder in found:
            values = [value for _, value in holder] if isinstance(holder, Pairs) else holder
            found += [value for value in values if isinstance(value, list) and value]
        return self._random.choice(found)

    def _change(self, holder: Any) -> None:
        position = self._random.randrange(len(holder))
        if isinstance(holder, Pairs):
            self._change_pair(holder, position)
            return
        match self._random.randrange(4):
            case 0:
                del holder[position]
            case 1:
                holder.insert(position, holder[position])
            case 2:
                holder[position] = self._other(holder[position])
            case _:
                holder.append(self._other(holder[position]))

    def _change_pair(self, holder: Pairs, position: int) -> None:
        name, value = holder[position]
        match self._random.randrange(6):
            case 0:
                del holder[position]
            case 1:
                holder.append((name, self._random.choice((value, self._other(value)))))
            case 2:
                holder.append((self._random.choice((*UNKNOWN, f"{name}s", _snake(name))), value))
            case 3:
                holder[position] = (self._random.choice((name.upper(), name.title(), _snake(name), f"{name} ")), value)
            case _:
                holder[position] = (name, self._other(value))

    def _other(self, value: Any) -> Any:
        if isinstance(value, str) and self._random.random() < 0.6:
            texts = (value.lower(), value.upper(), f"{value}*", f"*{value}", f" {value}", value[:-1], value[1:], *TEXTS)
            return self._random.choice(texts)
        if self._random.random() < 0.3:
            return self._random.choice(([value], value[0] if isinstance(value, list) and value else value))
        return paired(self._random.choice(OTHERS))


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def bases(chance: Chance, random: Random) -> Iterator[dict[str, Any]]:
    """Yield valid documents without end."""
    while True:
        yield _document("AuthorizationPolicy", _selected(chance.policy("p", PORT), random)["spec"])
        yield chance.policy("p", PORT)
        rules = [chance.rule(PORT)]
        yield _document("AuthorizationPolicy", {"action": "CUSTOM", "provider": {"name": "nobody"}, "rules": rules})
        rule = {
            **chance.issuer("https://one.example", KEYS),
            "audiences": ["shop"],
            "fromHeaders": [{"name": "x-token"}],
        }
        yield _document("RequestAuthentication", {"jwtRules": [rule], "selector": {"matchLabels": {"app": "shop"}}})
        selector = {"matchLabels": {"app": "shop"}}
        ports = {str(PORT): {"mode": random.choice(literal_policies.MODES)}}
        mode = {"mode": random.choice(literal_policies.MODES)}
        yield _document("PeerAuthentication", {"selector": selector, "mtls": mode, "portLevelMtls": ports})
        yield _document("PeerAuthentication", {"mtls": {"mode": "STRICT"}})


def _document(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "p", "namespace": "default"}
    return {"apiVersion": "security.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _selected(document: dict[str, Any], random: Random) -> dict[str, Any]:
    if random.random() < 0.5:
        document["spec"]["selector"] = {"matchLabels": {"app": "shop", "tier": "front"}}
    return document


@pytest.fixture(scope="module")
def directory() -> Directory:
    return Directory(worlds.view(worlds.snapshot("")), PlanCache())


@pytest.mark.parametrize("part", range(PARTS))
def test_a_broken_policy_is_refused_or_means_what_it_says(part: int, directory: Directory) -> None:
    seed = SEED * 1_000_003 + part
    chance, breaker, random = Chance(seed), Breaker(seed), Random(seed)
    calls = [call_of(chance.call(), PORT) for _ in range(40)]
    became: Counter[str] = Counter()
    for _, base in zip(range(MUTATIONS // PARTS), bases(chance, random), strict=False):
        content = breaker.broken(base)
        decoded = decode.decode_yaml(written(content), "x.yaml")
        if decoded.errors:
            assert not decoded.objects, written(content)
            became["refused"] += 1
        else:
            became["accepted"] += 1
            _check_meaning(content, decoded, directory, random.sample(calls, 6))
    assert min(became["refused"], became["accepted"]) > MUTATIONS // PARTS // 10, became


def _check_meaning(content: Any, decoded: decode.Decoded, directory: Directory, calls: list[Call]) -> None:
    document = plain(content)
    text = written(content)
    assert not repeats(content), f"a key comes twice: {text}"
    shape = literal_policies.SHAPES.get(document["kind"])
    if shape is None:
        return
    allowed = {"apiVersion", "kind", "metadata", "spec", "status"}
    assert document.keys() <= allowed, text
    faults = [] if document.get("spec") is None else list(literal_policies.unreadable(document["spec"], shape))
    assert not faults, f"{faults}: {text}"
    (item,) = decoded.objects
    _check_reach(document, item, text)
    if isinstance(item.spec, AuthorizationPolicy):
        rules = access.access([item], directory, Notes())  # type: ignore[list-item]
        for call in calls:
            seen = _normalized(call)
            meant = literal_policies.lets_pass(document, seen)
            assert decide.ruled(rules, seen).outcome is _outcome(meant), f"{seen}: {text}"
    elif isinstance(item.spec, RequestAuthentication):
        _check_issuers(document, item, directory, text)
    elif isinstance(item.spec, PeerAuthentication):
        _check_mode(document, item, text)


def _outcome(passes: bool) -> decide.Outcome:
    return decide.Outcome.ALLOWED if passes else decide.Outcome.DENIED


def _normalized(call: Call) -> Call:
    path = paths.read(BASE_PATHS, call.path)
    assert path is not None
    return replace(call, path=path)


LABELS = ({}, {"app": "shop"}, {"app": "shop", "tier": "front"})


def _check_reach(document: dict[str, Any], item: ConfigObject[Any], text: str) -> None:
    """See that a policy is held to by the workloads that its selector names, and by no others."""
    spec, place = document.get("spec") or {}, document["metadata"].get("namespace") or "default"
    if isinstance(item.spec, PeerAuthentication) or "targetRef" in spec or "targetRefs" in spec:
        return
    wanted = (spec.get("selector") or {}).get("matchLabels") or {}
    for labels in LABELS:
        proxy = Proxy(WorkloadKey("default", "shop"), Role.SIDECAR, labels)
        found = Policies([item], "istio-system").of(proxy, (), ())
        meant = place in ("default", "istio-system") and wanted.items() <= labels.items()
        assert bool(found) is meant, f"{labels}: {text}"


def _check_issuers(document: dict[str, Any], item: ConfigObject[Any], directory: Directory, text: str) -> None:
    found = authentication.issuers([item], directory, Notes())
    meant = (document.get("spec") or {}).get("jwtRules", ())
    said = {(one["issuer"], _keys(one.get("jwks")), tuple(one.get("audiences", ()))) for one in meant}
    assert {(one.issuer, _keys(one.keys), one.audiences) for one in found} == said, text
    headers = {
        tuple((one["name"].lower(), one.get("prefix", "")) for one in rule.get("fromHeaders", ())) for rule in meant
    }
    assert {tuple((name.lower(), prefix) for name, prefix in one.headers) for one in found} == headers, text


def _keys(text: str | None) -> str:
    return json.dumps(json.loads(text), sort_keys=True) if text else ""


def _check_mode(document: dict[str, Any], item: ConfigObject[Any], text: str) -> None:
    spec, place = document.get("spec") or {}, document["metadata"].get("namespace") or "default"
    wanted = (spec.get("selector") or {}).get("matchLabels") or {}
    for labels in LABELS:
        is_meant = place in ("default", "istio-system") and wanted.items() <= labels.items()
        if place == "istio-system" and wanted:
            is_meant = False
        mode = spec.get("mtls", {}).get("mode", "UNSET") if is_meant else "UNSET"
        for port in (PORT, 1):
            own = spec.get("portLevelMtls", {}).get(str(port), {}).get("mode", "UNSET") if is_meant else "UNSET"
            settled = next((one for one in (own, mode) if one != "UNSET"), "PERMISSIVE")
            found = peer_policies([item], "istio-system").of("default", labels).of(port)
            assert found is PeerMode(settled), f"{labels} {port}: {text}"
