"""Every table in `tables/`: a world as users write it, and what becomes of calls in it.

A table has `config` (YAML documents) and `files` (paths in the checkout), and rows under `calls`:

    call            the URL; `tcp://host:port` is a bare connection
    from            the client's namespace, `default` unless told; `labels` are its labels
    secured         how a call reaches the workload's own proxy: `mesh`, `own` or `plain`, which is usual
    server name     what a client asks for in its TLS, where it is not the host
    through         `gateway` for a call from outside, `server` for a call that reaches the workload's own proxy
    claims          those of the verified token that the request carries
    host, headers, method, to address    what the client sends, where it is not the usual
    goes to         `host:port` or `host:port/subset`, several with their percentages; or the name of a special cluster
    refused         why the connection is closed
    answered        the status that the proxy answers itself; `location` for a redirection
    by              the object and field that decided
    as              path and authority as they arrive, where they are rewritten
    fault           the failure that is made on purpose
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from lateen import names
from lateen.model.proxy import Role
from lateen.plan.cache import PlanCache
from lateen.plan.explain import journeys
from lateen.plan.explain.journeys import Journey
from lateen.plan.explain.requests import Request, Secured
from lateen.plan.planner import build_plan
from lateen.plan.types import Fault
from tests.plan import worlds

TABLES = Path(__file__).parent / "tables"
CHECKOUT = Path(__file__).parents[2]
PORTS = {"http": 80, "https": 443}
SECURED = {"plain": Secured.PLAIN, "mesh": Secured.MESH, "own": Secured.OWN_TLS}


def rows() -> Iterator[Any]:
    for file in sorted(TABLES.glob("*.yaml")):
        table = yaml.safe_load(file.read_text())
        for position, row in enumerate(table["calls"], start=1):
            yield pytest.param(table, row, id=f"{file.stem}-{position}: {row.get('when', row['call'])}")


@pytest.mark.parametrize(("table", "row"), list(rows()))
def test_a_call_goes_where_the_table_says(table: dict[str, Any], row: dict[str, Any]) -> None:
    journey = follow(table, row)
    happened = {name: value for name, value in told(journey).items() if name in row}
    expected = {name: row[name] for name in happened}
    assert happened == expected
    assert {"goes to", "answered", "refused"} & row.keys(), "a row says where the call goes"


def follow(table: dict[str, Any], row: dict[str, Any]) -> Journey:
    world = worlds.snapshot(written(table), table.get("mesh"))
    through = row.get("through", "sidecar")
    role = Role.GATEWAY if through == "gateway" else Role.SIDECAR
    labels = row.get("labels", {"istio": "ingressgateway"} if through == "gateway" else {})
    namespace = row.get("from", "istio-system" if through == "gateway" else "default")
    plan = build_plan(worlds.view(world, namespace, role, labels), PlanCache())
    walk = {"sidecar": journeys.outbound, "gateway": journeys.through_gateway, "server": journeys.inbound}[through]
    return walk(plan, request(row))


def written(table: dict[str, Any]) -> str:
    documents = [table.get("config", "")]
    documents += [(CHECKOUT / file).read_text() for file in table.get("files", ())]
    return "\n---\n".join(documents)


def request(row: dict[str, Any]) -> Request:
    url = urlsplit(row["call"])
    return Request(
        host=url.hostname or "",
        port=url.port or PORTS[url.scheme],
        path=(url.path or "/") + (f"?{url.query}" if url.query else ""),
        method=row.get("method", "GET"),
        headers=row.get("headers", {}),
        authority=row.get("host", ""),
        address=row.get("to address", ""),
        scheme="https" if url.scheme == "https" else "http",
        is_http=url.scheme != "tcp",
        claims=row.get("claims", {}),
        secured=SECURED[row.get("secured", "plain")],
        server_name=row.get("server name", ""),
    )


def told(journey: Journey) -> dict[str, Any]:
    split = {said(cluster): share for cluster, share in journey.clusters}
    return {
        "goes to": next(iter(split)) if len(split) == 1 else split,
        "answered": journey.status,
        "refused": journey.refused,
        "location": journey.location,
        "by": str(journey.route.origin) if journey.route else "",
        "fault": failing(journey.fault),
        "as": " ".join(filter(None, (journey.path, journey.authority))),
    }


def failing(fault: Fault | None) -> str:
    if fault is None:
        return ""
    if fault.delay is not None:
        return f"delay {fault.delay.seconds}s for {fault.delay_percent:g}%"
    return f"abort {fault.abort_status} for {fault.abort_percent:g}%"


def said(cluster: str) -> str:
    parsed = names.parse_cluster(cluster)
    if parsed is None:
        return cluster
    if parsed.direction == "inbound":
        return f"own port {parsed.port}"
    host = parsed.host.removesuffix(f".svc.{names.DEFAULT_DOMAIN}")
    return f"{host}:{parsed.port}" + (f"/{parsed.subset}" if parsed.subset else "")
