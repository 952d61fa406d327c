"""A plan as plain structures that people read: goldens, `explain` and tests. What is as usual is left out."""

from collections.abc import Iterable
from typing import Final

from lateen import names
from lateen.api.mesh.connection_settings import NO_SETTINGS, at_gateway
from lateen.api.structs import alias
from lateen.model.peers import PeerMode
from lateen.model.proxy import Role
from lateen.plan import audit, describe_limits, describe_mixer, describe_telemetry
from lateen.plan.destination_types import FOREVER
from lateen.plan.http_types import LOOKS_FOR
from lateen.plan.plain import Plain, distinct, duration, filled, pattern, plain, text_match
from lateen.plan.types import (
    Access,
    AccessCondition,
    AccessRule,
    Chain,
    Cluster,
    Forward,
    GatewayListener,
    Guard,
    Guards,
    HeaderOperations,
    HttpChain,
    InboundPort,
    Login,
    MeshTls,
    MeshTrust,
    NamedChain,
    OutboundListener,
    ProxyPlan,
    Redirect,
    RequestMatch,
    Respond,
    Route,
    RouteTable,
    SniffedChain,
    Target,
    VirtualHost,
)

_SPECIAL_CLUSTER_FIELDS: Final = ("name", "host", "port", "subset", "service")


def plan(described: ProxyPlan) -> dict[str, Plain]:
    """Describe a whole plan; listeners, tables and clusters by name."""
    return filled(
        {
            "role": described.role.value,
            "outbound": {f"{one.address}:{one.port}": listener(one) for one in described.outbound},
            "outbound fallback": described.outbound_fallback and chain(described.outbound_fallback),
            "inbound": {one.port: listener(one) for one in described.inbound},
            "inbound fallback": described.inbound_fallback
            and _with_mode(chain(described.inbound_fallback), described.inbound_mode),
            "gateway": {f"{one.address}:{one.port}": listener(one) for one in described.gateway},
            "secrets": [one.name for one in described.secrets],
            "routes": {one.name: table(one) for one in described.route_tables},
            "clusters": {one.name: cluster(one) for one in described.clusters},
            "replicas": described.replicas and f"{described.replicas.host}:{described.replicas.port}",
            "guards": _guards(described.guards),
            "paths": plain(described.manner.paths),
            "headers": plain(described.manner.headers),
            "bounds": _bounds(described),
            "looks for": None if described.manner.looks_for == LOOKS_FOR else duration(described.manner.looks_for),
            "dns": {record.host: list(record.addresses) for record in described.dns},
            "telemetry": describe_telemetry.telemetry(described.telemetry),
            "diagnostics": [str(diagnostic) for diagnostic in described.diagnostics],
        }
    )


def _bounds(described: ProxyPlan) -> dict[str, Plain]:
    """Describe how much is taken from clients, where it is not as usual for the role."""
    usual = at_gateway(NO_SETTINGS) if described.role is Role.GATEWAY else NO_SETTINGS
    bounds = described.manner.bounds
    names = (name for name in type(bounds).model_fields if getattr(bounds, name) != getattr(usual, name))
    return {alias(name): plain(getattr(bounds, name)) for name in names}


def listener(described: OutboundListener | InboundPort | GatewayListener) -> Plain:
    """Describe what a listener does with connections."""
    if isinstance(described, InboundPort):
        also = filled({"tls": described.tls and plain(described.tls), "opens": described.opens})
        where = _with_mode(chain(described.chain), described.mode)
        return {**_as_mapping(where), **also} if also else where
    where = {} if described.chain is None else chain(described.chain)
    fallback = described.fallback if isinstance(described, OutboundListener) else None
    if fallback is not None:
        where = {**_as_mapping(where), "else": chain(fallback)}
    if isinstance(described, OutboundListener) and described.subnets:
        by_subnet = {" ".join(one.subnets): chain(one.chain) for one in described.subnets}
        where = {"to": by_subnet, "otherwise": where}
    if described.named:
        by_name = {" ".join(one.server_names) or "*": named_chain(one) for one in described.named}
        where = {"tls for": by_name, **_as_mapping(where)}
    return where


def named_chain(described: NamedChain) -> Plain:
    """Describe what becomes of TLS for some server names: where it goes, and with what it is ended if it is."""
    where = chain(described.chain)
    if described.tls is None:
        return where
    ended = "mesh" if isinstance(described.tls, MeshTrust) else plain(described.tls)
    also = {"http3": True} if described.http3 else {}
    return {**_as_mapping(where), "ended with": ended, **also}


def chain(described: Chain) -> Plain:
    """Describe a chain: a route table's name or content, or clusters."""
    if isinstance(described, HttpChain):
        return {"http": table(described.inline) if described.inline else described.table}
    if isinstance(described, SniffedChain):
        return {**chain(described.http), "else": chain(described.tcp)}
    where = [target(one, described.targets) for one in described.targets]
    if described.keeping != FOREVER:
        return {"to": where[0] if len(where) == 1 else where, "kept": plain(described.keeping)}
    return where[0] if len(where) == 1 else where


def table(described: RouteTable) -> dict[str, Plain]:
    """Describe a route table's virtual hosts by name."""
    return {host.name: virtual_host(host) for host in described.virtual_hosts}


def virtual_host(described: VirtualHost) -> dict[str, Plain]:
    """Describe a virtual host: its domains and its routes in order."""
    return filled(
        {
            "domains": list(described.domains),
            "requires tls": described.requires_tls,
            "routes": [route(one) for one in described.routes],
        }
    )


def route(described: Route) -> dict[str, Plain]:
    """Describe a route: when it matches, what it does, and where it comes from."""
    return filled(
        {
            "name": described.name,
            "if": match(described.match),
            **action(described),
            "fault": described.fault and plain(described.fault),
            "cors": described.cors and plain(described.cors),
            "request headers": headers(described.request_headers),
            "response headers": headers(described.response_headers),
            "from": described.origin and str(described.origin),
        }
    )


def action(described: Route) -> dict[str, Plain]:
    """Describe what a route does with a request."""
    act = described.action
    if isinstance(act, Forward):
        where = [target(one, act.targets) for one in act.targets]
        rest = {name: value for name, value in plain(act).items() if name != "targets"}
        return {"to": where[0] if len(where) == 1 else where, **rest}
    if isinstance(act, Redirect):
        return {"redirect": {"code": act.code, **plain(act)}}
    return {"respond": _respond(act)}


def target(described: Target, split: tuple[Target, ...]) -> Plain:
    """Describe a target: its cluster, and its share in percent when it is not the only one."""
    rest = filled(
        {
            "authority": described.authority,
            "request headers": headers(described.request_headers),
            "response headers": headers(described.response_headers),
        }
    )
    if len(split) > 1:
        total = sum(one.weight for one in split)
        return {"cluster": described.cluster, "percent": round(100 * described.weight / total, 2), **rest}
    return {"cluster": described.cluster, **rest} if rest else described.cluster


def match(described: RequestMatch) -> dict[str, str]:
    """Describe what a route asks of a request; nothing when it takes every one."""
    asked = {"path": text_match(described.path)} if described.path else {}
    asked.update((f"header {one.name}", text_match(one.match)) for one in distinct(described.headers))
    asked.update((f"query {one.name}", text_match(one.match)) for one in described.query)
    asked.update((f"claim {'.'.join(one.path)}", text_match(one.match)) for one in described.claims)
    return asked


def headers(described: HeaderOperations) -> dict[str, Plain]:
    """Describe changes to headers."""
    return filled(
        {"set": dict(described.set), "add": dict(described.add), "remove": list(described.remove)},
    )


def cluster(described: Cluster) -> dict[str, Plain]:
    """Describe a cluster: how its endpoints are found, and what is not as usual. Its name says what it stands for."""
    rest = {name: value for name, value in plain(described).items() if name not in _SPECIAL_CLUSTER_FIELDS}
    if isinstance(described.tls, MeshTls):
        rest["tls"] = mesh_tls(described.tls, described)
    return {**rest, **({"labels": dict(described.labels)} if described.labels else {})}


def mesh_tls(described: MeshTls, to: Cluster) -> Plain:
    """Describe the mesh's TLS: with which endpoints, and who they have to be."""
    usual_name = names.mesh_server_name(to.host, to.port, to.subset)
    rest = filled(
        {
            "server name": "" if described.server_name == usual_name else described.server_name,
            "accounts": list(described.accounts),
        }
    )
    extent = "mesh" if described.automatic else "mesh, always"
    return {extent: rest} if rest else extent


def _guards(described: Guards) -> dict[str, Plain]:
    special = {f"port {port}": guard(one) for port, one in described.by_port}
    return filled({**guard(described.everywhere), **special})


def guard(described: Guard) -> dict[str, Plain]:
    """Describe who has to log in, whose tokens are verified, and who may call."""
    issuers = [{**plain(one), "keys": "known" if one.keys else "none"} for one in described.issuers]
    logins = {one.name: login(one) for one in described.logins}
    trail = plain(described.trail) if described.trail not in (None, audit.DEFAULT) else {}
    return filled(
        {
            "logins": logins,
            "tokens": issuers,
            **access(described.access),
            "records": trail,
            "keys": {one.name: describe_limits.key_check(one) for one in described.api_keys},
            "limits": {one.name: describe_limits.rate_limits(one) for one in described.limits},
            "processors": {one.name: describe_limits.processor(one) for one in described.processors},
            "mixer": describe_mixer.mixer(described.mixer) if described.mixer else None,
            "headers": [plain(one) for one in described.headers],
        }
    )


def login(described: Login) -> dict[str, Plain]:
    """Describe where users log in, for what, and what becomes of their tokens."""
    places = {name: [pattern(one) for one in getattr(described, name)] for name in ("hosts", "paths", "excluded_paths")}
    rest = {
        name: value
        for name, value in plain(described).items()
        if name not in ("name", "cookie suffix", "id token header")
    }
    return rest | {name.replace("_", " "): value for name, value in places.items() if value}


def access(described: Access) -> dict[str, Plain]:
    """Describe rules in the order in which they are asked."""
    actions = {
        "audit": described.audit,
        "deny": described.deny,
        "allow": described.allow,
        "tried deny": described.tried_deny,
        "tried allow": described.tried_allow,
    }
    custom = {
        one.authorizer.name: {**plain(one.authorizer), "asked about": rules(one.rules)} for one in described.custom
    }
    said = {name: rules(found) for name, found in actions.items() if found}
    return {
        **({"custom": custom} if custom else {}),
        **said,
        **({"allow": "nothing"} if described.allow == () else {}),
        **({"tried allow": "nothing"} if described.tried_allow == () else {}),
    }


def rules(described: Iterable[AccessRule]) -> dict[str, Plain]:
    """Describe rules by name: each alternative as the conditions that must hold."""
    return {one.name: access_rule(one) or "everything" for one in described}


def access_rule(described: AccessRule) -> dict[str, Plain]:
    """Describe what a rule asks of source and target."""
    return filled(
        {
            "from": [" and ".join(map(access_condition, one)) for one in described.sources],
            "to": [" and ".join(map(access_condition, one)) for one in described.operations],
            "when": [access_condition(one) for one in described.conditions],
        }
    )


def access_condition(described: AccessCondition) -> str:
    """Describe a condition in words: `source.namespace is not default or test*`."""
    names = "".join(f"[{name}]" for name in described.names)
    values = " or ".join(map(pattern, described.patterns))
    return f"{described.attribute.value}{names} is {'not ' if described.inverted else ''}{values}"


def _respond(described: Respond) -> dict[str, Plain]:
    return filled({"status": described.status, "body": described.body.decode(errors="replace")})


def _with_mode(where: Plain, mode: PeerMode) -> Plain:
    """Add which connections are taken, unless all are, which is usual."""
    return where if mode is PeerMode.PERMISSIVE else {**_as_mapping(where), "takes": mode.value}


def _as_mapping(where: Plain) -> dict[str, Plain]:
    return where if isinstance(where, dict) else {"to": where}
