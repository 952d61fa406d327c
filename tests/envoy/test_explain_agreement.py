"""What `explain` says of a request, and what the real Envoy does with it: for rules and requests by chance.

More are tried with LATEEN_RULE_SETS=1000; LATEEN_SEED chooses others.
"""

import http.client
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, cast

import pytest

from lateen.envoy.cache import ResourceCache
from lateen.envoy.resources import resource_set
from lateen.manager.beyond import BeyondPlans
from lateen.model.endpoint import Endpoint
from lateen.model.proxy import Role
from lateen.model.registry import PortKey
from lateen.model.snapshot import Snapshot
from lateen.model.workload import Workload, WorkloadKey
from lateen.plan.explain import explanation
from lateen.plan.explain.plans import Plans
from lateen.plan.explain.questions import Question
from lateen.plan.explain.steps import Explanation, Outcome, Passage, Passed
from lateen.plan.types import ProxyPlan
from tests.plan import worlds

from .acceptance import static_resources
from .routing import SERVICES, VERSIONS, Chance, Sent
from .running import HOST, free_ports, running_envoy, serving

pytestmark = pytest.mark.live

DOOR = "127.0.0.2"
"""Where the worlds' listeners are: an address at which Envoy itself has no ports."""
SETS = int(os.environ.get("LATEEN_RULE_SETS", "30"))
SEED = int(os.environ.get("LATEEN_SEED", "1"))
REQUESTS_PER_SET = 25
RATE = re.compile(r": (\d+)/hour")
EVERYBODY_ALONE = {f"default{kind}ExportTo": ["."] for kind in ("Service", "VirtualService", "DestinationRule")}
MESH = {"enableAutoMtls": False, "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}, **EVERYBODY_ALONE}


@dataclass(frozen=True)
class World:
    """A namespace with its rules, and the proxy by which requests leave it or come in."""

    chance: Chance
    is_gateway: bool
    documents: list[dict[str, Any]]
    port: int

    @property
    def proxy(self) -> WorkloadKey:
        return WorkloadKey(self.chance.namespace, "gate" if self.is_gateway else "client")

    @property
    def listener(self) -> str:
        return "0.0.0.0_80" if self.is_gateway else "0.0.0.0_9080"


@dataclass(frozen=True)
class Seen:
    """What a client gets, and who answered with which path and authority where an application did."""

    status: int
    location: str = ""
    server: str = ""
    path: str = ""
    authority: str = ""


def test_explain_and_envoy_agree(tmp_path: Path) -> None:
    """Any disagreement is a defect of the one or the other."""
    with ExitStack() as stack:
        servers = {
            f"{name}-{version}": stack.enter_context(_echo(f"{name}-{version}"))
            for name in SERVICES
            for version in VERSIONS
        }
        made = [_world(number, port) for number, port in enumerate(free_ports(SETS))]
        snapshot = worlds.snapshot(_text(made), MESH, workloads=_workloads(made, servers))
        plans = Plans(snapshot, beyond=BeyondPlans())
        listeners, clusters = _resources(made, plans, snapshot)

        def changed(config: dict[str, Any]) -> dict[str, Any]:
            config["static_resources"]["listeners"] += listeners
            config["static_resources"]["clusters"] += clusters
            return config

        stack.enter_context(running_envoy(ProxyPlan(Role.GATEWAY, (), ()), lambda *_: (), tmp_path, changed))
        found = [line for world in made for line in _disagreements(world, plans)]
    assert not found, f"{len(found)} disagreements\n" + "\n".join(found[:10])


@dataclass
class Buckets:
    """How many requests each limit has let through; `is_clear` is false where that is not known any more."""

    taken: Counter[str] = field(default_factory=Counter)
    is_clear: bool = True

    def expected(self, said: Explanation) -> bool:
        """Tell whether a request is beyond a limit, and count it where it is not."""
        limits = [step for step in _steps(said) if step.result is Passage.LIMITS]
        beyond = any(self.taken[step.says] >= int(RATE.findall(step.says)[-1]) for step in limits)
        self.taken.update(step.says for step in limits if not beyond)
        return beyond


def _steps(said: Explanation) -> tuple[Passed, ...]:
    return said.admission.passed if said.admission is not None else ()


def _disagreements(world: World, plans: Plans) -> Iterator[str]:
    buckets = Buckets()
    for _ in range(REQUESTS_PER_SET):
        sent = world.chance.request()
        said, seen = explanation.explain(plans, _question(world, sent)), _ask(world.port, sent)
        if fault := _difference_beyond(said, seen, buckets):
            yield f"{fault}\n  {sent}\n  {said.says} {said.route and said.route.place}\n  {seen}\n  {_rules(world)}"


def _difference_beyond(said: Explanation, seen: Seen, buckets: Buckets) -> str:
    """Say in what the two differ, with the limits that requests before may have used up, and Mixer, who is not there."""
    if any(step.result is Passage.MAY for step in _steps(said)):
        buckets.is_clear = False
        if not seen.server and seen.status in (503, *(step.status for step in _steps(said))):
            return ""
    if buckets.is_clear and buckets.expected(said):
        return "" if seen.status == 429 and not seen.server else f"explain says 429, Envoy {seen.status}"
    if not buckets.is_clear and seen.status == 429 and any(step.result is Passage.LIMITS for step in _steps(said)):
        return ""
    return _difference(said, seen)


def _difference(said: Explanation, seen: Seen) -> str:
    """Say in what the two differ, nothing where they do not."""
    if said.outcome is Outcome.ANSWERED or said.status:
        if seen.server or seen.status != said.status:
            return f"explain says {said.status}, Envoy {seen.status} by {seen.server or 'itself'}"
        return "" if said.location == seen.location else f"explain says {said.location}, Envoy {seen.location}"
    if not seen.server:
        return "" if any(leg.status == seen.status for leg in said.split) else f"Envoy answers {seen.status}"
    reached = {
        (end.workload.partition(".")[0], leg.authority)
        for leg in said.split
        for end in leg.endpoints
        if leg.percent > 0
    }
    if (seen.server, seen.authority) not in reached:
        return f"explain says that {sorted(reached)} get it, Envoy {seen.server} as {seen.authority}"
    return "" if seen.path == said.path else f"explain says path {said.path}, Envoy {seen.path}"


def _question(world: World, sent: Sent) -> Question:
    where = "http://shop.example:80" if world.is_gateway else f"http://{SERVICES[0]}:9080"
    return Question(
        str(world.proxy),
        where + sent.path,
        world.chance.namespace,
        sent.method,
        dict(sent.headers),
        host=sent.authority,
        source_ip=HOST,
    )


def _ask(port: int, sent: Sent) -> Seen:
    connection = http.client.HTTPConnection(DOOR, port, timeout=10)
    try:
        connection.putrequest(sent.method, sent.path, skip_host=True, skip_accept_encoding=True)
        for name, value in (("host", sent.authority), ("content-length", "0"), *sent.headers):
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read().decode()
        told = json.loads(body) if answer.headers.get("x-server") else {}
        return Seen(answer.status, answer.headers.get("location", ""), **told)
    finally:
        connection.close()


def _echo(name: str) -> Any:
    """A server that says who it is, and what it was asked for."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def handle_any(self) -> None:
            authority = self.headers.get("host", "")
            body = json.dumps({"server": name, "path": self.requestline.split()[1], "authority": authority}).encode()
            self.send_response(200)
            self.send_header("x-server", name)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = handle_any

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    return serving(Handler)


def _world(number: int, port: int) -> World:
    chance = Chance(SEED * 1_000_003 + number, f"w{number}")
    is_gateway = number % 3 == 2
    rules = chance.gateway_rules() if is_gateway else chance.mesh_rules()
    return World(chance, is_gateway, [*chance.services(), *rules], port)


def _text(made: list[World]) -> str:
    return "\n---\n".join(json.dumps(document) for world in made for document in world.documents)


def _rules(world: World) -> str:
    return json.dumps([one["metadata"]["name"] for one in world.documents]) + json.dumps(
        [{one["metadata"]["name"]: one["spec"]} for one in world.documents if one["kind"] != "Service"]
    )


def _workloads(made: list[World], servers: dict[str, int]) -> Iterator[Workload]:
    for world in made:
        namespace = world.chance.namespace
        for name, port in servers.items():
            app, _, version = name.partition("-")
            labels = {"app": app, "version": version}
            yield Workload(WorkloadKey(namespace, name), HOST, labels, ports={"web": port}, proxied=False)
        labels = {"gate": namespace} if world.is_gateway else {"app": "client"}
        yield Workload(world.proxy, "10.9.9.9", labels)


def _resources(made: list[World], plans: Plans, snapshot: Snapshot) -> tuple[list[Any], list[Any]]:
    """The listener of each world at its port, and the clusters that its routes lead to."""

    def lookup(host: str, port: int) -> tuple[Endpoint, ...]:
        return snapshot.endpoints.get(PortKey(host, port), ())

    listeners, clusters, cache = [], {}, ResourceCache()
    for world in made:
        workload = snapshot.workloads.get(world.proxy)
        assert workload is not None
        said = static_resources(resource_set(plans.plan(workload), lookup, cache))
        own = f".{world.chance.namespace}.svc."
        clusters.update({one["name"]: one for one in said["clusters"] if own in one["name"] or "|" not in one["name"]})
        listeners += [_listening(one, world) for one in said["listeners"] if one["name"] == world.listener]
    return listeners, list(clusters.values())


def _listening(listener: dict[str, Any], world: World) -> dict[str, Any]:
    address = {"socket_address": {"address": DOOR, "port_value": world.port}}
    listener = {name: value for name, value in listener.items() if name != "bind_to_port"}
    made = {**listener, "name": world.chance.namespace, "address": address, "additional_addresses": []}
    return cast(dict[str, Any], _without_logs(made))


def _without_logs(said: Any) -> Any:
    """Leave out access logs, which nobody reads here."""
    if isinstance(said, list):
        return [_without_logs(one) for one in said]
    if not isinstance(said, dict):
        return said
    return {name: _without_logs(value) for name, value in said.items() if name != "access_log"}
