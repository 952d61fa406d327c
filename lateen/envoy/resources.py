"""Resources: a plan as named, versioned, serialized parts that all proxies share."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from google.protobuf.message import Message

from lateen.envoy import listeners
from lateen.envoy.cache import ResourceCache
from lateen.envoy.framing import frame, version
from lateen.envoy.values import type_url
from lateen.model.endpoint import Endpoint
from lateen.model.proxy import Role
from lateen.plan.types import Cluster, Discovery, ProxyPlan
from lateen.xds.order import CLUSTER, ENDPOINT, EXTENSION, LISTENER, ROUTE, SECRET
from lateen.xds.resources import Resource, ResourceSet

EndpointLookup = Callable[[str, int], tuple[Endpoint, ...]]
"""Finds the endpoints of a service's port by host and port number; the same tuple as long as nothing has changed."""

DNS_UPSTREAM: Final = "10.244.0.1"


def resource_set(
    plan: ProxyPlan, lookup: EndpointLookup, cache: ResourceCache, dns_upstream: str = DNS_UPSTREAM
) -> ResourceSet:
    """Return all resources of a class of proxies. Same plan and endpoints, same bytes.

    `dns_upstream` is the address of the server that a sidecar asks for names outside the mesh.
    """
    return {
        CLUSTER: {item.name: cache.cluster(item) for item in plan.clusters},
        ENDPOINT: load_assignments(plan.assigned, lookup, cache),
        SECRET: {item.name: cache.secret(item) for item in plan.secrets},
        EXTENSION: {name: cache.policies(name, side, guard) for name, side, guard in listeners.policies(plan)},
        LISTENER: {made.name: made for made in _listeners(plan, cache, dns_upstream)},
        ROUTE: {item.name: cache.route_table(item) for item in plan.route_tables},
    }


def load_assignments(plans: Iterable[Cluster], lookup: EndpointLookup, cache: ResourceCache) -> Mapping[str, Resource]:
    """Return the endpoints of those clusters whose endpoints a proxy asks for."""
    return {
        plan.name: cache.assignment(plan, lookup(plan.host, plan.port))
        for plan in plans
        if plan.discovery is Discovery.EDS
    }


def resource(name: str, message: Message) -> Resource:
    """Return a message as a resource: its digest, and its bytes as they stand in a response."""
    body = message.SerializeToString(deterministic=True)
    digest = version(body)
    return Resource(name, digest, frame(name, type_url(message), digest, body))


def _listeners(plan: ProxyPlan, cache: ResourceCache, dns_upstream: str) -> Iterator[Resource]:
    telemetry, guarded = plan.telemetry, (listeners.of_listeners(plan.guards), plan.manner)
    if plan.outbound_fallback is not None:
        yield cache.listener(listeners.virtual_outbound, plan.outbound_fallback, telemetry.outbound, plan.manner)
    for outbound in plan.outbound:
        yield cache.listener(listeners.outbound_listener, outbound, telemetry.outbound, plan.manner)
    if plan.inbound_fallback is not None:
        context = (plan.inbound_fallback, plan.inbound_mode, plan.trust, telemetry.inbound, *guarded)
        yield cache.listener(listeners.virtual_inbound, plan.inbound, *context)
    for port in plan.inbound:
        if port.opens:
            yield cache.listener(listeners.opened_inbound, port, plan.trust, telemetry.inbound, *guarded)
    for gateway in plan.gateway:
        yield cache.listener(listeners.gateway_listener, gateway, telemetry.outbound, *guarded)
        if gateway.speaks_http3:
            yield cache.listener(listeners.quic_listener, gateway, telemetry.outbound, *guarded)
    if plan.role is Role.SIDECAR:
        yield cache.listener(listeners.dns_listener, plan.dns, dns_upstream)
