"""A plan in focus says of its request what the whole plan says."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lateen.model.snapshot import Snapshot
from lateen.model.workload import Workload, WorkloadKey
from lateen.plan.explain import explanation
from lateen.plan.explain.plans import Plans
from lateen.plan.explain.questions import Question
from tests.envoy.routing import SERVICES, VERSIONS, Chance
from tests.plan import worlds

OTHERS = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wide, namespace: w}
spec: {hosts: ["*.shop.example"], ports: [{number: 9080, name: http, protocol: HTTP}], resolution: NONE}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: claims, namespace: w}
spec: {hosts: [db.example], ports: [{number: 9080, name: tcp, protocol: TCP}], resolution: DNS}
---
apiVersion: v1
kind: Service
metadata: {name: alias, namespace: w}
spec: {type: ExternalName, externalName: SERVICE.w.svc.cluster.local}
""".replace("SERVICE", SERVICES[0])


@pytest.mark.parametrize("number", range(24))
def test_focus_changes_no_answer(number: int) -> None:
    chance, is_gateway = Chance(number, "w"), number % 3 == 2
    snapshot = _world(chance, is_gateway, with_others=number % 2 == 0)
    whole = Plans(snapshot)
    proxy = next(one for one in snapshot.workloads if one.proxied)
    whole.plan(proxy)
    for question in _questions(chance, str(proxy.key), is_gateway):
        narrow = explanation.explain(Plans(snapshot), question)
        assert narrow == explanation.explain(whole, question), question


def _questions(chance: Chance, caller: str, is_gateway: bool) -> Iterator[Question]:
    hosts = ("alias", "db.example", "a.shop.example", "nobody.example", f"{SERVICES[0]}.w")
    for _ in range(15):
        sent = chance.request()
        where = "http://shop.example:80" if is_gateway else f"http://{SERVICES[0]}:9080"
        yield Question(caller, where + sent.path, "w", sent.method, dict(sent.headers), host=sent.authority)
    for host in hosts if not is_gateway else ():
        for scheme, port in (("http", 9080), ("tcp", 9080), ("tls", 9080), ("http", 81)):
            yield Question(caller, f"{scheme}://{host}:{port}", "w")


def _world(chance: Chance, is_gateway: bool, with_others: bool) -> Snapshot:
    documents: list[dict[str, Any]] = [
        *chance.services(),
        *(chance.gateway_rules() if is_gateway else chance.mesh_rules()),
    ]
    text = "\n---\n".join(map(json.dumps, documents)) + (f"\n---\n{OTHERS}" if with_others else "")
    servers = (
        Workload(
            WorkloadKey("w", f"{name}-{version}"),
            f"10.0.0.{position}",
            {"app": name, "version": version},
            ports={"web": 8080},
            proxied=False,
        )
        for position, (name, version) in enumerate((name, version) for name in SERVICES for version in VERSIONS)
    )
    labels = {"gate": "w"} if is_gateway else {"app": "client"}
    return worlds.snapshot(text, workloads=[*servers, Workload(WorkloadKey("w", "proxy"), "10.9.9.9", labels)])
