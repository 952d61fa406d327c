"""What an Envoy's own dumps say, as rows for people: pure functions from `/config_dump` and `/clusters` to tables.

The columns are those of istioctl's `proxy-config`. Every function takes the parsed JSON of the admin interface.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from lateen import names
from lateen.cli.secret_rows import SecretRow, secret_rows

Json = Mapping[str, Any]
_HEALTH_WORDS: Final = {"UNKNOWN": "HEALTHY"}
_PATH_FORMS: Final = (
    ("path", "{}"),
    ("prefix", "{}*"),
    ("path_separated_prefix", "{}/*"),
)


class ListenerRow(NamedTuple):
    """One filter chain of a listener."""

    addresses: str
    port: int
    match: str
    destination: str


class RouteRow(NamedTuple):
    """One route of a virtual host."""

    name: str
    vhost_name: str
    domains: str
    match: str
    virtual_service: str
    destination: str


class ClusterRow(NamedTuple):
    """One cluster; those that are no service of the mesh have their name as FQDN and no port."""

    service_fqdn: str
    port: int | None
    subset: str
    direction: str
    type: str
    destination_rule: str


class EndpointRow(NamedTuple):
    """One host of a cluster as Envoy sees it now."""

    endpoint: str
    status: str
    outlier_check: str
    cluster: str


class PolicyRow(NamedTuple):
    """What policies come to for one port of a proxy: the filters that a request passes, in order."""

    name: str
    filters: str
    rules: str


Row = ListenerRow | RouteRow | ClusterRow | EndpointRow | SecretRow | PolicyRow


class Section(NamedTuple):
    """One kind of what an Envoy runs: where to read it, how to find its resources, and the rows of each resource."""

    page: str
    resources: Callable[[Json], Iterable[Json]]
    rows: Callable[[Json], Iterable[Row]]
    order: Callable[[Any], Any]

    def tell(self, dump: Json, matches: Callable[[Row], bool]) -> tuple[Row, ...]:
        """List the rows that match, in the section's order."""
        found = [row for resource in self.resources(dump) for row in self.rows(resource) if matches(row)]
        return tuple(sorted(found, key=self.order))

    def select(self, dump: Json, matches: Callable[[Row], bool]) -> tuple[Json, ...]:
        """List the resources, as Envoy wrote them, of which a row matches."""
        return tuple(resource for resource in self.resources(dump) if any(map(matches, self.rows(resource))))


def bootstrap(dump: Json) -> Json:
    """Return what Envoy was started with, without the list of what it was built with."""
    found: Json = next((part["bootstrap"] for part in _parts(dump, "BootstrapConfigDump")), {})
    node = {name: value for name, value in found.get("node", {}).items() if name != "extensions"}
    return {**found, "node": node} if node else found


def _parts(dump: Json, kind: str) -> Iterator[Json]:
    """Yield the sections of a dump whose type is exactly this one (`RoutesConfigDump`, not `ScopedRoutes…`)."""
    for part in dump.get("configs", ()):
        if part.get("@type", "").rpartition(".")[2] == kind:
            yield part


def _listeners(dump: Json) -> Iterator[Json]:
    for part in _parts(dump, "ListenersConfigDump"):
        for listener in part.get("static_listeners", ()):
            yield listener.get("listener", {})
        for listener in part.get("dynamic_listeners", ()):
            if (state := listener.get("active_state") or listener.get("warming_state")) is not None:
                yield state.get("listener", {})


def _policies(dump: Json) -> Iterator[Json]:
    for part in _parts(dump, "EcdsConfigDump"):
        for one in part.get("ecds_filters", ()):
            yield one.get("ecds_filter", {})


def _policy_rows(extension: Json) -> Iterator[PolicyRow]:
    chain = extension.get("typed_config", {}).get("default_filter_chain", {})
    filters = [one.get("name", "").rpartition(".")[2] for one in chain.get("filters", ())]
    named = (rule for one in chain.get("filters", ()) for rule in _named_rules(one.get("typed_config", {})))
    yield PolicyRow(extension.get("name", ""), ", ".join(filters) or "none", ", ".join(dict.fromkeys(named)))


def _named_rules(config: Json) -> Iterator[str]:
    """List the rules of a filter by the names that access logs have for them, also of one that is passed over."""
    within = config.get("extension_config", {}).get("typed_config", config)
    for rules in ("rules", "shadow_rules"):
        yield from within.get(rules, {}).get("policies", {})


def _listener_rows(listener: Json) -> Iterator[ListenerRow]:
    address, port = _socket(listener.get("address", {}))
    chains = [(_chain_match(chain), chain) for chain in listener.get("filter_chains", ())]
    if default := listener.get("default_filter_chain"):
        chains.append(("ALL", default))
    for match, chain in chains:
        yield ListenerRow(address, port, match, _chain_destination(chain) + _own_certificates(chain))
    if not chains:
        yield ListenerRow(address, port, "ALL", _listener_filters(listener))


def _socket(address: Json) -> tuple[str, int]:
    socket = address.get("socket_address")
    if socket is None:
        return address.get("pipe", {}).get("path", ""), 0
    return socket.get("address", ""), socket.get("port_value", 0)


def _chain_match(chain: Json) -> str:
    """Say what a connection must be for a chain, in the order in which Envoy looks."""
    match = chain.get("filter_chain_match", {})
    parts = (
        f"Port: {match['destination_port']}" if "destination_port" in match else "",
        f"Addr: {','.join(map(_range, match['prefix_ranges']))}" if "prefix_ranges" in match else "",
        f"SNI: {','.join(match['server_names'])}" if "server_names" in match else "",
        f"Trans: {match['transport_protocol']}" if "transport_protocol" in match else "",
        f"App: {','.join(match['application_protocols'])}" if "application_protocols" in match else "",
    )
    return "; ".join(part for part in parts if part) or "ALL"


def _range(prefix: Json) -> str:
    return f"{prefix.get('address_prefix', '')}/{prefix.get('prefix_len', 0)}"


def _chain_destination(chain: Json) -> str:
    for config in (each.get("typed_config", {}) for each in chain.get("filters", ())):
        if "rds" in config:
            return f"Route: {config['rds'].get('route_config_name', '')}"
        if "route_config" in config:
            return _inline_routes(config["route_config"])
        if "cluster" in config:
            return f"Cluster: {config['cluster']}"
        if "weighted_clusters" in config:
            return "Clusters: " + _weights(config["weighted_clusters"])
    return "none"


def _own_certificates(chain: Json) -> str:
    """Say with which certificates TLS is ended, where they are others than the workload's own."""
    context = chain.get("transport_socket", {}).get("typed_config", {})
    secrets = context.get("common_tls_context", {}).get("tls_certificate_sds_secret_configs", ())
    found = [each.get("name", "") for each in secrets if each.get("name") != names.WORKLOAD_SECRET]
    if not found:
        return ""
    asked = ", asks for the client's" if context.get("require_client_certificate") else ""
    return f" (TLS: {', '.join(found)}{asked})"


def _inline_routes(table: Json) -> str:
    """Say where a listener's own routes lead: to one cluster as that, to several as the name of the table."""
    found = {
        route.get("route", {}).get("cluster", "")
        for host in table.get("virtual_hosts", ())
        for route in host.get("routes", ())
    }
    if len(found) == 1 and (only := found.pop()):
        return f"Cluster: {only}"
    return f"Inline Route: {table.get('name', '')}"


def _listener_filters(listener: Json) -> str:
    filters = (each.get("name", "") for each in listener.get("listener_filters", ()))
    return "Filter: " + ",".join(filters) if listener.get("listener_filters") else "none"


def _route_tables(dump: Json) -> Iterator[Json]:
    for part in _parts(dump, "RoutesConfigDump"):
        for place in ("static_route_configs", "dynamic_route_configs"):
            for table in part.get(place, ()):
                yield table.get("route_config", {})


def _table_rows(table: Json) -> Iterator[RouteRow]:
    for host in table.get("virtual_hosts", ()):
        found: Sequence[Json] = host.get("routes", ())
        for route in found or ({},):
            yield _route_row(table.get("name", ""), host, route)


def _route_row(table: str, host: Json, route: Json) -> RouteRow:
    return RouteRow(
        table,
        host.get("name", ""),
        _domains(host.get("domains", ())),
        _route_match(route.get("match", {})) if route else "",
        _origin(route, "virtual-service"),
        _route_destination(route),
    )


def _domains(domains: Iterable[str]) -> str:
    """Name the shortest domain, which is what people type, and count the others."""
    found = sorted((domain for domain in domains), key=lambda domain: (len(domain), domain))
    if not found:
        return ""
    wordy = [domain for domain in found if not _is_address(domain)] or found
    more = len(found) - 1
    return f"{wordy[0]} + {more} more" if more else wordy[0]


def _is_address(domain: str) -> bool:
    return domain.replace(".", "").replace(":", "").isdecimal() or domain.startswith("[")


def _route_match(match: Json) -> str:
    path = next((form.format(match[key]) for key, form in _PATH_FORMS if key in match), "")
    if regex := match.get("safe_regex"):
        path = f"regex {regex.get('regex', '')}"
    conditions = [each.get("name", "") for key in ("headers", "query_parameters") for each in match.get(key, ())]
    return path + (f" if {','.join(conditions)}" if conditions else "")


def _route_destination(route: Json) -> str:
    if "redirect" in route:
        return "redirect"
    if "direct_response" in route:
        return f"answer {route['direct_response'].get('status', '')}"
    action = route.get("route", {})
    if "weighted_clusters" in action:
        return _weights(action["weighted_clusters"])
    return str(action.get("cluster", action.get("cluster_header", "")))


def _weights(weighted: Json) -> str:
    return ", ".join(f"{each.get('name', '')} {each.get('weight', 0)}" for each in weighted.get("clusters", ()))


def _clusters(dump: Json) -> Iterator[Json]:
    for part in _parts(dump, "ClustersConfigDump"):
        for place in ("static_clusters", "dynamic_active_clusters", "dynamic_warming_clusters"):
            for cluster in part.get(place, ()):
                yield cluster.get("cluster", {})


def _cluster_rows(cluster: Json) -> Iterator[ClusterRow]:
    yield _cluster_row(cluster)


def _cluster_row(cluster: Json) -> ClusterRow:
    name = cluster.get("name", "")
    kind = cluster.get("type") or cluster.get("cluster_type", {}).get("name") or "STATIC"
    rule = _origin(cluster, "destination-rule")
    parsed = names.parse_cluster(name)
    if parsed is None:
        return ClusterRow(name, None, "", "", kind, rule)
    return ClusterRow(parsed.host, parsed.port, parsed.subset, parsed.direction, kind, rule)


def _endpoint_rows(cluster: Json) -> Iterator[EndpointRow]:
    for host in cluster.get("host_statuses", ()):
        yield _endpoint_row(cluster.get("name", ""), host)


def _cluster_statuses(status: Json) -> Iterator[Json]:
    yield from status.get("cluster_statuses", ())


def _endpoint_row(cluster: str, host: Json) -> EndpointRow:
    address, port = _socket(host.get("address", {}))
    health = host.get("health_status", {})
    failed = any(health.get(check) for check in ("failed_active_health_check", "failed_active_degraded_check"))
    status = "UNHEALTHY" if failed else health.get("eds_health_status", "HEALTHY")
    ejected = health.get("failed_outlier_check", False)
    return EndpointRow(
        f"{address}:{port}" if port else f"unix://{address}",
        _HEALTH_WORDS.get(status, status),
        "FAILED" if ejected else "OK",
        cluster,
    )


def _secrets(dump: Json) -> Iterator[Json]:
    """Yield the secrets with the state that they are in; what waits for its first answer is warming."""
    for part in _parts(dump, "SecretsConfigDump"):
        for place, status in (("static", "ACTIVE"), ("dynamic_active", "ACTIVE"), ("dynamic_warming", "WARMING")):
            for secret in part.get(f"{place}_secrets", ()):
                yield {**secret, "status": status}


def _origin(item: Json, kind: str) -> str:
    """Name the object of a kind that a route or cluster came from as `name.namespace`, by the path in its metadata."""
    path = item.get("metadata", {}).get("filter_metadata", {}).get("istio", {}).get("config", "")
    parts = path.strip("/").split("/")
    if len(parts) < 4 or parts[-4] != "namespaces" or parts[-2] != kind:
        return ""
    return f"{parts[-1]}.{parts[-3]}"


def _number_first(name: str) -> tuple[int, int, str]:
    return (0, int(name), "") if name.isdecimal() else (1, 0, name)


SECTIONS: Final = {
    "listeners": Section("config_dump", _listeners, _listener_rows, lambda row: (row.port, row.addresses)),
    "policies": Section("config_dump", _policies, _policy_rows, lambda row: row.name),
    "routes": Section("config_dump", _route_tables, _table_rows, lambda row: _number_first(row.name)),
    "clusters": Section(
        "config_dump",
        _clusters,
        _cluster_rows,
        lambda row: (row.service_fqdn, row.port or 0, row.subset, row.direction),
    ),
    "secrets": Section("config_dump", _secrets, secret_rows, lambda row: (row.type != "Cert Chain", row.resource_name)),
    "endpoints": Section("clusters", _cluster_statuses, _endpoint_rows, lambda row: (row.cluster, row.endpoint)),
}
"""What `proxy-config` can show in tables; sorting is stable, so that the order of matching stays where it matters."""
