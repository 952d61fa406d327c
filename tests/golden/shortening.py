"""What goldens leave out, so that one can read them in review.

The rule: what a resource of the kind has when nobody wrote anything about it. A plain one is made, and what is equal is
taken away, field by field. What stands in a wrapping that is always the same is written without it: addresses as
`host:port`, filters by the last part of their name, the metadata `istio` as its one text. Inside a part that is there,
a field that is usual but missing is null.
"""

from collections.abc import Mapping
from typing import Any, Final

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2

from lateen.envoy.clusters import cluster
from lateen.envoy.filter_chains import Setting, filter_chain
from lateen.envoy.routes import route, route_table, virtual_host
from lateen.envoy.side import Side
from lateen.plan.defaults import SAFE_RETRY
from lateen.plan.types import (
    AccessLog,
    Cluster,
    Discovery,
    Forward,
    HttpChain,
    RequestMatch,
    Route,
    RouteTable,
    Target,
    VirtualHost,
)
from tests.envoy.acceptance import as_json

Json = dict[str, Any]

_ONE_OF: Final = ("cluster", "rds", "route_config", "prefix")
_PLAIN_ROUTE: Final = Route(RequestMatch(), Forward((Target("x"),), retry=SAFE_RETRY))


def shortened(message: Any) -> Json:
    """Return a resource as JSON without what is as usual; its own name stands before it already."""
    said = _unwrapped(as_json(message))
    said.pop("name", None)
    said.pop("cluster_name", None)
    if isinstance(message, cluster_pb2.Cluster):
        said.pop("alt_stat_name")
        return _less(said, _unwrapped(as_json(cluster(Cluster("x", Discovery.EDS)))))
    if isinstance(message, route_pb2.RouteConfiguration):
        return _table(said)
    if isinstance(message, listener_pb2.Listener):
        return _listener(said)
    return said


def _table(said: Json) -> Json:
    rest = _less(said, as_json(route_table("x")))
    rest["virtual_hosts"] = [_virtual_host(host) for host in said.get("virtual_hosts", ())]
    return rest


def _virtual_host(said: Json) -> Json:
    rest = _less(said, as_json(virtual_host(VirtualHost("x", (), ()))))
    return {**rest, "routes": [_route(line) for line in said.get("routes", ())]}


def _route(said: Json) -> Json:
    said.pop("decorator", None)
    path = said["match"]
    rest = _less(said, as_json(route(_PLAIN_ROUTE)))
    return {**_only("name", rest), "match": path, **rest}


def _only(name: str, said: Json) -> Json:
    return {name: said[name]} if name in said else {}


def _listener(said: Json) -> Json:
    for chain in (*said.get("filter_chains", ()), said.get("default_filter_chain", {})):
        chain["filters"] = [_filter(step) for step in chain.get("filters", ())]
    said["listener_filters"] = [step["name"].rpartition(".")[2] for step in said.get("listener_filters", ())]
    return {name: value for name, value in said.items() if value not in ([], {})}


def _filter(said: Json) -> Json:
    config = said["typed_config"]
    name = said["name"].rpartition(".")[2]
    if name == "http_connection_manager":
        config = min((_less(config, usual) for usual in _usual_managers()), key=lambda rest: len(str(rest)))
        if "rds" in config:
            config["rds"] = config["rds"]["route_config_name"]
        if "route_config" in config:
            config["route_config"] = _table(config["route_config"])
    return {name: config}


def _usual_managers() -> list[Json]:
    chain = HttpChain("x", RouteTable("x", ()))
    made = (filter_chain("x", chain, Setting(side, "x", AccessLog())) for side in Side)
    usual = [_unwrapped(as_json(one)["filters"][0]["typed_config"]) for one in made]
    for manager in usual:
        del manager["route_config"]
    return usual


def _unwrapped(said: Any) -> Any:
    """Write addresses and metadata without their wrappings."""
    if isinstance(said, list):
        return [_unwrapped(item) for item in said]
    if not isinstance(said, dict):
        return said
    if "socket_address" in said:
        return f"{said['socket_address']['address']}:{said['socket_address'].get('port_value', 0)}"
    if "filter_metadata" in said:
        (text,) = said["filter_metadata"]["istio"].values()
        return text
    return {name: _unwrapped(value) for name, value in said.items() if name != "@type"}


def _less(said: Mapping[str, Any], usual: Mapping[str, Any], lacking: bool = False) -> Json:
    """Take away what is equal in both, at any depth of mappings."""
    rest: Json = {}
    for name, value in said.items():
        same = usual.get(name)
        if value == same:
            continue
        alike = isinstance(value, dict) and isinstance(same, dict)
        rest[name] = _less(value, same, lacking=True) if alike else value
    if lacking:
        rest.update((name, None) for name in usual if name not in said and name not in _ONE_OF)
    return rest
