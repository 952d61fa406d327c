"""The types of resources, in the order in which they are made."""

from dataclasses import dataclass

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINT = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 (a type, not a password)
EXTENSION = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One row of the table.

    `wildcard`: a proxy that asks for nothing by name is given everything of the type.
    `foundation`: others refer to it, so it is made before listeners and routes and broken after them.
    `is_let_go`: nobody is told that one is gone; the proxy lets go of it with the last listener, also one that is being
    drained, that needs it.
    """

    url: str
    short: str
    wildcard: bool
    foundation: bool
    is_let_go: bool = False


TYPES = (
    ResourceType(CLUSTER, "CDS", wildcard=True, foundation=True),
    ResourceType(ENDPOINT, "EDS", wildcard=False, foundation=True),
    ResourceType(SECRET, "SDS", wildcard=False, foundation=True),
    ResourceType(EXTENSION, "ECDS", wildcard=False, foundation=False, is_let_go=True),
    ResourceType(LISTENER, "LDS", wildcard=True, foundation=False),
    ResourceType(ROUTE, "RDS", wildcard=False, foundation=False),
)
"""In the order of making; the order of breaking is the reverse."""

BY_URL = {kind.url: kind for kind in TYPES}


def type_of(url: str) -> ResourceType:
    """Return the row of a type URL; one that is not served gets a row too, so that it can be answered as empty."""
    return BY_URL.get(url) or ResourceType(url, url.rpartition(".")[2], wildcard=False, foundation=True)
