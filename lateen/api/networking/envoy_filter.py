"""EnvoyFilter: patches to what the proxies are told, in Envoy's own words."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from lateen.api.fields import EMPTY_MAP, FreeForm, Int, Port, Regex, StringMap
from lateen.api.networking.selectors import TargetReference, WorkloadSelector
from lateen.api.structs import Checked, Problem, Struct, at_most_one


class ApplyTo(StrEnum):
    """The part of Envoy's configuration that is patched."""

    INVALID = "INVALID"
    LISTENER = "LISTENER"
    FILTER_CHAIN = "FILTER_CHAIN"
    NETWORK_FILTER = "NETWORK_FILTER"
    HTTP_FILTER = "HTTP_FILTER"
    ROUTE_CONFIGURATION = "ROUTE_CONFIGURATION"
    VIRTUAL_HOST = "VIRTUAL_HOST"
    HTTP_ROUTE = "HTTP_ROUTE"
    CLUSTER = "CLUSTER"
    EXTENSION_CONFIG = "EXTENSION_CONFIG"
    BOOTSTRAP = "BOOTSTRAP"
    LISTENER_FILTER = "LISTENER_FILTER"


class PatchContext(StrEnum):
    """The proxies and the direction of traffic that are patched."""

    ANY = "ANY"
    SIDECAR_INBOUND = "SIDECAR_INBOUND"
    SIDECAR_OUTBOUND = "SIDECAR_OUTBOUND"
    GATEWAY = "GATEWAY"
    WAYPOINT = "WAYPOINT"


class PatchOperation(StrEnum):
    """What is done at the place that matches."""

    INVALID = "INVALID"
    MERGE = "MERGE"
    ADD = "ADD"
    REMOVE = "REMOVE"
    INSERT_BEFORE = "INSERT_BEFORE"
    INSERT_AFTER = "INSERT_AFTER"
    INSERT_FIRST = "INSERT_FIRST"
    REPLACE = "REPLACE"
    MERGE_AND_REPLACE_LIST = "MERGE_AND_REPLACE_LIST"


class FilterClass(StrEnum):
    """The place among the filters where an added one is put."""

    UNSPECIFIED = "UNSPECIFIED"
    AUTHN = "AUTHN"
    AUTHZ = "AUTHZ"
    STATS = "STATS"


class RouteAction(StrEnum):
    """What a matched route does."""

    ANY = "ANY"
    ROUTE = "ROUTE"
    REDIRECT = "REDIRECT"
    DIRECT_RESPONSE = "DIRECT_RESPONSE"


class ProxyMatch(Struct):
    """Proxies by version (an RE2 expression) and node metadata."""

    proxy_version: Regex | None = None
    metadata: StringMap = EMPTY_MAP


class SubFilterMatch(Struct):
    """A filter inside a filter, by name."""

    name: str = ""


class FilterMatch(Struct):
    """A network filter by name, and inside the HTTP connection manager an HTTP filter."""

    name: str = ""
    sub_filter: SubFilterMatch | None = None


class FilterChainMatch(Struct):
    """A filter chain by its name or by what it matches."""

    name: str = ""
    sni: str = ""
    transport_protocol: str = ""
    application_protocols: str = ""
    filter: FilterMatch | None = None
    destination_port: Port | None = None


class ListenerMatch(Struct):
    """A listener, and inside it a filter chain or a listener filter."""

    port_number: Port | None = None
    port_name: str = ""
    filter_chain: FilterChainMatch | None = None
    listener_filter: str = ""
    name: str = ""


class RouteMatch(Struct):
    """A route by its name and by what it does."""

    name: str = ""
    action: RouteAction = RouteAction.ANY


class VirtualHostMatch(Struct):
    """A virtual host by its name or one of its domains."""

    name: str = ""
    domain_name: str = ""
    route: RouteMatch | None = None


class RouteConfigurationMatch(Struct):
    """A route configuration, and inside it a virtual host."""

    port_number: Port | None = None
    port_name: str = ""
    gateway: str = ""
    vhost: VirtualHostMatch | None = None
    name: str = ""


class ClusterMatch(Struct):
    """A cluster by its parts or by its name."""

    port_number: Port | None = None
    service: str = ""
    subset: str = ""
    name: str = ""


class WaypointMatch(Struct):
    """A filter or a route of a waypoint."""

    filter: FilterMatch | None = None
    route: RouteMatch | None = None
    port_number: Port | None = None


class PatchMatch(Checked):
    """Where the patch applies; without conditions, everywhere of its kind."""

    context: PatchContext = PatchContext.ANY
    proxy: ProxyMatch | None = None
    listener: ListenerMatch | None = None
    route_configuration: RouteConfigurationMatch | None = None
    cluster: ClusterMatch | None = None
    waypoint: WaypointMatch | None = None

    def problems(self) -> Iterator[Problem]:
        yield from at_most_one(self, "listener", "route_configuration", "cluster", "waypoint")


class Patch(Checked):
    """The operation, and the Envoy configuration that it brings in."""

    operation: PatchOperation = PatchOperation.INVALID
    value: FreeForm = None
    filter_class: FilterClass = FilterClass.UNSPECIFIED

    def problems(self) -> Iterator[Problem]:
        if self.operation is PatchOperation.INVALID:
            yield Problem("must be one of " + ", ".join(list(PatchOperation)[1:]), "operation")
        elif self.operation is PatchOperation.REMOVE and self.value is not None:
            yield Problem("must not be set for REMOVE", "value")
        elif self.operation is not PatchOperation.REMOVE and not self.value:
            yield Problem(f"must be set for {self.operation}", "value")


_LISTENER_PARTS = (
    ApplyTo.LISTENER,
    ApplyTo.FILTER_CHAIN,
    ApplyTo.NETWORK_FILTER,
    ApplyTo.HTTP_FILTER,
    ApplyTo.LISTENER_FILTER,
)
_ROUTE_PARTS = (ApplyTo.ROUTE_CONFIGURATION, ApplyTo.VIRTUAL_HOST, ApplyTo.HTTP_ROUTE)


class ConfigPatch(Checked):
    """One patch."""

    apply_to: ApplyTo
    match: PatchMatch | None = None
    patch: Patch

    def problems(self) -> Iterator[Problem]:
        if self.apply_to is ApplyTo.INVALID:
            yield Problem("must be one of " + ", ".join(list(ApplyTo)[1:]), "applyTo")
        match = self.match or PatchMatch()
        if self.apply_to in _LISTENER_PARTS and (match.route_configuration or match.cluster):
            yield Problem(f"must match a listener when applyTo is {self.apply_to}", "match")
        if self.apply_to in _ROUTE_PARTS and (match.listener or match.cluster):
            yield Problem(f"must match a routeConfiguration when applyTo is {self.apply_to}", "match")
        if self.apply_to is ApplyTo.CLUSTER and (match.listener or match.route_configuration):
            yield Problem("must match a cluster when applyTo is CLUSTER", "match")


class EnvoyFilter(Checked):
    """Patches, applied in order; of several EnvoyFilters the one with the lower priority comes first."""

    workload_selector: WorkloadSelector | None = None
    target_refs: Annotated[tuple[TargetReference, ...], Field(max_length=16)] = ()
    config_patches: tuple[ConfigPatch, ...] = ()
    priority: Int = 0

    def problems(self) -> Iterator[Problem]:
        yield from at_most_one(self, "workload_selector", "target_refs")
