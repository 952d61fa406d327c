"""Names that are resolved when a request, or a TLS connection, asks for them: one cache for a whole proxy."""

from datetime import timedelta
from typing import Any, Final

from envoy.extensions.clusters.dynamic_forward_proxy.v3 import cluster_pb2 as dynamic_cluster_pb2
from envoy.extensions.common.dynamic_forward_proxy.v3 import dns_cache_pb2

from lateen.envoy.values import duration

CLUSTER_TYPE: Final = "envoy.clusters.dynamic_forward_proxy"

_REFRESH: Final = timedelta(seconds=60)


def dns_cache() -> Any:
    """Say the cache; whoever names it says it in the same words."""
    return dns_cache_pb2.DnsCacheConfig(
        name="lateen", dns_lookup_family="V4_PREFERRED", dns_refresh_rate=duration(_REFRESH)
    )


def cluster_config(*, verifies: bool) -> Any:
    """Say a cluster whose endpoints are whatever names are asked for; `verifies` tells whether TLS checks the name."""
    return dynamic_cluster_pb2.ClusterConfig(dns_cache_config=dns_cache(), allow_insecure_cluster_options=not verifies)
