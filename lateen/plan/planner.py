"""The door of this room: from a view to the plan."""

from lateen.api.networking.sidecar import OutboundTrafficPolicy
from lateen.model.proxy import Role
from lateen.model.view import ProxyView
from lateen.plan import (
    clusters,
    dns,
    gateway,
    guard,
    inbound,
    logins,
    manners,
    outbound,
    patches,
    secrets,
    telemetry,
    virtual_hosts,
)
from lateen.plan.cache import PlanCache
from lateen.plan.diagnostics import Notes
from lateen.plan.directory import Directory
from lateen.plan.focus import Focus
from lateen.plan.secrets import Keyring
from lateen.plan.types import ProxyPlan, Secret


def build_plan(view: ProxyView, cache: PlanCache | None = None, asked: Focus | None = None) -> ProxyPlan:
    """Decide what the proxies of a view do; with `asked`, as far as that request has to do with it.

    The same view gives an equal plan, with or without a cache. With one, the parts that did not change since a plan
    that was made with it before (clusters, virtual hosts, route tables, listeners) are the same objects.
    """
    cache = PlanCache() if cache is None else cache
    cache.make_room(len(view.services))
    directory = Directory(view, cache)
    notes = Notes()
    if view.role is Role.GATEWAY:
        return _gateway_plan(directory, notes, asked)
    # What a Sidecar admits and opens depends on all that is in its view, which is small for that reason.
    return _sidecar_plan(directory, notes, asked if view.sidecar is None else None)


def _sidecar_plan(directory: Directory, notes: Notes, asked: Focus | None) -> ProxyPlan:
    view = directory.view
    unknown = directory.cache.intern(virtual_hosts.unknown_traffic(_outbound_policy(view), directory, notes))
    out = outbound.outbound(directory, unknown, notes, asked)
    keyring, needed = Keyring(directory), list[Secret]()
    into = inbound.inbound(directory, inbound.ingress_tls(directory, keyring, needed, notes))
    inbound.note_ingress(directory, notes)
    guards = guard.guards(directory, notes)
    guard.note_connections(guards, into.ports, notes)
    manner = directory.cache.intern(manners.manner(directory))
    strangers = clusters.of_strangers(_outbound_policy(view), follows_names=bool(view.mesh.proxy_http_port))
    found = (*out.clusters, *into.clusters, *strangers)
    return ProxyPlan(
        role=view.role,
        clusters=manners.clusters(found, manner, directory),
        route_tables=manners.tables(out.tables, manner, directory),
        replicas=inbound.replicas(view),
        outbound=tuple(out.listeners),
        outbound_fallback=unknown.connections,
        secrets=tuple(dict.fromkeys((*needed, *secrets.of_clusters(out.clusters, keyring, notes)))),
        inbound=into.ports,
        inbound_fallback=inbound.FALLBACK,
        inbound_mode=view.peers.mode,
        trust=directory.defaults.trust,
        dns=dns.records(directory),
        guards=guards,
        manner=manner,
        telemetry=telemetry.telemetry(directory, notes),
        patches=patches.patches(directory.view, notes),
        diagnostics=notes.all,
    )


def _gateway_plan(directory: Directory, notes: Notes, asked: Focus | None) -> ProxyPlan:
    keyring = Keyring(directory)
    made = gateway.edge(directory, keyring, notes, asked)
    needed = (*made.secrets, *secrets.of_clusters(made.clusters, keyring, notes))
    login = logins.logins(directory, notes)
    guards = guard.guards(directory, notes, login)
    manner = directory.cache.intern(manners.manner(directory))
    return ProxyPlan(
        role=directory.view.role,
        clusters=manners.clusters((*made.clusters, *login.clusters, clusters.BLACK_HOLE), manner, directory),
        route_tables=manners.tables(made.tables, manner, directory),
        gateway=tuple(made.listeners),
        secrets=tuple(dict.fromkeys((*needed, *login.secrets))),
        guards=guards,
        manner=manner,
        telemetry=telemetry.telemetry(directory, notes),
        patches=patches.patches(directory.view, notes),
        diagnostics=notes.all,
    )


def _outbound_policy(view: ProxyView) -> OutboundTrafficPolicy:
    """Choose the policy for unknown traffic: the Sidecar's, else the mesh's."""
    own = view.sidecar.spec.outbound_traffic_policy if view.sidecar else None
    return own or view.mesh.outbound_traffic_policy
