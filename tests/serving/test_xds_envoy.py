"""The discovery server with the real Envoy."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import envoy
import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import extension_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import any_pb2, json_format
from open_door import CLASS, OpenDoor

from lateen.envoy.newer_messages import FilterChainConfig
from lateen.manager.pushes import Pushes, State
from lateen.serving.xds import DiscoveryServer
from lateen.xds import order
from lateen.xds.resources import Resource, ResourceSet

pytestmark = pytest.mark.live

LIMIT_SECONDS = 20
EXTENSIONS = (FilterChainConfig, rbac_pb2.RBAC, router_pb2.Router, http_connection_manager_pb2.HttpConnectionManager)
"""Messages that are looked up by name when a listener is read."""
ADS = {"ads": {}, "resource_api_version": "V3"}
CHAIN = "type.googleapis.com/envoy.extensions.filters.http.filter_chain.v3.FilterChainConfig"
RBAC = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
MESSAGES = {
    order.CLUSTER: cluster_pb2.Cluster,
    order.ENDPOINT: endpoint_pb2.ClusterLoadAssignment,
    order.EXTENSION: extension_pb2.TypedExtensionConfig,
    order.LISTENER: listener_pb2.Listener,
    order.ROUTE: route_pb2.RouteConfiguration,
}


def resource(url: str, content: Mapping[str, Any]) -> Resource:
    """Make a resource from what Envoy's documentation would show as JSON; its version is that JSON."""
    message = json_format.ParseDict(content, MESSAGES[url]())
    name = content.get("name") or content["cluster_name"]
    body = any_pb2.Any(type_url=url, value=message.SerializeToString(deterministic=True))
    version = json.dumps(content)
    inner = discovery_pb2.Resource(name=name, version=version, resource=body)
    return Resource(name, version, discovery_pb2.DeltaDiscoveryResponse(resources=[inner]).SerializeToString())


def cluster(name: str, **more: Any) -> Resource:
    eds = {"eds_config": ADS}
    return resource(order.CLUSTER, {"name": name, "type": "EDS", "eds_cluster_config": eds, **more})


def endpoints(name: str, port: int) -> Resource:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    locality = {"lb_endpoints": [{"endpoint": {"address": address}}]}
    return resource(order.ENDPOINT, {"cluster_name": name, "endpoints": [locality]})


def listener(name: str, socket: Path, route: str, policies: str = "") -> Resource:
    connections = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "rds": {"route_config_name": route, "config_source": ADS},
        "http_filters": [
            *(
                [{"name": policies, "config_discovery": {"config_source": ADS, "type_urls": [CHAIN]}}]
                if policies
                else []
            ),
            {
                "name": "router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            },
        ],
    }
    chain = {"filters": [{"name": "hcm", "typed_config": connections}]}
    return resource(
        order.LISTENER, {"name": name, "address": {"pipe": {"path": str(socket)}}, "filter_chains": [chain]}
    )


def policies(name: str, *filters: Mapping[str, Any]) -> Resource:
    chain = {"default_filter_chain": {"filters": list(filters)}} if filters else {}
    return resource(order.EXTENSION, {"name": name, "typed_config": {"@type": CHAIN, **chain}})


def route(name: str, cluster: str) -> Resource:
    host = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": cluster}}]}
    return resource(order.ROUTE, {"name": name, "virtual_hosts": [host]})


def resources(*found: tuple[str, Resource]) -> ResourceSet:
    result: dict[str, dict[str, Resource]] = {}
    for url, item in found:
        result.setdefault(url, {})[item.name] = item
    return result


def bootstrap(xds: Path, admin: Path) -> Mapping[str, Any]:
    http2 = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    server = {
        "name": "xds",
        "type": "STATIC",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
        "load_assignment": {
            "cluster_name": "xds",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": str(xds)}}}}]}],
        },
    }
    grpc = {"envoy_grpc": {"cluster_name": "xds"}}
    return {
        "node": {"id": "one", "cluster": "test"},
        "admin": {"address": {"pipe": {"path": str(admin)}}},
        "static_resources": {"clusters": [server]},
        "dynamic_resources": {
            "ads_config": {"api_type": "DELTA_GRPC", "transport_api_version": "V3", "grpc_services": [grpc]},
            "cds_config": ADS,
            "lds_config": ADS,
        },
    }


class Recorder(OpenDoor):
    """Lets the Envoy in and writes down what it is sent."""

    def __init__(self, pushes: Pushes) -> None:
        super().__init__(pushes)
        self.sent: list[str] = []

    def connect(self, node: Any, outlet: Any, peer: Any = None) -> Any:
        send = outlet.send
        outlet.send = lambda delta: (self.write_down(delta), send(delta))
        return super().connect(node, outlet, peer)

    def write_down(self, delta: Any) -> None:
        short = order.type_of(delta.type_url).short
        self.sent += [f"{short} +{resource.name}" for resource in delta.resources]
        self.sent += [f"{short} -{name}" for name in delta.removed]


@asynccontextmanager
async def server(xds: Path, wanted: ResourceSet) -> AsyncIterator[tuple[Pushes, Recorder]]:
    pushes = Pushes(clock=lambda: 10 * time.monotonic())  # patience is over in a tenth of the time
    pushes.publish(CLASS, wanted, 1)
    recorder = Recorder(pushes)
    discovery = DiscoveryServer(recorder)
    await discovery.start(xds)
    try:
        yield pushes, recorder
    finally:
        await discovery.stop()


@asynccontextmanager
async def running_envoy(folder: Path) -> AsyncIterator[Path]:
    """Run an Envoy; yield the path of its admin socket."""
    admin = folder / "admin.sock"
    config = folder / "bootstrap.json"
    config.write_text(json.dumps(bootstrap(folder / "xds.sock", admin)))
    binary = Path(next(iter(envoy.__path__))) / "_bin" / "envoy"
    options = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning")
    with (folder / "envoy.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            os.fspath(binary), "-c", os.fspath(config), *options, stdout=log, stderr=log
        )
    try:
        yield admin
    finally:
        process.kill()
        await process.wait()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while not condition():
            await asyncio.sleep(0.02)


async def status(door: Path) -> int:
    """What a request gets; 0 where nobody takes it."""
    connector = aiohttp.UnixConnector(os.fspath(door))
    try:
        async with aiohttp.ClientSession(connector=connector) as session, session.get("http://in/") as answer:
            return answer.status
    except aiohttp.ClientError:
        return 0


async def config_dump(admin: Path) -> str:
    connector = aiohttp.UnixConnector(os.fspath(admin))
    url = "http://admin/config_dump?include_eds"
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as answer:
        return await answer.text()


async def test_a_real_envoy_takes_refuses_and_comes_back(tmp_path: Path) -> None:
    xds, door = tmp_path / "xds.sock", tmp_path / "in.sock"
    first = [
        (order.CLUSTER, cluster("a")),
        (order.ENDPOINT, endpoints("a", 1)),
        (order.LISTENER, listener("l", door, "r")),
        (order.ROUTE, route("r", "a")),
    ]
    async with running_envoy(tmp_path) as admin:
        async with server(xds, resources(*first)) as (pushes, recorder):
            await until(lambda: pushes.connections and len(pushes.statuses()[0].types) == 4 and not pushes.unsettled(1))
            assert recorder.sent == ["CDS +a", "EDS +a", "LDS +l", "RDS +r"]

            # One of three clusters cannot be; the two others land, the bad one is named, and its
            # endpoints can still change.
            bad = cluster("bad", connect_timeout="-1s")
            more = [*first, (order.CLUSTER, cluster("b")), (order.CLUSTER, bad), (order.CLUSTER, cluster("c"))]
            more += [(order.ENDPOINT, endpoints("b", 2)), (order.ENDPOINT, endpoints("c", 3))]
            pushes.publish(CLASS, resources(*more), 2)
            await until(lambda: pushes.statuses()[0].types[0].rejected)
            await until(lambda: not pushes.connections["one"].session.unacknowledged())
            clusters = pushes.statuses()[0].types[0]
            assert clusters.state is State.ERROR
            assert [rejection.name for rejection in clusters.rejected] == ["bad"]
            assert pushes.unsettled(2)
            dump = await config_dump(admin)
            assert '"b"' in dump and '"c"' in dump and '"port_value": 3' in dump

            pushes.publish_endpoints([CLASS], {"a": endpoints("a", 4)}, 3)
            await asyncio.wait_for(pushes.settle(3), LIMIT_SECONDS)

        # The control plane comes back with one cluster more and one less: only that is sent.
        again = [*first[2:], (order.CLUSTER, cluster("b")), (order.CLUSTER, cluster("d"))]
        again += [(order.ENDPOINT, endpoints("b", 2)), (order.ENDPOINT, endpoints("d", 5))]
        async with server(xds, resources(*again)) as (pushes, recorder):
            await until(lambda: pushes.connections and len(pushes.statuses()[0].types) == 4)
            await until(lambda: pushes.stop_waiting() or not pushes.unsettled(1))
            assert sorted(recorder.sent) == sorted(["CDS +d", "EDS +d", "CDS -a", "EDS -a", "CDS -c", "EDS -c"])


async def test_without_the_filters_of_policies_nothing_passes(tmp_path: Path) -> None:
    door = tmp_path / "in.sock"
    answers = {"match": {"prefix": "/"}, "direct_response": {"status": 204}}
    table = resource(
        order.ROUTE, {"name": "r", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [answers]}]}
    )
    refuses = {"name": "rbac", "typed_config": {"@type": RBAC, "rules": {"action": "ALLOW"}}}
    broken = {"name": "rbac", "typed_config": {"@type": RBAC, "rules": {"action": "ALLOW", "policies": {"p": {}}}}}
    guarded = [(order.LISTENER, listener("l", door, "r", "p")), (order.ROUTE, table)]
    async with running_envoy(tmp_path), server(tmp_path / "xds.sock", resources(*guarded)) as (pushes, recorder):
        # It is told that there are none, and refuses whatever comes.
        await until(lambda: pushes.connections and "ECDS -p" in recorder.sent and not pushes.unsettled(1))
        assert await status(door) in (0, 500)

        for generation, (filters, expected) in enumerate([((), 204), ((refuses,), 403), ((), 204)], 2):
            recorder.sent.clear()
            pushes.publish(CLASS, resources((order.EXTENSION, policies("p", *filters)), *guarded), generation)
            await asyncio.wait_for(pushes.settle(generation), LIMIT_SECONDS)
            assert (recorder.sent, await status(door)) == (["ECDS +p"], expected)

        # What it cannot read changes nothing, and is named.
        pushes.publish(CLASS, resources((order.EXTENSION, policies("p", refuses)), *guarded), 5)
        await asyncio.wait_for(pushes.settle(5), LIMIT_SECONDS)
        pushes.publish(CLASS, resources((order.EXTENSION, policies("p", broken)), *guarded), 6)
        await until(lambda: pushes.unsettled(6) and any(one.rejected for one in pushes.statuses()[0].types))
        (refused,) = [one for kind in pushes.statuses()[0].types for one in kind.rejected]
        assert (refused.name, await status(door)) == ("p", 403)
