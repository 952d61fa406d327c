"""What the interpreter says of a request, and what the real Envoy does with compiled rules: for both by chance.

More are tried with LATEEN_POLICY_SETS=2000; LATEEN_SEED chooses others.
"""

import http.client
import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from lateen.adapters.denier import Denier
from lateen.adapters.listchecker import ListChecker
from lateen.api.mixer.checks import DenierParams, ListCheckerParams
from lateen.envoy.network_filters import peer_facts
from lateen.envoy.transport_sockets import MESH_HTTP_PROTOCOLS
from lateen.mixer import check
from lateen.mixer.check import Verdict
from lateen.mixer.compile import RuleSets, with_mixer
from lateen.mixer.ports import CheckResult
from lateen.mixer.ready import ReadyRules, make_ready
from lateen.model.proxy import Role
from lateen.names import INBOUND_PASSTHROUGH_CLUSTER, inbound_cluster
from lateen.plan.types import (
    Guard,
    Guards,
    HttpChain,
    InboundPort,
    ProxyPlan,
    Respond,
    Route,
    RouteTable,
    Target,
    TcpChain,
    VirtualHost,
)
from tests.plan import worlds

from .acceptance import as_json
from .identities import Authority, client_context, with_files
from .mixer_chance import CALLERS, OWN_LABELS, WORKLOADS, Chance, Sent
from .plans import ANY
from .running import HOST, echo_server, free_ports, running_envoy
from .test_authorization_agreement import _static as static
from .test_authorization_agreement import inbound_at

pytestmark = pytest.mark.live

SETS = int(os.environ.get("LATEEN_POLICY_SETS", "120"))
SEED = int(os.environ.get("LATEEN_SEED", "1"))
CALLS_PER_SET = 12
SETS_PER_ENVOY = 60


@dataclass(frozen=True)
class Tried:
    """Rules as documents, ready for the interpreter, and the guard that they come to on a port."""

    port: int
    documents: list[dict[str, Any]]
    rules: ReadyRules
    guard: Guard

    @property
    def is_decided_here(self) -> bool:
        """Whether nothing is left to ask Mixer about."""
        return self.guard.mixer is None or self.guard.mixer.requests.remote is None


@pytest.mark.parametrize("part", range(-(-SETS // SETS_PER_ENVOY)))
def test_interpreter_and_envoy_agree(part: int, tmp_path: Path) -> None:
    """Any disagreement is a defect of the one or the other."""
    chance, authority = Chance(SEED * 1_000_003 + part), Authority()
    with ExitStack() as stack:
        echo = stack.enter_context(echo_server())
        tried = [_tried(chance, port) for port in free_ports(SETS_PER_ENVOY)]
        assert sum(one.is_decided_here for one in tried) > SETS_PER_ENVOY / 2
        change = partial(_listening, [one.port for one in tried], tmp_path, authority)
        stack.enter_context(running_envoy(_plan(tried, echo), lambda *_: (), tmp_path, change))
        clients = Clients(authority, tmp_path)
        found = [line for one in tried for line in _disagreements(chance, clients, one)]
    assert not found, f"{len(found)} disagreements\n" + "\n".join(found[:20])


def _disagreements(chance: Chance, clients: "Clients", tried: Tried) -> Iterator[str]:
    for call in dict.fromkeys(chance.call() for _ in range(CALLS_PER_SET)):
        said, (status, body) = _verdict(tried.rules, call), clients.ask(tried.port, call)
        if fault := _difference(tried, said, status, body):
            yield f"{fault}\n  {call}\n  {said.status}\n  {status} {body}\n  {json.dumps(_short(tried.documents))}"


def _short(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{one["kind"]: one["spec"]} for one in documents]


def _difference(tried: Tried, said: Verdict, status: int, body: str) -> str:
    """Say in what the interpreter and Envoy differ, nothing where they do not."""
    if not tried.is_decided_here:
        # Mixer is not there: who is sent on to it gets a 503. Whoever it may refuse has to be.
        return "" if said.status.is_ok or status != 200 else "a request that Mixer would refuse is not sent to it"
    if said.status.is_ok:
        return "" if status == 200 else "the interpreter lets it pass"
    if status != said.status.http_status:
        return f"the interpreter says {said.status.http_status}, Envoy {status}"
    # Of several refusals, a proxy tells the first.
    return "" if said.status.body.startswith(body.split(", ", maxsplit=1)[0]) else "another text"


def _verdict(rules: ReadyRules, call: Sent) -> Verdict:
    bag = call.bag
    dispatched = check.dispatch(rules, bag, "default")
    results = [check.failed(one) if one.instance is None else _asked(one) for one in dispatched.questions]
    return check.combine(dispatched, results, bag)


def _asked(question: check.Question) -> CheckResult:
    settings = question.handler.settings
    assert question.instance is not None
    if isinstance(settings, DenierParams):
        return Denier(settings).check(question.instance)
    assert isinstance(settings, ListCheckerParams)
    result = ListChecker(settings, None).check(question.instance)  # type: ignore[arg-type]
    assert isinstance(result, CheckResult)
    return result


class Clients:
    """Send calls as whoever is wanted."""

    def __init__(self, authority: Authority, place: Path) -> None:
        self._contexts = [
            client_context(
                authority.pair(
                    x509.UniformResourceIdentifier(f"spiffe://{one.principal}"),
                    *map(x509.DNSName, one.names),
                ),
                place,
                MESH_HTTP_PROTOCOLS,
            )
            for one in CALLERS
        ]

    def ask(self, port: int, call: Sent) -> tuple[int, str]:
        """Return the status and the body of an answer."""
        with self._connected(port, call) as spoken:
            lines = [
                f"{call.method} {call.path} HTTP/1.1",
                f"host: {call.host}",
                "content-length: 0",
                "connection: close",
                *(f"{name}: {value}" for name, value in call.headers),
            ]
            spoken.sendall("\r\n".join([*lines, "", ""]).encode())
            answer = http.client.HTTPResponse(spoken, method=call.method)
            answer.begin()
            return answer.status, answer.read().decode()

    @contextmanager
    def _connected(self, port: int, call: Sent) -> Iterator[socket.socket]:
        with socket.create_connection((HOST, port), timeout=10, source_address=(call.address, 0)) as bare:
            bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if call.caller is None:
                yield bare
                return
            with self._contexts[call.caller].wrap_socket(bare) as spoken:
                yield spoken


def _tried(chance: Chance, port: int) -> Tried:
    documents = chance.documents()
    world = worlds.snapshot("\n---\n".join(json.dumps(one) for one in documents), workloads=WORKLOADS)
    view, rule_sets = worlds.view(world, labels=OWN_LABELS), RuleSets()
    rules = rule_sets.of(view)
    assert not rules.violations and not rules.unresolved, (rules.violations, rules.unresolved, documents)
    made = with_mixer(ProxyPlan(Role.SIDECAR, (), ()), view, rule_sets)
    return Tried(port, documents, make_ready(rules), made.guards.everywhere)


def _plan(tried: list[Tried], echo: int) -> ProxyPlan:
    return ProxyPlan(
        Role.SIDECAR,
        clusters=(static(INBOUND_PASSTHROUGH_CLUSTER, echo),),
        route_tables=(),
        inbound=tuple(InboundPort(one.port, _requests(one.port)) for one in tried),
        inbound_fallback=TcpChain((Target(INBOUND_PASSTHROUGH_CLUSTER),)),
        guards=Guards(by_port=tuple((one.port, one.guard) for one in tried)),
    )


def _requests(port: int) -> HttpChain:
    name = inbound_cluster(port)
    return HttpChain(name, RouteTable(name, (VirtualHost("all", ("*",), (Route(ANY, Respond(200, b"ok")),)),)))


def _listening(ports: list[int], place: Path, authority: Authority, config: dict[str, Any]) -> dict[str, Any]:
    for chain in inbound_at(ports, config)["filter_chains"]:
        for step in chain["filters"]:
            if step["name"] == peer_facts.NAME:
                # JSON has no name for what the message keeps as bytes.
                step["typed_config"]["on_downstream_tls_handshake"] = [as_json(one) for one in peer_facts.attested()]
    return with_files(config, place, authority.workload("server"), authority.root)
