"""What is behind a cluster: its endpoints, the TLS that is spoken with them, and what their proxies decide."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from lateen import names
from lateen.api.networking.virtual_service import Destination, VirtualService
from lateen.model import endpoint as endpoints
from lateen.model.endpoint import Endpoint, Health
from lateen.model.registry import PortKey
from lateen.model.service import Service
from lateen.model.snapshot import Snapshot
from lateen.model.workload import port_of
from lateen.plan.access_check import OUTSIDE, STRANGER, Place
from lateen.plan.explain import servers, words
from lateen.plan.explain.callers import Caller
from lateen.plan.explain.places import Places
from lateen.plan.explain.plans import Plans
from lateen.plan.explain.steps import EndpointSeen, Leg, Server, Tls
from lateen.plan.types import Cluster, Discovery, MeshTls, Origin, OriginatedTls, ProxyPlan, Route
from lateen.plan.verdicts import Call

_OUTSIDE_CLUSTERS: Final = {
    names.PASSTHROUGH_CLUSTER: "goes where the client was going, as a destination that the mesh does not know",
    names.DYNAMIC_DNS_CLUSTER: "goes to the request's own host, which the proxy resolves",
    names.BLACK_HOLE_CLUSTER: "goes nowhere: the connection is closed",
}
_LISTED: Final = (Discovery.EDS, Discovery.STATIC)
_NO_HEALTHY: Final = "503 no healthy upstream (UH)"


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose proxy sends, and what it sends as it leaves: `original_address` is where the client was going."""

    caller: Caller
    plan: ProxyPlan
    call: Call
    original_address: str = ""
    port: int = 0


def leg(cluster_name: str, share: float, sender: Sender, plans: Plans, places: Places) -> Leg:
    """Explain one branch of a split."""
    if cluster_name in _OUTSIDE_CLUSTERS:
        status = 503 if cluster_name == names.BLACK_HOLE_CLUSTER else 0
        says, result = _OUTSIDE_CLUSTERS[cluster_name], "closed" if status else ""
        return Leg(says, share, cluster_name, status=status, result=result)
    cluster = next((one for one in sender.plan.clusters if one.name == cluster_name), None)
    if cluster is None:
        return Leg("there is no such cluster", share, cluster_name, status=503, result="503 (NC)")
    known = tuple(_endpoints(cluster, sender, plans.snapshot))
    usable = [one for one in known if one.health is Health.HEALTHY or cluster.includes_unready]
    return _settled(_described(cluster, share, known, sender, places), cluster, usable, sender, plans, places)


def plain_leg(service: Service, port: int, sender: Sender, plans: Plans, places: Places) -> Leg:
    """Explain what a caller without a proxy reaches: any ready endpoint of a service, without TLS of the mesh."""
    name = names.outbound_cluster(service.host, port)
    cluster = Cluster(name, Discovery.EDS, service.host, port, origin=Origin(service.origin))
    return leg(name, 100.0, replace(sender, plan=replace(sender.plan, clusters=(cluster,))), plans, places)


def written(
    route: Route, cluster: Cluster | None, snapshot: Snapshot, places: Places, mirrors: bool = False
) -> Place | None:
    """Return where a rule names a cluster as a destination."""
    rule = words.rule_of(route.origin)
    item = snapshot.config.get(rule.key) if rule is not None else None
    if rule is None or item is None or not isinstance(item.spec, VirtualService) or cluster is None:
        return None
    position = int(rule.path.partition("[")[2].rstrip("]")) if rule.path.startswith("spec.http[") else -1
    if not 0 <= position < len(item.spec.http):
        return None
    for path, destination in _destinations(item.spec, position, mirrors):
        host = names.qualified_host(destination.host, item.namespace)
        if destination.subset == cluster.subset and host == cluster.host:
            return places.of(Origin(rule.key, f"{rule.path}.{path}"))
    return None


def _destinations(spec: VirtualService, position: int, mirrors: bool) -> Iterator[tuple[str, Destination]]:
    rule = spec.http[position]
    if not mirrors:
        for place, branch in enumerate(rule.route):
            yield f"route[{place}].destination", branch.destination
        return
    if rule.mirror is not None:
        yield "mirror", rule.mirror
    for place, mirror in enumerate(rule.mirrors):
        yield f"mirrors[{place}].destination", mirror.destination


def _described(cluster: Cluster, share: float, known: tuple[Endpoint, ...], sender: Sender, places: Places) -> Leg:
    subset = f" subset {cluster.subset}" if cluster.subset else ""
    return Leg(
        says=f"{cluster.host or cluster.name} port {cluster.port}{subset}",
        percent=share,
        cluster=cluster.name,
        host=cluster.host,
        port=cluster.port,
        subset=cluster.subset,
        labels=dict(cluster.labels),
        place=places.of(cluster.origin),
        settings=tuple(words.cluster_settings(cluster, places)),
        endpoints=tuple(map(_seen, known)),
        tls=_tls(cluster, known, sender, places),
    )


def _settled(found: Leg, cluster: Cluster, usable: list[Endpoint], sender: Sender, plans: Plans, places: Places) -> Leg:
    """Add what the servers decide, or why none is reached."""
    if cluster.discovery is Discovery.NONE or (not usable and cluster.discovery in _LISTED):
        return replace(found, status=503, result=_NO_HEALTHY)
    decided = tuple(_decisions(cluster, usable, sender, plans, places))
    statuses = {one.status for one in decided}
    status = statuses.pop() if len(statuses) == 1 else 0
    return replace(found, servers=decided, status=status, result=_result(status, decided))


def _result(status: int, decided: Iterable[Server]) -> str:
    first = next(iter(decided), None)
    return f"{status} by the server's proxy: {first.says}" if status and first else ""


def _decisions(
    cluster: Cluster, usable: Iterable[Endpoint], sender: Sender, plans: Plans, places: Places
) -> Iterator[Server]:
    mesh = cluster.tls if isinstance(cluster.tls, MeshTls) and sender.caller.identity else None
    always, sometimes = mesh is not None and not mesh.automatic, mesh is not None
    for found in servers.behind(plans.snapshot, usable, always, sometimes):
        through_mesh = found.through_mesh
        yield servers.decision(
            found,
            replace(
                sender.call,
                principal=sender.caller.identity if through_mesh else "",
                peer=sender.caller.peer if through_mesh else None,
                sni=mesh.server_name if mesh is not None and through_mesh else "",
                destination_ip=found.workloads[0].address or sender.call.destination_ip,
                destination_port=found.port,
            ),
            plans,
            places,
        )


def _endpoints(cluster: Cluster, sender: Sender, snapshot: Snapshot) -> Iterator[Endpoint]:
    """Yield what a cluster can send to, and after that the workloads that are not ready."""
    if cluster.discovery is Discovery.EDS:
        ready = snapshot.endpoints.get(PortKey(cluster.host, cluster.port), ())
        yield from endpoints.select(ready, dict(cluster.labels))
        service = snapshot.services.get(cluster.host)
        if service is not None and not service.includes_unready:
            yield from endpoints.select(tuple(_unready(service, cluster.port, snapshot)), dict(cluster.labels))
    elif cluster.discovery is Discovery.ORIGINAL_DESTINATION:
        if sender.original_address:
            yield _original(cluster, sender, snapshot)
        else:  # the client has chosen one of these
            yield from snapshot.endpoints.get(PortKey(cluster.host, cluster.port), ())
    else:
        yield from cluster.endpoints


def _unready(service: Service, number: int, snapshot: Snapshot) -> Iterator[Endpoint]:
    port = service.port(number)
    for workload in snapshot.workloads.selected(service.namespace, service.selector):
        name, target = (port.name, port.target) if port else ("", number)
        found = port_of(name, target, workload.ports, workload.entry_ports)
        if not workload.is_offered and workload.is_registered and found is not None:
            yield Endpoint(
                workload.address,
                found,
                workload.labels,
                workload.owner or workload.key.name,
                workload.key.namespace,
                workload.service_account,
                workload.locality,
                health=Health.UNHEALTHY,
            )


def _original(cluster: Cluster, sender: Sender, snapshot: Snapshot) -> Endpoint:
    """Return where the client was going, as the workload that is there if there is one."""
    for found in snapshot.endpoints.get(PortKey(cluster.host, cluster.port), ()):
        if found.address == sender.original_address:
            return found
    return Endpoint(sender.original_address, sender.port)


def _seen(found: Endpoint) -> EndpointSeen:
    address = f"{found.address}:{found.port}" if found.port and found.address else found.address or f"port {found.port}"
    locality = "/".join(filter(None, found.locality))
    workload = f"{found.workload}.{found.namespace}" if found.workload else ""
    return EndpointSeen(address, workload, locality, found.health.value, found.weight, found.tls)


def _tls(cluster: Cluster, known: tuple[Endpoint, ...], sender: Sender, places: Places) -> Tls:
    by_rule = cluster.origin is not None and cluster.origin.key.kind == "DestinationRule"
    place = places.of(cluster.origin) if by_rule and not _is_automatic(cluster) else None
    match cluster.tls:
        case MeshTls() as mesh:
            return _mesh_tls(mesh, known, sender.caller, place)
        case OriginatedTls() as originated:
            name = "the request's host" if originated.follows_host else originated.server_name
            checked = "is verified" if originated.verifies else "is not verified"
            return Tls(
                f"TLS is spoken with the server as {name}, and its certificate {checked}",
                "origination",
                "",
                (),
                name,
                place,
            )
        case _:
            return Tls("what the client sends is sent as it is, without TLS of the mesh", "none", place=place)


def _is_automatic(cluster: Cluster) -> bool:
    return isinstance(cluster.tls, MeshTls) and cluster.tls.automatic


def _mesh_tls(mesh: MeshTls, known: tuple[Endpoint, ...], caller: Caller, place: Place | None) -> Tls:
    taking = [one for one in known if one.tls]
    if mesh.automatic and not taking:
        if known:
            return Tls("plain: no endpoint takes the mesh's TLS", "none", place=place)
        return Tls("the mesh's mutual TLS where an endpoint takes it", "mesh", caller.identity, place=place)
    extent = "" if not mesh.automatic or len(taking) == len(known) else ", with those endpoints only that take it"
    says = f"the mesh's mutual TLS as {caller.identity or OUTSIDE}{extent}"
    return Tls(says, "mesh", caller.identity, mesh.accounts, mesh.server_name, place)


def source_address(caller: Caller, written: str) -> str:
    """Return the address that a caller has for a server."""
    return written or (caller.workload.address if caller.workload else "") or STRANGER
