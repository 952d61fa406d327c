"""The bench on which resources are patched: decoded when a patch asks for them, serialized again if one changed."""

from collections.abc import Mapping
from typing import Any, Final

from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf.message import Message

from lateen.api.networking.envoy_filter import ApplyTo
from lateen.envoy import inlining
from lateen.envoy.framing import frame, version
from lateen.envoy.patches import values
from lateen.envoy.values import type_url
from lateen.model.proxy import Role
from lateen.plan.types import Origin, Patch
from lateen.xds.order import CLUSTER, EXTENSION, LISTENER, ROUTE
from lateen.xds.resources import Resource, ResourceSet

KINDS: Final[Mapping[ApplyTo, Any]] = {
    ApplyTo.LISTENER: listener_pb2.Listener,
    ApplyTo.LISTENER_FILTER: listener_components_pb2.ListenerFilter,
    ApplyTo.FILTER_CHAIN: listener_components_pb2.FilterChain,
    ApplyTo.NETWORK_FILTER: listener_components_pb2.Filter,
    ApplyTo.HTTP_FILTER: hcm_pb2.HttpFilter,
    ApplyTo.EXTENSION_CONFIG: hcm_pb2.HttpFilter,
    ApplyTo.ROUTE_CONFIGURATION: route_pb2.RouteConfiguration,
    ApplyTo.VIRTUAL_HOST: route_components_pb2.VirtualHost,
    ApplyTo.HTTP_ROUTE: route_components_pb2.Route,
    ApplyTo.CLUSTER: cluster_pb2.Cluster,
    ApplyTo.BOOTSTRAP: bootstrap_pb2.Bootstrap,
}
"""What the value of a patch is, by the place that it is for."""

_MESSAGES: Final[Mapping[str, Any]] = {
    CLUSTER: cluster_pb2.Cluster,
    LISTENER: listener_pb2.Listener,
    ROUTE: route_pb2.RouteConfiguration,
}


class Bench:
    """The resources of one class while they are patched."""

    def __init__(self, resources: ResourceSet, role: Role) -> None:
        self.role = role
        self.matched: set[Origin] = set()
        self._before = resources
        self._extensions = resources.get(EXTENSION, {})
        self._messages: dict[tuple[str, str], Any] = {}
        self._names: dict[str, list[str]] = {kind: list(resources.get(kind, {})) for kind in _MESSAGES}
        self._values: dict[Patch, Any] = {}

    def value(self, patch: Patch) -> Any:
        """Return what a patch brings in, read once however many places it has; it is copied to each of them."""
        if patch not in self._values:
            self._values[patch] = value(patch)
        return self._values[patch]

    def names(self, kind: str) -> list[str]:
        """List the names of the resources of a type as they are now."""
        return list(self._names[kind])

    def message(self, kind: str, name: str) -> Any:
        """Return a resource's message, to be changed in place; a listener has its whole chains."""
        key = (kind, name)
        if key not in self._messages:
            message = self._messages[key] = decoded(self._before[kind][name])
            if kind == LISTENER:
                inlining.write_in(message, self._extensions, keeps_places=True)
        return self._messages[key]

    def add(self, kind: str, message: Any) -> None:
        """Add a resource; one of the same name is replaced."""
        self._messages[kind, message.name] = own = type(message)()
        own.CopyFrom(message)
        if message.name not in self._names[kind]:
            self._names[kind].append(message.name)

    def remove(self, kind: str, name: str) -> None:
        """Take a resource away."""
        self._names[kind].remove(name)
        self._messages.pop((kind, name), None)

    def finished(self) -> ResourceSet:
        """Return all resources as they are now; those that nobody touched are the same objects."""
        return {kind: self._finished(kind) if kind in _MESSAGES else self._before[kind] for kind in self._before}

    def changed(self, finished: ResourceSet) -> Mapping[str, Mapping[str, Resource]]:
        """Return those of the finished resources that are not as they were, by type and name."""
        return {
            kind: {name: made for name, made in finished[kind].items() if made is not self._before[kind].get(name)}
            for kind in self._before
            if kind in _MESSAGES
        }

    def _finished(self, kind: str) -> dict[str, Resource]:
        return {name: self._resource(kind, name) for name in self._names[kind]}

    def _resource(self, kind: str, name: str) -> Resource:
        before = self._before.get(kind, {}).get(name)
        if before is not None and (kind, name) not in self._messages:
            return before
        if kind == LISTENER:
            inlining.take_out(self._messages[kind, name], self._extensions)
        # A table that was joined from the bytes of its hosts has its fields in another order.
        if before is not None and self._messages[kind, name] == decoded(before):
            return before
        return _serialized(name, self._messages[kind, name])


def value(patch: Patch) -> Any:
    """Return what a patch brings in as the message that its place takes; None for a removal.

    Raises `BadValue` for what is no such message.
    """
    written = patch.written.patch.value
    if written is None:
        return None
    content = values.thawed(written)
    if patch.written.apply_to is ApplyTo.EXTENSION_CONFIG and isinstance(content, dict):
        content = {name: content[name] for name in ("name", "typed_config", "typedConfig") if name in content}
    return values.read(KINDS[patch.written.apply_to], content)


def decoded(resource: Resource) -> Any:
    """Return the message inside a resource."""
    wrapped = discovery_pb2.DeltaDiscoveryResponse.FromString(resource.frame).resources[0].resource
    return _MESSAGES[wrapped.type_url].FromString(wrapped.value)


def _serialized(name: str, message: Message) -> Resource:
    body = message.SerializeToString(deterministic=True)
    digest = version(body)
    return Resource(name, digest, frame(name, type_url(message), digest, body))
