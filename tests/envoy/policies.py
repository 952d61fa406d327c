"""Policies and calls by chance, from few words, so that many of them meet."""

import base64
import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from lateen.plan.verdicts import Call

IDENTITIES = (
    "cluster.local/ns/default/sa/web",
    "cluster.local/ns/default/sa/web-admin",
    "cluster.local/ns/prod/sa/web",
    "old.example/ns/default/sa/web",
)
HOSTS = ("shop.example.com", "SHOP.example.com", "shop.example.com:8080", "example.com", "shop", "[2001:db8::1]:80")
METHODS = ("GET", "POST", "PUT", "DELETE", "PURGE")
PATHS = (
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/a/b/c",
    "/a//b",
    "/a/../b",
    "/a/%2e%2e/b",
    "/a%2fb",
    "/a;v=1/b",
    "/a?q=/b",
    "/A/b",
    "/a.b",
    "/%61",
    "/a/%E4",
    "/b/a",
    "/b",
    "/a/./b",
    "/a\\b",
    "/a+b/(c)",
)
TEMPLATES = ("/{*}", "/a/{*}", "/{*}/b", "/a/{**}", "/{**}", "/{*}/{*}", "/a/{*}/c")
NAMES = ("x-user", "x-tier")
VALUES = ("alice", "alice,bob", "bob", "1", "")
ADDRESSES = ("127.0.0.1", "127.0.0.2")
FORWARDED = ("", "10.1.2.3", "192.0.2.9", "2001:db8::7", "192.0.2.9, 10.1.2.3")
BLOCKS = ("127.0.0.1", "127.0.0.0/8", "127.0.0.2/31", "10.0.0.0/8", "10.1.2.3/32", "2001:db8::/32", "0.0.0.0/0", "::/0")
SERVER_NAMES = ("", "a.example.com", "b.example.com")
ISSUERS = ("https://one.example", "two")
CLAIMS: tuple[dict[str, Any], ...] = (
    {"iss": ISSUERS[0], "sub": "alice"},
    {"iss": ISSUERS[0], "sub": "team/bob", "aud": "shop", "azp": "app", "groups": ["dev", "ops"]},
    {
        "iss": ISSUERS[1],
        "sub": "alice",
        "aud": ["shop", "bank"],
        "scope": "read write",
        "level": 3,
        "realm": {"roles": ["a"]},
    },
    {"iss": ISSUERS[1], "groups": "dev", "azp": "app", "realm": {"roles": "a", "name": "x"}, "admin": True, "sub": ""},
    {"iss": "https://unknown.example", "sub": "alice"},
)
WORDS = {
    "principals": IDENTITIES,
    "requestPrincipals": (f"{ISSUERS[0]}/alice", f"{ISSUERS[0]}/team/bob", "two/alice"),
    "namespaces": ("default", "prod"),
    "hosts": HOSTS,
    "methods": METHODS[:5],
    "paths": ("/", "/a", "/a/", "/a/b", "/b", "/a//b", "/A/b", "/a.b", "/a%2fb", "/a+b/(c)", "/a;v=1/b"),
}
WHEN = {
    "request.auth.audiences": ("shop", "bank", "https://none"),
    "request.auth.presenter": ("app", "shop"),
    "request.auth.principal": WORDS["requestPrincipals"],
    "request.auth.claims[groups]": ("dev", "ops"),
    "request.auth.claims[scope]": ("read", "write", "read write"),
    "request.auth.claims[level]": ("3", "4"),
    "request.auth.claims[admin]": ("true", "false"),
    "request.auth.claims[iss]": ISSUERS,
    "request.auth.claims[realm][roles]": ("a", "b"),
    "request.auth.claims[realm][name]": ("x", "y"),
    "request.headers[x-user]": ("alice", "bob", "alice,bob"),
    "request.headers[X-Tier]": ("1", "alice"),
    "request.headers[:method]": METHODS[:3],
    "request.headers[:path]": ("/a?q=/b", "/a/b"),
    "request.headers[:authority]": HOSTS,
    "source.namespace": ("default", "prod"),
    "source.principal": IDENTITIES,
    "source.serviceAccount": ("default/web", "prod/web", "default/web-admin"),
    "source.trustDomain": ("cluster.local", "old.example", "other.example"),
    "connection.sni": SERVER_NAMES[1:],
}


@dataclass(frozen=True)
class Sent:
    """What a client sends, and as whom: `identity` None without TLS, `claims` None without a token."""

    identity: str | None = None
    server_name: str = ""
    address: str = ADDRESSES[0]
    forwarded: str = ""
    host: str = HOSTS[0]
    method: str = "GET"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    claims: int | None = None
    is_http: bool = True


@dataclass(frozen=True)
class Signer:
    """Signs tokens, and tells by what they can be verified."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def key_set(self) -> str:
        """The JSON Web Key Set."""
        point = self.key.public_key().public_numbers()
        x, y = (_base64(number.to_bytes(32, "big")) for number in (point.x, point.y))
        return json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "x": x, "y": y}]})

    def token(self, claims: dict[str, Any]) -> str:
        """A token that is good for a long time."""
        head = _base64(json.dumps({"alg": "ES256", "typ": "JWT"}).encode())
        text = f"{head}.{_base64(json.dumps({**claims, 'exp': 4_000_000_000}).encode())}"
        r, s = decode_dss_signature(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_base64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


class Chance:
    """Draws policies and calls; the same seed draws the same."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def documents(self, key_set: str, port: int) -> list[dict[str, Any]]:
        """A few policies for one workload's port."""
        found = [self.policy(f"p{number}", port) for number in range(self._random.choice((1, 1, 2, 3)))]
        if self._random.random() < 0.8:
            rules = [self.issuer(issuer, key_set) for issuer in ISSUERS[: self._random.choice((1, 2, 2))]]
            spec = {"jwtRules": rules}
            found.append(_document("RequestAuthentication", "tokens", spec))
        return found

    def crowd(self, key_set: str, port: int) -> list[dict[str, Any]]:
        """So many narrow rules of one action that they are told with fewer, and a policy of any action."""
        action = self._random.choice(("ALLOW", "ALLOW", "DENY", "AUDIT"))
        rules = [self.narrow_rule(port) for _ in range(self._random.randint(8, 24))]
        halves = (rules[: len(rules) // 2], rules[len(rules) // 2 :])
        crowd = [
            _document("AuthorizationPolicy", f"c{number}", {"action": action, "rules": half})
            for number, half in enumerate(halves)
        ]
        issuers = [self.issuer(issuer, key_set) for issuer in ISSUERS]
        others = [self.policy("other", port)] if self._random.random() < 0.3 else []
        return [*crowd, *others, _document("RequestAuthentication", "tokens", {"jwtRules": issuers})]

    def narrow_rule(self, port: int) -> dict[str, Any]:
        """A rule that asks for a caller and for what is called, so that some of many match and others do not."""
        found: dict[str, Any] = {"from": [{"source": {"principals": [self._random.choice(IDENTITIES)]}}]}
        if self._random.random() < 0.3:
            found["from"] = [{"source": self._source()} for _ in range(2)]
        found["to"] = [{"operation": {"paths": [self._pattern(self._random.choice(WORDS["paths"]), starts="/")]}}]
        if self._random.random() < 0.3:
            found["to"] = [{"operation": self._operation(port)}]
        if self._random.random() < 0.3:
            found["when"] = [self._condition(port)]
        return found

    def issuer(self, issuer: str, key_set: str) -> dict[str, Any]:
        """One issuer, for any audience most of the time."""
        audiences = {"audiences": ["shop"]} if self._random.random() < 0.2 else {}
        return {"issuer": issuer, "jwks": key_set, "forwardOriginalToken": True, **audiences}

    def policy(self, name: str, port: int) -> dict[str, Any]:
        """A policy of any action that needs no other server."""
        action = self._random.choice(("ALLOW", "ALLOW", "DENY", "DENY", "AUDIT"))
        rules = [self.rule(port) for _ in range(self._random.choice((0, 1, 1, 1, 2, 3)))]
        document = _document("AuthorizationPolicy", name, {"action": action, "rules": rules})
        if self._random.random() < 0.1 and action != "AUDIT":
            document["metadata"]["annotations"] = {"istio.io/dry-run": "true"}
        return document

    def rule(self, port: int) -> dict[str, Any]:
        """A rule that asks for a few things, or for nothing."""
        found: dict[str, Any] = {}
        if self._random.random() < 0.5:
            found["from"] = [{"source": self._source()} for _ in range(self._random.choice((1, 1, 2)))]
        if self._random.random() < 0.6:
            found["to"] = [{"operation": self._operation(port)} for _ in range(self._random.choice((1, 1, 2)))]
        if self._random.random() < 0.4:
            found["when"] = [self._condition(port) for _ in range(self._random.choice((1, 1, 2)))]
        return found

    def call(self) -> Sent:
        """What a client may send."""
        pick, identity = self._random.choice, self._random.choice((None, *IDENTITIES, *IDENTITIES))
        headers = tuple((name, pick(VALUES)) for name in NAMES if self._random.random() < 0.4)
        if headers and self._random.random() < 0.4:
            headers += ((headers[0][0], pick(VALUES)),)
        return Sent(
            identity,
            pick(SERVER_NAMES) if identity else "",
            pick(ADDRESSES),
            pick(FORWARDED) if self._random.random() < 0.3 else "",
            pick(HOSTS),
            pick(("GET", "GET", *METHODS)),
            pick(PATHS),
            headers,
            pick(range(len(CLAIMS))) if self._random.random() < 0.5 else None,
        )

    def connection(self) -> Sent:
        """A connection that is not HTTP."""
        identity = self._random.choice((None, *IDENTITIES))
        name = self._random.choice(SERVER_NAMES) if identity else ""
        return Sent(identity, name, self._random.choice(ADDRESSES), is_http=False)

    def _source(self) -> dict[str, Any]:
        fields = self._some(
            "principals", "requestPrincipals", "namespaces", "ipBlocks", "remoteIpBlocks", "trustDomains"
        )
        found = {self._maybe_not(name): self._values(name) for name in fields}
        if self._random.random() < 0.15:
            return {"serviceAccounts": [self._random.choice(("web", "prod/web", "web-admin"))]}
        return found

    def _operation(self, port: int) -> dict[str, Any]:
        fields = self._some("hosts", "methods", "paths", "paths", "ports")
        return {self._maybe_not(name): self._values(name, port) for name in fields}

    def _condition(self, port: int) -> dict[str, Any]:
        key = self._random.choice((*WHEN, "source.ip", "remote.ip", "destination.ip", "destination.port"))
        found: dict[str, Any] = {"key": key}
        for name in self._random.choice((("values",), ("values",), ("notValues",), ("values", "notValues"))):
            if key.endswith(".ip"):
                found[name] = self._sample(BLOCKS)
            elif key.endswith(".port"):
                found[name] = [str(self._random.choice((port, 1)))]
            else:
                found[name] = [self._pattern(word) for word in self._sample(WHEN[key])]
        return found

    def _values(self, name: str, port: int = 0) -> list[str]:
        if name.lower().endswith("ipblocks"):
            return self._sample(BLOCKS)
        if name == "ports":
            return [str(self._random.choice((port, port, 1)))]
        if name == "trustDomains":
            return [self._pattern(word) for word in self._sample(WHEN["source.trustDomain"])]
        found = [self._pattern(word, starts="/" if name == "paths" else "") for word in self._sample(WORDS[name])]
        if name == "paths" and self._random.random() < 0.25:
            found.append(self._random.choice(TEMPLATES))
        return found

    def _pattern(self, word: str, starts: str = "") -> str:
        """Return a text that the word fits: itself, its beginning, its end, or `*`."""
        chance, cut = self._random.random(), self._random.randint(1, max(1, len(word) - 1))
        if chance < 0.6:
            return word
        if chance < 0.75:
            return f"{word[:cut]}*"
        if chance < 0.93:
            return f"*{word[cut:]}" if cut < len(word) else "*"
        return "*"

    def _some(self, *names: str) -> list[str]:
        return list(dict.fromkeys(self._random.choice(names) for _ in range(self._random.choice((1, 1, 2, 3)))))

    def _sample(self, words: tuple[str, ...]) -> list[str]:
        return self._random.sample(words, self._random.randint(1, min(2, len(words))))

    def _maybe_not(self, name: str) -> str:
        return f"not{name[0].upper()}{name[1:]}" if self._random.random() < 0.25 else name


def call_of(sent: Sent, port: int) -> Call:
    """What the server's proxy knows of what a client sends."""
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in sent.headers:
        headers[name] = (*headers.get(name, ()), value)
    return Call(
        principal=f"spiffe://{sent.identity}" if sent.identity else "",
        source_ip=sent.address,
        remote_ip=sent.forwarded.rpartition(",")[2].strip() if sent.is_http else "",
        destination_ip=ADDRESSES[0],
        destination_port=port,
        sni=sent.server_name,
        is_http=sent.is_http,
        host=sent.host,
        method=sent.method,
        path=sent.path,
        headers=headers,
        claims=None if sent.claims is None else CLAIMS[sent.claims],
    )


def _document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": "default"}
    return {"apiVersion": "security.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
