"""Traffic rules and requests by chance, from few words, so that many of them meet."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from .mixer_chance import Chance as MixerChance

NETWORKING = "networking.istio.io/v1"
OWN = "lateen.dev/v1"
SERVICES = ("a", "b", "c")
VERSIONS = ("v1", "v2")
PATHS = ("/", "/a", "/a/", "/a/b", "/A", "/item/12", "/item/x")
USERS = ("ann", "anna", "bob", "")
QUERIES = ("", "?q=1", "?q=12&r=", "?r=x&q=1&q=2")
METHODS = ("GET", "POST", "PUT", "DELETE")
STRANGERS = ("shop.example", "www.shop.example", "other.example")
Document = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Sent:
    """A request as it is sent to a listener."""

    method: str
    path: str
    authority: str
    headers: tuple[tuple[str, str], ...]


class Chance:
    """Rules and requests by chance for one namespace, which is a world of its own."""

    def __init__(self, seed: int, namespace: str) -> None:
        self._random = Random(seed)
        self.namespace = namespace

    def services(self) -> list[Document]:
        """The services, whose workloads have the port `web`."""
        ports = [{"name": "http", "port": 9080, "targetPort": "web"}]
        return [
            _document("v1", "Service", self.namespace, name, selector={"app": name}, ports=ports) for name in SERVICES
        ]

    def mesh_rules(self) -> list[Document]:
        """VirtualServices for sidecars, and DestinationRules."""
        rules = [self._virtual_service(f"mesh-{number}", self._hosts(), None) for number in range(self._count(1, 4))]
        return [*rules, *self._destination_rules()]

    def gateway_rules(self) -> list[Document]:
        """A Gateway on port 80, VirtualServices behind it, and in front of it policies, keys, limits and Mixer's rules."""
        own = self.namespace
        hosts = self._some(("*", "shop.example", "*.shop.example", "a"), 1, 3)
        server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": hosts}
        gateway = _document(NETWORKING, "Gateway", own, "edge", selector={"gate": own}, servers=[server])
        rules = [
            self._virtual_service(
                f"edge-{number}", self._some(("*", "shop.example", "*.shop.example", "a"), 1, 2), "edge"
            )
            for number in range(self._count(1, 3))
        ]
        care = (*self._policies(), *self._keys(), *self._limits(), *self._mixer_rules())
        return [gateway, *rules, *self._destination_rules(), *care]

    def request(self) -> Sent:
        """A request."""
        name = self._random.choice(SERVICES)
        short = (name, f"{name}:9080", f"{name}.{self.namespace}", f"{name}.{self.namespace}.svc.cluster.local:9080")
        headers = []
        if self._is(0.6):
            headers.append(("x-user", self._random.choice(USERS)))
        if self._is(0.3):
            headers.append(("x-debug", "1"))
        if self._is(0.8):
            headers.append(("x-key", self._random.choice(("good", "good", "good", "bad"))))
        return Sent(
            self._random.choice(METHODS),
            self._random.choice(PATHS) + self._random.choice(QUERIES),
            self._random.choice((*short, *STRANGERS)),
            tuple(headers),
        )

    def _hosts(self) -> list[str]:
        own = self.namespace
        return self._some((*SERVICES, f"a.{own}.svc.cluster.local", f"*.{own}.svc.cluster.local", *STRANGERS[:2]), 1, 2)

    def _virtual_service(self, name: str, hosts: list[str], gateway: str | None) -> Document:
        spec: Document = {"hosts": hosts, "http": [self._rule() for _ in range(self._count(1, 4))]}
        if gateway is not None:
            spec["gateways"] = [gateway]
        return _document(NETWORKING, "VirtualService", self.namespace, name, **spec)

    def _destination_rules(self) -> list[Document]:
        found = []
        for name in SERVICES:
            if self._is(0.7):
                subsets = [{"name": version, "labels": {"version": version}} for version in VERSIONS]
                subsets.append({"name": "empty", "labels": {"version": "v9"}})
                found.append(_document(NETWORKING, "DestinationRule", self.namespace, name, host=name, subsets=subsets))
        return found

    def _policies(self) -> list[Document]:
        found = []
        for number in range(self._count(0, 2)):
            operation = self._random.choice(
                (
                    {"paths": ["/a*"]},
                    {"methods": ["DELETE", "PUT"]},
                    {"hosts": ["shop.example"]},
                    {"notPaths": ["/item/*"]},
                )
            )
            action = self._random.choice(("ALLOW", "DENY", "DENY"))
            found.append(
                _document(
                    "security.istio.io/v1",
                    "AuthorizationPolicy",
                    self.namespace,
                    f"policy-{number}",
                    selector={"matchLabels": {"gate": self.namespace}},
                    action=action,
                    rules=[{"to": [{"operation": operation}]}],
                )
            )
        return found

    def _keys(self) -> list[Document]:
        if self._is(0.6):
            return []
        own = self.namespace
        metadata = {"name": "keys", "namespace": own}
        content = {"ann": "good", "bob": "other"} if self._is(0.8) else {"bob": "other"}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": content}
        sources = self._some(({"header": "x-key"}, {"header": "x-user"}, {"cookie": "key"}), 1, 2)
        asked = _document(
            OWN, "ApiKeyAuthentication", own, "keys", **self._selected(), secret={"name": "keys"}, **{"from": sources}
        )
        return [asked, secret] if self._is(0.8) else [asked]

    def _limits(self) -> list[Document]:
        if self._is(0.5):
            return []
        limit: Document = {"rate": f"{self._random.choice((1, 2, 1000))}/hour"}
        if self._is(0.7):
            limit["match"] = self._random.choice(
                ({"paths": ["/a*"]}, {"methods": ["GET"]}, {"headers": {"x-user": {"exact": "ann"}}}, {"hosts": ["a"]})
            )
        if self._is(0.5):
            limit["by"] = self._some(("request.headers[x-user]", "request.method", "request.path"), 1, 2)
        return [_document(OWN, "RateLimit", self.namespace, "limits", **self._selected(), limits=[limit])]

    def _mixer_rules(self) -> list[Document]:
        words = MixerChance(self._random.randrange(10**9))
        found = words.documents() if self._is(0.4) else []
        return [{**one, "metadata": {**one["metadata"], "namespace": self.namespace}} for one in found]

    def _selected(self) -> Document:
        return {"selector": {"matchLabels": {"gate": self.namespace}}}

    def _rule(self) -> Document:
        rule: Document = {"match": [self._match() for _ in range(self._count(0, 3))]}
        kind = self._random.choice(("route",) * 6 + ("redirect", "answer"))
        if kind == "redirect":
            return rule | {"redirect": self._redirect()}
        if kind == "answer":
            return rule | {
                "directResponse": {"status": self._random.choice((200, 404, 503)), "body": {"string": "own"}}
            }
        rule["route"] = self._route()
        if self._is(0.2):
            rule["fault"] = {"abort": {"httpStatus": 418, "percentage": {"value": self._random.choice((100, 0))}}}
        if self._is(0.4):
            rule["rewrite"] = self._rewrite()
        if self._is(0.2):
            rule["headers"] = {"request": {"set": {"x-user": "eve"}}}
        if self._is(0.2):
            rule["timeout"] = "5s"
        return rule

    def _route(self) -> list[Document]:
        count = self._random.choice((1, 1, 1, 2, 3))
        branches = []
        for _ in range(count):
            destination: Document = {"host": self._random.choice((*SERVICES, *SERVICES, "nowhere"))}
            if self._is(0.5):
                destination["subset"] = self._random.choice(("v1", "v2", "v2", "empty", "missing"))
            branches.append({"destination": destination, "weight": self._random.choice((0, 50, 100))})
        if count > 1 and not any(branch["weight"] for branch in branches):
            branches[0]["weight"] = 1
        return branches

    def _match(self) -> Document:
        makers: tuple[Callable[[], Document], ...] = (
            lambda: {"uri": self._text(("/", "/a", "/a/b", "/item/"), r"/item/[0-9]+")},
            lambda: {"uri": {"prefix": "/A"}, "ignoreUriCase": True},
            lambda: {"method": {"exact": self._random.choice(METHODS)}},
            lambda: {"headers": {"x-user": self._text(("ann", "bob"), "ann.*")}},
            lambda: {"headers": {"x-debug": {}}},
            lambda: {"withoutHeaders": {"x-user": self._text(("ann",), "b.*")}},
            lambda: {"withoutHeaders": {"x-debug": {}}},
            lambda: {"queryParams": {"q": self._text(("1",), "[0-9]+")}},
            lambda: {"authority": {"prefix": "a"}},
            lambda: {"port": self._random.choice((9080, 80))},
            lambda: {"sourceLabels": {"app": self._random.choice(("client", "other"))}},
            lambda: {"sourceNamespace": self._random.choice((self.namespace, "elsewhere"))},
            lambda: {"gateways": [self._random.choice(("mesh", "edge", "another"))]},
        )
        found: Document = {}
        for maker in self._random.sample(makers, self._random.choice((1, 1, 2, 2, 3))):
            for name, value in maker().items():
                found.setdefault(name, value)
        return found

    def _text(self, words: tuple[str, ...], regex: str) -> Document:
        kind = self._random.choice(("exact", "prefix", "regex"))
        return {kind: regex if kind == "regex" else self._random.choice(words)}

    def _redirect(self) -> Document:
        choices: tuple[Document, ...] = (
            {"uri": "/moved"},
            {"authority": "elsewhere.example", "redirectCode": 302},
            {"scheme": "https"},
            {"prefixRewrite": "/b", "port": 8443},
            {"uri": "/x", "derivePort": "FROM_REQUEST_PORT"},
        )
        return self._random.choice(choices)

    def _rewrite(self) -> Document:
        choices: tuple[Document, ...] = (
            {"uri": "/new"},
            {"authority": "new.example"},
            {"uri": "/", "authority": "new.example"},
            {"uriRegexRewrite": {"match": "/item/(.*)", "rewrite": r"/\1"}},
        )
        return self._random.choice(choices)

    def _some(self, words: tuple[T, ...], least: int, most: int) -> list[T]:
        return self._random.sample(words, self._count(least, most))

    def _count(self, least: int, most: int) -> int:
        return self._random.randint(least, most)

    def _is(self, share: float) -> bool:
        return self._random.random() < share


def _document(version: str, kind: str, namespace: str, name: str, **spec: Any) -> Document:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
