"""VirtualServices: rules that never act, hosts that several objects are for, and what does not reach a gateway."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from lateen.api.networking.virtual_service import HttpMatch, HttpRoute, VirtualService
from lateen.api.objects import ConfigObject
from lateen.api.security.request_authentication import RequestAuthentication
from lateen.model import visibility
from lateen.model.views import MESH_GATEWAY, gateways_of
from lateen.plan import matches
from lateen.plan.analysis.references import destinations
from lateen.plan.analysis.world import Found, World, at, full


def shared_hosts(world: World) -> Found:
    """Yield VirtualServices of the mesh that are for a host of an older one and say something else about the same.

    Several may be for one host: they are merged. What both say of the same requests is said by the oldest.
    """
    by_host: defaultdict[str, list[ConfigObject[VirtualService]]] = defaultdict(list)
    for item in world.mesh_rules:
        for host in dict.fromkeys(full(host, item.namespace) for host in item.spec.hosts):
            by_host[host].append(item)
    for host, items in by_host.items():
        said: dict[object, ConfigObject[VirtualService]] = {}
        for item in items:
            for condition, path in _claims(item):
                winner = said.setdefault(condition, item)
                if winner is not item and _is_seen(world, winner, item.namespace):
                    yield at(item.key, path), f"never acts for {host}: {winner.key}, which is older, decides the same"


def _is_seen(world: World, item: ConfigObject[VirtualService], namespace: str) -> bool:
    default = world.mesh.default_virtual_service_export_to
    return visibility.is_exported(item.spec.export_to, default, item.namespace, namespace)


def _claims(item: ConfigObject[VirtualService]) -> Iterator[tuple[object, str]]:
    """Yield what the rules of a VirtualService decide, as far as it can be compared, with the field."""
    for position, rule in enumerate(item.spec.http):
        for place, condition in enumerate(rule.match or (HttpMatch(),)):
            path = f"spec.http[{position}]" + (f".match[{place}]" if rule.match else "")
            yield "general" if _is_general(condition) else _essence(condition), path
    for position, tcp in enumerate(item.spec.tcp):
        yield ("tcp", tuple(match.port for match in tcp.match)), f"spec.tcp[{position}]"


def _essence(condition: HttpMatch) -> str:
    """Return a condition as a text that is the same for equal ones; names do not count."""
    return condition.model_copy(update={"name": "", "stat_prefix": ""}).model_dump_json(exclude_defaults=True)


def _is_general(condition: HttpMatch) -> bool:
    rest = condition.port or condition.source_labels or condition.source_namespace or condition.gateways
    return not rest and matches.is_catch_all(matches.request_match(condition))


def unreachable_rules(world: World) -> Found:
    """Yield rules behind one that takes everything."""
    for item in world.virtual_services:
        general: str | None = None
        for position, rule in enumerate(item.spec.http):
            path = f"spec.http[{position}]"
            if general is not None:
                yield at(item.key, path), f"never acts: {general} before it takes every request; put it before that"
            elif any(_is_general(condition) for condition in rule.match or (HttpMatch(),)):
                general = path
        for position, _ in enumerate(item.spec.tcp):
            if any(not before.match for before in item.spec.tcp[:position]):
                yield at(item.key, f"spec.tcp[{position}]"), "never acts: a rule before it takes every connection"
                break


def repeated_matches(world: World) -> Found:
    """Yield conditions that were asked before in the same object."""
    for item in world.virtual_services:
        seen: dict[str, str] = {}
        for position, rule in enumerate(item.spec.http):
            for place, condition in enumerate(rule.match):
                path = f"spec.http[{position}].match[{place}]"
                first = seen.setdefault(_essence(condition), path)
                if first != path and not _is_general(condition):
                    yield at(item.key, path), f"asks the same as {first}, which comes first: it never acts"


def hosts_off_gateways(world: World) -> Found:
    """Yield hosts of VirtualServices that none of their Gateways serves."""
    for item in world.virtual_services:
        names = [name for name in gateways_of(item) if name != MESH_GATEWAY and name in world.gateways]
        for name in names:
            offered = [
                visibility.scoped_host(text, world.gateways[name].namespace)
                for server in world.gateways[name].spec.servers
                for text in server.hosts
            ]
            open_to = [host for scope, host in offered if scope in ("*", item.namespace)]
            for position, written in enumerate(item.spec.hosts):
                host = full(written, item.namespace) if written != "*" else "*"
                if not any(_overlap(one, host) or _overlap(one, written) for one in open_to):
                    served = ", ".join(open_to) or "nothing for this namespace"
                    yield (
                        at(item.key, f"spec.hosts[{position}]"),
                        f"Gateway {name} does not serve {written}: it serves {served}",
                    )


def _overlap(offered: str, claimed: str) -> bool:
    return visibility.host_matches(offered, claimed) or visibility.host_matches(claimed, offered)


def subsets_without_ingress(world: World) -> Found:
    """Yield rules of the mesh for a host that requests from a gateway do not see, because they come by another object.

    Such a gateway rule sends to the host as a whole, and the rule of the mesh for that host acts in sidecars only.
    """
    by_gateway: dict[str, str] = {}
    for item in world.virtual_services:
        names = [name for name in gateways_of(item) if name != MESH_GATEWAY]
        for reference in destinations(item) if names else ():
            if not reference.destination.subset:
                by_gateway.setdefault(reference.host, f"Gateway {names[0]} by {item.key}")
    for item in world.mesh_rules:
        if any(name != MESH_GATEWAY for name in gateways_of(item)):
            continue
        for host in item.spec.hosts:
            source = by_gateway.get(full(host, item.namespace))
            position = next((place for place, rule in enumerate(item.spec.http) if _has_subset(rule)), None)
            if source is not None and position is not None:
                says = f"has no effect on what comes through {source}: name the subset there too"
                yield at(item.key, f"spec.http[{position}]"), says


def _has_subset(rule: HttpRoute) -> bool:
    return any(branch.destination.subset for branch in rule.route)


def claims_without_tokens(world: World) -> Found:
    """Yield conditions on claims behind gateways whose tokens nobody verifies."""
    for item in world.virtual_services:
        for position, rule in enumerate(item.spec.http):
            for place, condition in enumerate(rule.match):
                if matches.reads_claims(condition) and (name := _unverified(world, item)):
                    path = f"spec.http[{position}].match[{place}]"
                    yield (
                        at(item.key, path),
                        f"never matches: no RequestAuthentication verifies tokens at Gateway {name}",
                    )


def _unverified(world: World, item: ConfigObject[VirtualService]) -> str:
    """Return the first of the Gateways behind which no token is verified; nothing where all are."""
    for name in gateways_of(item):
        gateway = world.gateways.get(name)
        if gateway is not None and not _verifies(world, gateway.spec.selector):
            return name
    return ""


def _verifies(world: World, selector: Mapping[str, str]) -> bool:
    workloads = list(world.selected_everywhere(selector))
    homes = {one.key.namespace for one in workloads}
    root = world.mesh.root_namespace
    for policy in world.config.of(RequestAuthentication):
        wanted = policy.spec.selector.match_labels if policy.spec.selector is not None else {}
        labels = [one.labels for one in workloads] or [selector]
        in_scope = policy.namespace == root or policy.namespace in homes or not workloads
        if policy.spec.jwt_rules and in_scope and any(wanted.items() <= one.items() for one in labels):
            return True
    return False
