"""Who sees what: exportTo, and the Sidecar that limits what a workload's proxy needs to know."""

from collections.abc import Iterable, Mapping

from lateen.api.networking.sidecar import Sidecar
from lateen.api.objects import ConfigObject
from lateen.model.service import Service
from lateen.model.services import exported_to


def is_exported(scopes: tuple[str, ...], default: tuple[str, ...], owner: str, client: str) -> bool:
    """Tell whether an object of namespace `owner` with these `exportTo` scopes counts for clients of a namespace."""
    if not scopes and not default:
        return True
    namespaces = exported_to(scopes or default, owner)
    return "*" in namespaces or client in namespaces


def chosen_sidecar(
    sidecars: Iterable[ConfigObject[Sidecar]], namespace: str, labels: Mapping[str, str], root: str
) -> ConfigObject[Sidecar] | None:
    """Choose the Sidecar of a workload: one that selects it, else its namespace's, else the root namespace's.

    `sidecars` come oldest first: among several that fit the oldest wins.
    """
    in_order = list(sidecars)
    own = [item for item in in_order if item.key.namespace == namespace]
    for item in own:
        selector = item.spec.workload_selector
        if selector and selector.labels and selector.labels.items() <= labels.items():
            return item
    defaults = [item for item in in_order if not _has_selector(item)]
    for place in (namespace, root):
        found = next((item for item in defaults if item.key.namespace == place), None)
        if found is not None:
            return found
    return None


def _has_selector(item: ConfigObject[Sidecar]) -> bool:
    selector = item.spec.workload_selector
    return selector is not None and bool(selector.labels)


def in_scope(services: Iterable[Service], sidecar: Sidecar | None, namespace: str) -> tuple[Service, ...]:
    """Keep the services that a Sidecar's egress listeners name; without a Sidecar or egress all of them."""
    if sidecar is None or not sidecar.egress:
        return tuple(services)
    patterns = [scoped_host(text, namespace) for listener in sidecar.egress for text in listener.hosts]
    return tuple(
        service
        for service in services
        if any(_names(scope, host, service.namespace, service.host) for scope, host in patterns)
    )


def scoped_host(text: str, namespace: str) -> tuple[str, str]:
    """Split `namespace/host` as Sidecars and Gateways write it; `.` is the writer's own namespace, none is `*`."""
    scope, slash, host = text.partition("/")
    if not slash:
        return "*", text
    return (namespace if scope == "." else scope), host


def _names(scope: str, pattern: str, namespace: str, host: str) -> bool:
    return scope in ("*", namespace) and host_matches(pattern, host)


def host_matches(pattern: str, host: str) -> bool:
    """Tell whether a host is one that a pattern names: `*`, `*.suffix` or the host itself."""
    if pattern.startswith("*"):
        return host.endswith(pattern[1:])
    return pattern == host
