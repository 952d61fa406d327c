"""Rules of Mixer and calls by chance, from few words, so that many of them meet."""

import json
from dataclasses import dataclass
from ipaddress import ip_address
from random import Random
from typing import Any

from lateen.auth.attestation import Attested
from lateen.mixer.values import Attributes, Value
from lateen.model.workload import Workload, WorkloadKey
from lateen.names import Identity

ADDRESSES = ("127.0.0.1", "127.0.0.2")
WORDS = ("a", "ab", "b", "A", "v1", "")
HEADERS = ("x-user", "x-tier")
METHODS = ("GET", "POST")
PATHS = ("/a", "/a/b", "/b?q=/a", "/ab", "/")
HOSTS = ("shop", "shop.example.com")
SPANS = ("127.0.0.1", "127.0.0.0/31", "127.0.0.2/31", "10.0.0.0/8", "::1/128")
CODES = (3, 5, 7, 8, 13, 16)


@dataclass(frozen=True)
class Caller:
    """A workload that calls, with all that its certificate says, and what only the directory knows."""

    namespace: str
    name: str
    owner: str
    app: str = ""
    version: str = ""
    tier: str = ""

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return {
            key: value for key, value in (("app", self.app), ("version", self.version), ("tier", self.tier)) if value
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The names in its certificate."""
        identity = Identity("cluster.local", self.namespace, self.owner)
        return Attested(identity, self.name, self.app, self.version, owner=self.owner).dns_names

    @property
    def principal(self) -> str:
        """Its identity without the scheme."""
        return f"cluster.local/ns/{self.namespace}/sa/{self.owner}"


CALLERS = (
    Caller("default", "web-1", "web", "a", "v1", "gold"),
    Caller("default", "web-2", "web", "a", "v1", "tin"),
    Caller("prod", "web-1", "web", "ab", "v1"),
    Caller("default", "bare-1", "bare"),
    Caller("default", "odd-1", "odd", "a.b", "v_1.x", "gold"),
)
WORKLOADS = tuple(
    Workload(WorkloadKey(one.namespace, one.name), f"10.0.0.{number}", one.labels, one.owner, owner=one.owner)
    for number, one in enumerate(CALLERS, start=1)
)
OWN_LABELS = {"app": "ratings", "version": "v1"}


@dataclass(frozen=True)
class Sent:
    """What a client sends, and as whom; None without TLS."""

    caller: int | None
    address: str
    host: str
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]

    @property
    def bag(self) -> Attributes:
        """The attributes of the request."""
        headers = {**dict(self.headers), ":method": self.method, ":path": self.path, ":authority": self.host}
        headers["content-length"] = "0"
        found: dict[str, Value] = {
            "source.ip": ip_address(self.address),
            "destination.labels": OWN_LABELS,
            "destination.namespace": "default",
            "context.reporter.kind": "inbound",
            "context.protocol": "http",
            "connection.mtls": self.caller is not None,
            "request.headers": headers,
            "request.host": self.host,
            "request.method": self.method,
            "request.path": self.path,
            "request.url_path": self.path.partition("?")[0],
            "request.size": 0,
        }
        if self.caller is not None:
            caller = CALLERS[self.caller]
            found["source.principal"] = caller.principal
            found["source.namespace"] = found["source.workload.namespace"] = caller.namespace
            found["source.name"] = caller.name
            found["source.uid"] = f"kubernetes://{caller.name}.{caller.namespace}"
            found["source.workload.name"] = caller.owner
            found["source.labels"] = caller.labels
        return Attributes(found)


class Chance:
    """Draws rules and calls; the same seed draws the same."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def documents(self) -> list[dict[str, Any]]:
        """A few rules with handlers and instances of their own."""
        return [one for number in range(self._random.choice((1, 1, 2, 3, 9))) for one in self._rule(number)]

    def call(self) -> Sent:
        """What a client may send."""
        pick = self._random.choice
        return Sent(
            pick((None, *range(len(CALLERS)), *range(len(CALLERS)))),
            pick(ADDRESSES),
            pick(HOSTS),
            pick(METHODS),
            pick(PATHS),
            tuple((name, pick(WORDS)) for name in HEADERS if self._random.random() < 0.5),
        )

    def _rule(self, number: int) -> list[dict[str, Any]]:
        handler, instance = self._random.choice((self._denier, self._denier, self._list))()
        name = f"r{number}"
        spec: dict[str, Any] = {"actions": [{"handler": name, "instances": [name]}]}
        if self._random.random() < 0.85:
            spec["match"] = self.condition()
        return [
            _document(kind, name, one) for kind, one in (("handler", handler), ("instance", instance), ("rule", spec))
        ]

    def _denier(self) -> tuple[dict[str, Any], dict[str, Any]]:
        params = {"status": {"code": self._random.choice(CODES), "message": self._random.choice(("no", "100 %", "ß"))}}
        return {"compiledAdapter": "denier", "params": params}, {"compiledTemplate": "checknothing"}

    def _list(self) -> tuple[dict[str, Any], dict[str, Any]]:
        kind = self._random.choice(("STRINGS", "STRINGS", "CASE_INSENSITIVE_STRINGS", "REGEX", "IP_ADDRESSES"))
        entries = {"IP_ADDRESSES": SPANS, "REGEX": ("^a", "b$", "v[0-9]", "^$")}.get(kind, WORDS[:5])
        chosen = self._random.sample(entries, self._random.randint(1, 2))
        params = {"overrides": chosen, "entryType": kind, "blacklist": self._random.random() < 0.5}
        value = "source.ip" if kind == "IP_ADDRESSES" else self.text()
        instance = {"compiledTemplate": "listentry", "params": {"value": value}}
        return {"compiledAdapter": "listchecker", "params": params}, instance

    def condition(self, depth: int = 2) -> str:
        """An expression that is true or false."""
        drawn = self._random.random()
        if depth and drawn < 0.25:
            parts = [self.condition(depth - 1) for _ in range(self._random.choice((2, 2, 3)))]
            return "(" + self._random.choice((" && ", " || ")).join(parts) + ")"
        if depth and drawn < 0.32:
            return f"(({self.condition(depth - 1)}) == {self._random.choice(('true', 'false'))})"
        if drawn < 0.65:
            return f"{self.text(depth)} {self._random.choice(('==', '==', '!='))} {self.text(depth)}"
        if drawn < 0.9:
            return self._test(depth)
        sign = self._random.choice(("==", "!="))
        return self._random.choice(
            (
                f'source.ip {sign} ip("{self._random.choice(ADDRESSES)}")',
                f'(source.ip | ip("0.0.0.0")) {sign} ip("127.0.0.2")',
                "connection.mtls",
                "request.size > 0",
                "request.size <= 10",
                'context.reporter.kind == "inbound"',
            )
        )

    def text(self, depth: int = 1) -> str:
        """An expression that is a text, or nothing."""
        drawn = self._random.random()
        if depth and drawn < 0.25:
            parts = [self.text(depth - 1) for _ in range(self._random.choice((2, 3)))]
            return "(" + " | ".join(parts) + ")"
        if depth and drawn < 0.32:
            return f"conditional({self.condition(0)}, {self.text(depth - 1)}, {self.text(depth - 1)})"
        if drawn < 0.5:
            return json.dumps(self._random.choice(WORDS))
        return self._random.choice(
            (
                *(f'request.headers["{name}"]' for name in HEADERS),
                *(f'request.headers["{name}"]' for name in HEADERS),
                "request.method",
                "request.path",
                "request.url_path",
                "request.host",
                'source.labels["app"]',
                'source.labels["app"]',
                'source.labels["version"]',
                'source.labels["tier"]',
                "source.namespace",
                "source.principal",
                "source.workload.name",
                "source.name",
                'destination.labels["app"]',
                'destination.labels["version"]',
                'destination.labels["none"]',
                "context.protocol",
            )
        )

    def _test(self, depth: int) -> str:
        subject = self.text(depth)
        word = self._random.choice((*WORDS, "/a", "web", "cluster", "shop", "GET"))
        if self._random.random() < 0.4:
            return f"match({subject}, {json.dumps(self._random.choice((f'{word}*', f'*{word}', word)))})"
        if self._random.random() < 0.5:
            return f"({subject}).{self._random.choice(('startsWith', 'endsWith'))}({json.dumps(word)})"
        return f"{json.dumps(self._random.choice(('^a', 'b$', 'a+b?', '^/a.b$', 'v[0-9]')))}.matches({subject})"


def _document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "config.istio.io/v1alpha2", "kind": kind, "metadata": metadata, "spec": spec}
