"""What a proxy's node says of it in texts, and by which EnvoyFilters may tell proxies apart."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from lateen import names
from lateen.api.networking.envoy_filter import EnvoyFilter
from lateen.model.proxy import Proxy

ALIKE: Final = ("NAMESPACE", "SERVICE_ACCOUNT", "WORKLOAD_NAME", "CLUSTER_ID", "MESH_ID")
"""What all replicas of a workload have in common: only by this can proxies be told apart, as they are made alike."""


def texts(namespace: str, account: str, owner: str) -> Mapping[str, str]:
    """Return what is the same for all proxies of a workload."""
    said = (namespace, account, owner, names.MESH_CLUSTER, names.DEFAULT_DOMAIN)
    return MappingProxyType(dict(zip(ALIKE, said, strict=True)))


def asked_for(proxy: Proxy, filters: Iterable[EnvoyFilter]) -> tuple[tuple[str, str], ...]:
    """Return those texts of a proxy's node that EnvoyFilters compare."""
    asked = {key for one in filters for key in _keys(one)}
    if not asked:
        return ()
    known = texts(proxy.key.namespace, proxy.account, proxy.owner or proxy.key.name)
    return tuple((key, known[key]) for key in sorted(asked & known.keys()))


def _keys(one: EnvoyFilter) -> Iterable[str]:
    matches = (patch.match for patch in one.config_patches)
    return {key for match in matches if match is not None and match.proxy is not None for key in match.proxy.metadata}
