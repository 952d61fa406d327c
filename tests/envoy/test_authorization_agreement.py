"""What the plan's reader says of a call, and what the real Envoy does with it: for policies and calls by chance.

More are tried with LATEEN_POLICY_SETS=2000; LATEEN_SEED chooses others.
"""

import http.client
import json
import os
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from lateen.envoy.transport_sockets import MESH_HTTP_PROTOCOLS, MESH_TCP_PROTOCOLS
from lateen.model.endpoint import Endpoint
from lateen.model.protocol import Protocol
from lateen.model.proxy import Role
from lateen.names import INBOUND_PASSTHROUGH_CLUSTER, inbound_cluster
from lateen.plan import decide, guard
from lateen.plan.cache import PlanCache
from lateen.plan.decide import Decision, Outcome
from lateen.plan.diagnostics import Notes
from lateen.plan.directory import Directory
from lateen.plan.types import (
    Cluster,
    Discovery,
    Guard,
    Guards,
    HttpChain,
    InboundPort,
    MeshTrust,
    ProxyPlan,
    Respond,
    Route,
    RouteTable,
    Target,
    TcpChain,
    VirtualHost,
)
from tests.plan import worlds

from .identities import Authority, client_context, with_files
from .plans import ANY
from .policies import CLAIMS, IDENTITIES, Chance, Sent, Signer, call_of
from .running import HOST, echo_server, running_envoy

pytestmark = pytest.mark.live

SETS = int(os.environ.get("LATEEN_POLICY_SETS", "120"))
SEED = int(os.environ.get("LATEEN_SEED", "1"))
CALLS_PER_SET = 16
SETS_PER_ENVOY = 60
ALIASES = {"trustDomainAliases": ["old.example"]}
AUDITED = "lateen_audit_shadow_effective_policy_id"
TRIED = ("istio_dry_run_deny_shadow_effective_policy_id", "istio_dry_run_allow_shadow_engine_result")


@dataclass(frozen=True)
class Tried:
    """Policies as documents, the guard that they come to, and the port on which it stands."""

    port: int
    documents: list[dict[str, Any]]
    guard: Guard
    is_http: bool


@dataclass(frozen=True)
class Seen:
    """What a client gets: a status, what the proxy says of it (0 and nothing for connections), and what it marked."""

    status: int
    details: str = ""
    audited: str = ""

    @property
    def passed(self) -> bool:
        return self.status == 200


@pytest.mark.parametrize("part", range(-(-SETS // SETS_PER_ENVOY)))
def test_reader_and_envoy_agree(part: int, tmp_path: Path) -> None:
    """Any disagreement is a defect of the one or the other."""
    chance, signer = Chance(SEED * 1_000_003 + part), Signer()
    _agree(chance, signer, partial(chance.documents, signer.key_set), tmp_path)


@pytest.mark.parametrize("part", range(-(-SETS // SETS_PER_ENVOY // 2)))
def test_they_agree_about_many_rules(part: int, tmp_path: Path) -> None:
    """Many rules are told with few, and screened; that must not change what they mean, nor which one is named."""
    chance, signer = Chance(SEED * 1_000_003 + 500_000 + part), Signer()
    _agree(chance, signer, partial(chance.crowd, signer.key_set), tmp_path)


def _agree(chance: Chance, signer: Signer, drawn: Callable[[int], list[dict[str, Any]]], tmp_path: Path) -> None:
    """Draw policies for each of many ports of one Envoy, every sixth not HTTP, and hold calls by chance against them."""
    authority = Authority()
    tried = [_tried(drawn(port), port, number % 6 != 0) for number, port in enumerate(_ports(SETS_PER_ENVOY))]
    with ExitStack() as stack:
        echo = stack.enter_context(echo_server())
        plan = _plan(tried, echo)
        stack.enter_context(
            running_envoy(
                plan, lambda *_: (), tmp_path, partial(listening, [one.port for one in tried], tmp_path, authority)
            )
        )
        clients = Clients(signer, authority, tmp_path)
        found = [line for one in tried for line in _disagreements(chance, clients, plan, one)]
    assert not found, f"{len(found)} disagreements\n" + "\n".join(found[:20])


def _disagreements(chance: Chance, clients: "Clients", plan: ProxyPlan, tried: Tried) -> Iterator[str]:
    sent = sorted(
        {chance.call() if tried.is_http else chance.connection() for _ in range(CALLS_PER_SET)},
        key=lambda one: (str(one.identity), one.server_name, one.address),
    )
    for one, seen in clients.send(tried, sent):
        said = decide.decide(plan, call_of(one, tried.port))
        if fault := _difference(said, seen):
            yield f"{fault}\n  {one}\n  {said.outcome} {said.reason}\n  {seen}\n  {json.dumps(_without_keys(tried.documents))}"


def _without_keys(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one["metadata"] | one["spec"] for one in documents if one["kind"] == "AuthorizationPolicy"]


def _difference(said: Decision, seen: Seen) -> str:
    """Say in what the reader and Envoy differ, nothing where they do not."""
    if not said.call.is_http:
        return "" if (said.outcome is Outcome.ALLOWED) == seen.passed else "one lets the connection pass"
    if (said.status or 200) != seen.status:
        return f"the reader says {said.status or 200}, Envoy {seen.status}"
    if said.outcome is Outcome.DENIED:
        rule = said.rule.name if said.rule else "none"
        wanted = f"rbac_access_denied_matched_policy[{rule}]"
        return "" if seen.details == wanted else f"the reader says {wanted}"
    if said.outcome is Outcome.ALLOWED and said.verdict is not None:
        audited = said.verdict.audited.name if said.verdict.audited else ""
        return "" if audited == seen.audited else f"the reader says that {audited} audits"
    return ""


class Clients:
    """Send calls as whoever is wanted; connections are kept for the next call of the same client."""

    def __init__(self, signer: Signer, authority: Authority, place: Path) -> None:
        self._tokens = [signer.token(claims) for claims in CLAIMS]
        pairs = {name: authority.pair(x509.UniformResourceIdentifier(f"spiffe://{name}")) for name in IDENTITIES}
        self._contexts = {
            (name, offers): client_context(pair, place, offers)
            for name, pair in pairs.items()
            for offers in (MESH_HTTP_PROTOCOLS, MESH_TCP_PROTOCOLS)
        }

    def send(self, tried: Tried, calls: Iterable[Sent]) -> Iterator[tuple[Sent, Seen]]:
        """Yield each call with what the client gets."""
        ask = self._asked if tried.is_http else self._echoed
        for call in calls:
            yield call, ask(tried.port, call)

    def _asked(self, port: int, call: Sent) -> Seen:
        with self._connected(port, call, MESH_HTTP_PROTOCOLS) as spoken:
            lines = [
                f"{call.method} {call.path} HTTP/1.1",
                f"host: {call.host}",
                "content-length: 0",
                "connection: close",
            ]
            lines += [f"{name}: {value}" for name, value in call.headers]
            if call.forwarded:
                lines.append(f"x-forwarded-for: {call.forwarded}")
            if call.claims is not None:
                lines.append(f"authorization: Bearer {self._tokens[call.claims]}")
            spoken.sendall("\r\n".join([*lines, "", ""]).encode())
            answer = http.client.HTTPResponse(spoken, method=call.method)
            answer.begin()
            return Seen(answer.status, answer.read().decode(), answer.headers.get("x-audited", "").removeprefix("-"))

    def _echoed(self, port: int, call: Sent) -> Seen:
        try:
            with self._connected(port, call, MESH_TCP_PROTOCOLS) as spoken:
                spoken.sendall(b"hello")
                return Seen(200 if spoken.recv(100) == b"hello" else 0)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
            return Seen(0)

    @contextmanager
    def _connected(self, port: int, call: Sent, offers: tuple[str, ...]) -> Iterator[socket.socket]:
        with socket.create_connection((HOST, port), timeout=10, source_address=(call.address, 0)) as bare:
            bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if call.identity is None:
                yield bare
                return
            context = self._contexts[call.identity, offers]
            with context.wrap_socket(bare, server_hostname=call.server_name or None) as spoken:
                yield spoken


def _tried(documents: list[dict[str, Any]], port: int, is_http: bool) -> Tried:
    return Tried(port, documents, guard_of(documents), is_http)


def guard_of(documents: list[dict[str, Any]]) -> Guard:
    """What policies come to in front of a workload of the default namespace."""
    world = worlds.snapshot("\n---\n".join(json.dumps(one) for one in documents), ALIASES)
    return guard.guards(Directory(worlds.view(world), PlanCache()), Notes()).everywhere


def _plan(tried: list[Tried], echo: int) -> ProxyPlan:
    unknown = TcpChain((Target(INBOUND_PASSTHROUGH_CLUSTER),))
    return ProxyPlan(
        Role.SIDECAR,
        clusters=(_static(INBOUND_PASSTHROUGH_CLUSTER, echo), _static("echo", echo)),
        route_tables=(),
        inbound=tuple(
            InboundPort(one.port, _requests(one.port) if one.is_http else TcpChain((Target("echo"),))) for one in tried
        ),
        inbound_fallback=unknown,
        trust=MeshTrust(("cluster.local", "old.example")),
        guards=Guards(by_port=tuple((one.port, one.guard) for one in tried)),
    )


def _requests(port: int) -> HttpChain:
    """Answer every request; what the rules have marked comes back in a header, which is never empty."""
    name = inbound_cluster(port)
    return HttpChain(name, RouteTable(name, (VirtualHost("all", ("*",), (Route(ANY, Respond(200, b"ok")),)),)))


def _static(name: str, port: int) -> Cluster:
    return Cluster(name, Discovery.STATIC, protocol=Protocol.TCP, endpoints=(Endpoint(HOST, port),))


def _ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def listening(ports: list[int], place: Path, authority: Authority, config: dict[str, Any]) -> dict[str, Any]:
    """Have the inbound listener at all ports, as if connections to them had been captured, and tell what it does."""
    for chain in inbound_at(ports, config)["filter_chains"]:
        for step in chain["filters"]:
            if "http_filters" in step["typed_config"]:
                _tell(step["typed_config"])
    return with_files(config, place, authority.workload("server"), authority.root)


def inbound_at(ports: list[int], config: dict[str, Any]) -> dict[str, Any]:
    """Have the inbound listener at all ports, and return it; no other listener is captured for."""
    inbound = next(one for one in config["static_resources"]["listeners"] if one["name"] == "virtualInbound")
    addresses = [{"socket_address": {"address": HOST, "port_value": port}} for port in ports]
    inbound["address"], *others = addresses
    inbound["additional_addresses"] = [{"address": one} for one in others]
    config["static_resources"]["listeners"] = [
        *(one for one in config["static_resources"]["listeners"] if one["name"] not in ("virtualOutbound", "dns")),
    ]
    return inbound  # type: ignore[no-any-return]


def _tell(manager: dict[str, Any]) -> None:
    manager["local_reply_config"] = {
        "body_format": {"text_format_source": {"inline_string": "%RESPONSE_CODE_DETAILS%"}}
    }
    mark = {"key": "x-audited", "value": f"%DYNAMIC_METADATA(envoy.filters.http.rbac:{AUDITED})%"}
    manager["route_config"]["response_headers_to_add"] = [{"header": mark}]
