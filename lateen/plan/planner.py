"""The door of this room: from a view to the plan."""

from lateen.api.networking.sidecar import OutboundTrafficPolicy
from lateen.model.proxy import Role
from lateen.model.view import ProxyView
from lateen.plan import clusters, defaults, dns, gateway, inbound, outbound, virtual_hosts
from lateen.plan.cache import PlanCache
from lateen.plan.diagnostics import Notes, below
from lateen.plan.directory import Directory
from lateen.plan.types import Origin, ProxyPlan


def build_plan(view: ProxyView, cache: PlanCache | None = None) -> ProxyPlan:
    """Decide what the proxies of a view do.

    The same view gives an equal plan, with or without a cache. With one, the parts that did not change since a plan
    that was made with it before (clusters, virtual hosts, route tables, listeners) are the same objects.
    """
    cache = PlanCache() if cache is None else cache
    cache.make_room(len(view.services))
    directory = Directory(view, cache)
    notes = Notes()
    _note_without_effect(directory, notes)
    if view.role is Role.GATEWAY:
        return _gateway_plan(directory, notes)
    return _sidecar_plan(directory, notes)


def _sidecar_plan(directory: Directory, notes: Notes) -> ProxyPlan:
    view = directory.view
    unknown = directory.cache.intern(virtual_hosts.unknown_traffic(_outbound_policy(view), directory, notes))
    out = outbound.outbound(directory, unknown, notes)
    into = inbound.inbound(directory)
    return ProxyPlan(
        role=view.role,
        clusters=(*out.clusters, *into.clusters, clusters.PASSTHROUGH, clusters.BLACK_HOLE),
        route_tables=tuple(out.tables),
        outbound=tuple(out.listeners),
        outbound_fallback=unknown.connections,
        inbound=into.ports,
        inbound_fallback=inbound.FALLBACK,
        dns=dns.records(directory),
        access_log=defaults.access_log(view.mesh),
        diagnostics=notes.all,
    )


def _gateway_plan(directory: Directory, notes: Notes) -> ProxyPlan:
    made = gateway.edge(directory, notes)
    return ProxyPlan(
        role=directory.view.role,
        clusters=(*made.clusters, clusters.BLACK_HOLE),
        route_tables=tuple(made.tables),
        gateway=tuple(made.listeners),
        access_log=defaults.access_log(directory.view.mesh),
        diagnostics=notes.all,
    )


def _outbound_policy(view: ProxyView) -> OutboundTrafficPolicy:
    """Choose the policy for unknown traffic: the Sidecar's, else the mesh's."""
    own = view.sidecar.spec.outbound_traffic_policy if view.sidecar else None
    return own or view.mesh.outbound_traffic_policy


def _note_without_effect(directory: Directory, notes: Notes) -> None:
    for item in directory.view.virtual_services:
        if item.spec.tls:
            notes.add(Origin(item.key, "spec.tls"), "has no effect yet")
    sidecar = directory.view.sidecar
    if sidecar is not None:
        for position, listener in enumerate(sidecar.spec.egress):
            if listener.port is not None:
                at = Origin(sidecar.key, f"spec.egress[{position}]")
                notes.add(below(at, "port"), "has no effect yet: the hosts count for all ports")
