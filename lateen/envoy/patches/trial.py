"""A configuration by which Envoy itself says whether it takes what patches made of some resources.

Only the changed resources are in it, beside the bootstrap that every proxy has. Route tables are put into a listener of
their own, and the clusters that are named somewhere are there without endpoints. It is binary: Envoy knows more fields
than the generated messages do, and as JSON these would be lost.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from google.protobuf.json_format import MessageToDict

from lateen.envoy import inlining
from lateen.envoy.addresses import address
from lateen.envoy.bootstrap import bootstrap
from lateen.envoy.http_filters import router
from lateen.envoy.patches import values
from lateen.envoy.patches.bench import decoded
from lateen.envoy.values import typed
from lateen.xds.order import CLUSTER, EXTENSION, LISTENER, ROUTE
from lateen.xds.resources import Resource, ResourceSet

_NAMING: Final = ("cluster", "cluster_name")


def trial(resources: ResourceSet, changed: Mapping[str, Mapping[str, Resource]], place: str) -> bytes:
    """Write the configuration down; `place` is a folder for the sockets that it names and never opens."""
    message = values.read(bootstrap_pb2.Bootstrap, surroundings(place))
    clusters = [decoded(one) for one in changed.get(CLUSTER, {}).values()]
    listeners = [decoded(one) for one in changed.get(LISTENER, {}).values()]
    for listener in listeners:
        inlining.write_in(listener, resources.get(EXTENSION, {}))
    listeners += [_reader(decoded(one), number) for number, one in enumerate(changed.get(ROUTE, {}).values(), start=1)]
    present = {one.name for one in (*message.static_resources.clusters, *clusters)}
    said = [MessageToDict(one, preserving_proto_field_name=True) for one in listeners]
    named = set(_clusters_named(said))
    stand_ins = sorted((named & resources.get(CLUSTER, {}).keys()) - present)
    message.static_resources.clusters.extend(clusters)
    message.static_resources.clusters.extend(cluster_pb2.Cluster(name=name, type="STATIC") for name in stand_ins)
    message.static_resources.listeners.extend(listeners)
    return bytes(message.SerializeToString(deterministic=True))


def surroundings(place: str, *, metrics: bool = False) -> dict[str, Any]:
    """Say the bootstrap that every proxy has, with sockets in a folder; with `metrics`, all that it opens."""
    return bootstrap(
        "sidecar~127.0.0.1~trial.trial~trial",
        "trial",
        xds_socket=f"{place}/xds.sock",
        sds_socket=f"{place}/sds.sock",
        mixer_socket=f"{place}/mixer.sock",
        traces_socket=f"{place}/traces.sock",
        admin_socket=f"{place}/admin.sock",
        metrics_socket=f"{place}/metrics.sock" if metrics else "",
        metrics_path="/metrics" if metrics else "",
        version="trial" if metrics else "",
    )


def _reader(table: Any, number: int) -> Any:
    """Say a listener whose only purpose is to have a route table read; no two may have one address."""
    manager = hcm_pb2.HttpConnectionManager(stat_prefix="trial", route_config=table)
    manager.http_filters.add(name=router.NAME, typed_config=typed(router_pb2.Router()))
    filters = [listener_components_pb2.Filter(name="http", typed_config=typed(manager))]
    chains = [listener_components_pb2.FilterChain(filters=filters)]
    message = listener_pb2.Listener(name=f"trial of {table.name}", filter_chains=chains)
    message.address.CopyFrom(address("127.0.0.1", number))
    message.bind_to_port.value = False
    return message


def _clusters_named(said: Any) -> Iterator[str]:
    """List what could be names of clusters, at any depth."""
    if isinstance(said, list):
        for item in said:
            yield from _clusters_named(item)
    elif isinstance(said, dict):
        for name, value in said.items():
            if name in _NAMING and isinstance(value, str):
                yield value
            else:
                yield from _clusters_named(value)
