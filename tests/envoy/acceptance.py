"""Asks the real Envoy whether it accepts what we say.

What a proxy would be given over the stream stands in a static bootstrap instead: route tables and the filters of policies
inside the listeners that ask for them, endpoints inside their clusters.
"""

import importlib.util
import json
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import extension_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from lateen.envoy import inlining
from lateen.envoy.bootstrap import XDS_CLUSTER, bootstrap
from lateen.names import SDS_CLUSTER
from lateen.xds.order import CLUSTER, ENDPOINT, EXTENSION, LISTENER, ROUTE
from lateen.xds.resources import Resource, ResourceSet

MESSAGES = {
    CLUSTER: cluster_pb2.Cluster,
    ENDPOINT: endpoint_pb2.ClusterLoadAssignment,
    EXTENSION: extension_pb2.TypedExtensionConfig,
    LISTENER: listener_pb2.Listener,
    ROUTE: route_pb2.RouteConfiguration,
}
UNFINISHED = ("'envoy/extensions/filters/http/api_key_auth/v3/api_key_auth.proto' marked as work-in-progress",)
"""What Envoy 1.40 has and warns of, because it may still change; our Envoy does not change by itself."""

HCM = http_connection_manager_pb2.HttpConnectionManager


def envoy_path() -> Path:
    """Where the Envoy of this environment is."""
    package = importlib.util.find_spec("envoy")
    assert package is not None and package.submodule_search_locations
    return Path(package.submodule_search_locations[0]) / "_bin" / "envoy"


def entry(resource: Resource) -> Any:
    """A resource as Envoy reads it from a response."""
    response = discovery_pb2.DeltaDiscoveryResponse.FromString(resource.frame)
    assert len(response.resources) == 1
    return response.resources[0]


def message(resource: Resource) -> Any:
    """The message inside a resource."""
    wrapped = entry(resource).resource
    return MESSAGES[wrapped.type_url].FromString(wrapped.value)


def static_resources(resources: ResourceSet) -> dict[str, list[dict[str, Any]]]:
    """The resources as a static bootstrap holds them."""
    assignments = {name: message(made) for name, made in resources[ENDPOINT].items()}
    tables = {name: message(made) for name, made in resources[ROUTE].items()}
    clusters = [_with_endpoints(message(made), assignments) for made in resources[CLUSTER].values()]
    listeners = [_with_routes(whole_listener(made, resources), tables) for made in resources[LISTENER].values()]
    said = {"clusters": [as_json(cluster) for cluster in clusters], "listeners": [as_json(item) for item in listeners]}
    for kind in said.values():
        _add_newer_fields(kind)
    return said


def whole_listener(made: Resource, resources: ResourceSet) -> Any:
    """A listener with the filters of policies in its chains."""
    said = message(made)
    inlining.write_in(said, resources[EXTENSION])
    return said


def _add_newer_fields(said: Any) -> None:
    """Write again what JSON cannot show for want of names, as far as Envoy insists on it."""
    if isinstance(said, list):
        for item in said:
            _add_newer_fields(item)
    elif isinstance(said, dict):
        if str(said.get("@type", "")).endswith("access_loggers.stats.v3.Config"):
            said["stats_scope"] = {"enable_eviction": True}
        for item in said.values():
            _add_newer_fields(item)


def static_bootstrap(resources: ResourceSet, directory: Path, **ports: int) -> dict[str, Any]:
    """A whole configuration without a control plane; the proxy's own sockets are in `directory`."""
    whole = bootstrap(
        "sidecar~10.0.0.1~test.default~default.svc.cluster.local",
        "test.default",
        xds_socket=str(directory / "xds.sock"),
        sds_socket=str(directory / "sds.sock"),
        mixer_socket=str(directory / "mixer.sock"),
        traces_socket=str(directory / "traces.sock"),
        admin_socket=str(directory / "admin.sock"),
        socket_mark=None,
        **ports,
    )
    whole["dynamic_resources"] = {}
    clusters = whole["static_resources"]["clusters"]
    whole["static_resources"]["clusters"] = [cluster for cluster in clusters if cluster["name"] != XDS_CLUSTER]
    clusters = whole["static_resources"]["clusters"]
    # it would wait for a certificate, and Envoy for it
    whole["static_resources"]["clusters"] = [each for each in clusters if each["name"] != XDS_CLUSTER]
    for kind, items in static_resources(resources).items():
        whole["static_resources"][kind] += _with_secrets_from_the_agent(items)
    return whole


def _with_secrets_from_the_agent(said: Any) -> Any:
    """Have secrets of the stream come from the node agent: there is no stream."""
    if isinstance(said, list):
        return [_with_secrets_from_the_agent(item) for item in said]
    if not isinstance(said, dict):
        return said
    if "ads" in said.get("sds_config", {}):
        agent = {
            "api_type": "GRPC",
            "transport_api_version": "V3",
            "grpc_services": [{"envoy_grpc": {"cluster_name": SDS_CLUSTER}}],
        }
        return {**said, "sds_config": {"api_config_source": agent, "resource_api_version": "V3"}}
    return {name: _with_secrets_from_the_agent(value) for name, value in said.items()}


def accepted_by_envoy(*sets: ResourceSet) -> str:
    """What Envoy has against any of the sets; nothing when it accepts them all without a warning."""
    with tempfile.TemporaryDirectory() as place:
        return "\n".join(filter(None, (_complaint(one, Path(place)) for one in sets)))


def as_json(item: Message) -> dict[str, Any]:
    """A message as JSON with Envoy's names."""
    return MessageToDict(item, preserving_proto_field_name=True)


def _complaint(resources: ResourceSet, place: Path) -> str:
    config = place / "envoy.json"
    config.write_text(json.dumps(static_bootstrap(resources, place)))
    command = [envoy_path(), "--mode", "validate", "-c", config, "-l", "warning", "--disable-hot-restart"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    told = [line for line in ended.stderr.splitlines() if not any(known in line for known in UNFINISHED)]
    return "" if ended.returncode == 0 and not told else ended.stdout + ended.stderr


def _with_endpoints(cluster: Any, assignments: Mapping[str, Any]) -> Any:
    if cluster.type == cluster_pb2.Cluster.EDS:
        cluster.type = cluster_pb2.Cluster.STATIC
        cluster.ClearField("eds_cluster_config")
        cluster.load_assignment.CopyFrom(assignments[cluster.name])
    return cluster


def _with_routes(listener: Any, tables: Mapping[str, Any]) -> Any:
    for chain in (*listener.filter_chains, listener.default_filter_chain):
        for manager in _managers(chain):
            settings = HCM.FromString(manager.typed_config.value)
            if settings.HasField("rds"):
                settings.route_config.CopyFrom(tables[settings.rds.route_config_name])
                manager.typed_config.Pack(settings)
    return listener


def _managers(chain: Any) -> Iterable[Any]:
    return (step for step in chain.filters if step.typed_config.Is(HCM.DESCRIPTOR))
