"""What goldens leave out, so that one can read them in review.

The rule: what a resource of the kind has when nobody wrote anything about it. A plain one is made, and what is equal is
taken away, field by field. What stands in a wrapping that is always the same is written without it: addresses as
`host:port`, filters by the last part of their name, the metadata `istio` as its one text, what the mesh's proxies offer
each other by a word. Filters that an earlier chain of the listener has too are named by that. Inside a part that is
there, a field that is usual but missing is null.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Final

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2

from lateen.api.mesh.connection_settings import NO_SETTINGS, at_gateway
from lateen.envoy import stats_logs
from lateen.envoy.audit_logs import RECORD
from lateen.envoy.clusters import cluster
from lateen.envoy.filter_chains import Setting, filter_chain
from lateen.envoy.listener_filters import HTTP_PROTOCOLS
from lateen.envoy.routes import route, route_table, virtual_host
from lateen.envoy.side import Side
from lateen.envoy.standard_tags import Vantage
from lateen.envoy.transport_sockets import MESH_HTTP_PROTOCOLS, MESH_TCP_PROTOCOLS
from lateen.names import OWN_METADATA, peer_state
from lateen.plan import audit, tracing
from lateen.plan.defaults import SAFE_RETRY
from lateen.plan.http_types import USUAL_MANNER, HttpManner
from lateen.plan.telemetry_types import STANDARD_METRICS, Measure, Reports
from lateen.plan.types import (
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

_PROTOCOLS: Final = {
    HTTP_PROTOCOLS: "http",
    MESH_HTTP_PROTOCOLS: "mesh http",
    MESH_TCP_PROTOCOLS: "mesh tcp",
    (*MESH_TCP_PROTOCOLS, *MESH_HTTP_PROTOCOLS): "mesh",
}
_REQUESTS: Final = Measure.REQUESTS.value
_OF_MUTUAL_TLS: Final = ("upstream_connect_mode", "max_early_data_bytes")
_ONE_OF: Final = ("cluster", "rds", "route_config", "prefix")
_PLAIN_ROUTE: Final = Route(RequestMatch(), Forward((Target("x"),), retry=SAFE_RETRY))


def shortened(message: Any) -> Json:
    """Return a resource as JSON without what is as usual; its own name stands before it already."""
    said = _unwrapped(_with_sockets(as_json(message)))
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
    usual = (as_json(virtual_host(VirtualHost("x", (), (), counts_attempts=counts))) for counts in (True, False))
    rest = min((_less(said, one) for one in usual), key=lambda rest: len(str(rest)))
    return {**rest, "routes": [_route(line) for line in said.get("routes", ())]}


def _route(said: Json) -> Json:
    said.pop("decorator", None)
    path = said["match"]
    rest = _less(said, as_json(route(_PLAIN_ROUTE)))
    return {**_only("name", rest), "match": path, **rest}


def _only(name: str, said: Json) -> Json:
    return {name: said[name]} if name in said else {}


def _listener(said: Json) -> Json:
    seen: dict[str, str] = {}
    for chain in (*said.get("filter_chains", ()), said.get("default_filter_chain", {})):
        chain["filters"] = [_filter(step) for step in chain.get("filters", ()) if not _is_about_peers(step)]
        first = seen.setdefault(str(chain["filters"]), chain.get("name", ""))
        if first != chain.get("name", ""):
            chain["filters"] = f"as in {first}"
        match = chain.get("filter_chain_match", {})
        if tuple(match.get("application_protocols", ())) in _PROTOCOLS:
            match["application_protocols"] = _PROTOCOLS[tuple(match["application_protocols"])]
    said["filter_chains"] = {chain.pop("name"): chain for chain in said.get("filter_chains", ())}
    said["listener_filters"] = [step["name"].rpartition(".")[2] for step in said.get("listener_filters", ())]
    return {name: value for name, value in said.items() if value not in ([], {})}


def _filter(said: Json) -> Json | str:
    config = said["typed_config"]
    _shorten_records(config)
    if said["name"].endswith(("http_connection_manager", "tcp_proxy")):
        _shorten_metrics(config)
    name = said["name"].rpartition(".")[2]
    if name == "http_connection_manager":
        config = min((_less(config, usual) for usual in _usual_managers()), key=lambda rest: len(str(rest)))
        if "http_filters" in config:
            config["http_filters"] = [step for step in config["http_filters"] if not _is_idle(step)]
        if "rds" in config:
            config["rds"] = config["rds"]["route_config_name"]
        if "route_config" in config:
            config["route_config"] = _table(config["route_config"])
    if name == "tcp_proxy":
        config = {key: value for key, value in config.items() if key not in _OF_MUTUAL_TLS}
    if name == "tcp_proxy" and config == {"stat_prefix": config["stat_prefix"], "cluster": config["stat_prefix"]}:
        return f"tcp_proxy to {config['cluster']}"
    return {name: config}


def _is_idle(said: Json) -> bool:
    """Tell whether a filter is in every chain and does nothing that a case could be about."""
    return bool(said.get("disabled"))


def _is_about_peers(said: Json) -> bool:
    values = said["typed_config"].get("on_new_connection", [{}])
    return str(values[0].get("object_key")).startswith(peer_state(""))


def _shorten_metrics(config: Json) -> None:
    """Leave out the standard metrics; of others, write which they are and what their labels have otherwise."""
    logs = config.pop("access_log", [])
    made = [log for log in logs if log["name"] == stats_logs.NAME]
    config["access_log"] = [_log(log) for log in logs if log not in made]
    usual = _usual_metrics()
    said = [_metric(stat, usual) for log in made for stat in _stats(log)] if made else ["none"]
    config["metrics"] = list(dict.fromkeys(one for one in said if one))
    if made:
        config.pop("access_log_options", None)
    config.update({name: value for name in ("access_log", "metrics") if (value := config.pop(name))})


def _log(said: Json) -> Json:
    """Write a log by the last part of its name; that it is told of ends only is usual."""
    filters = said["filter"].get("and_filter", {}).get("filters", [])
    cel = [one["extension_filter"]["typed_config"]["expression"] for one in filters if "extension_filter" in one]
    return {said["name"].rpartition(".")[2]: said["typed_config"], **({"when": cel[0]} if cel else {})}


def _stats(log: Json) -> list[Json]:
    config = log["typed_config"]
    return [one["stat"] for kind in ("counters", "histograms") for one in config.get(kind, ())]


@cache
def _usual_metrics() -> tuple[Json, ...]:
    vantages = [Vantage(side, is_mutual) for side in Side for is_mutual in (False, True)]
    plans = (STANDARD_METRICS, replace(STANDARD_METRICS, is_compact=False))
    made = [stats_logs.request_metrics(plan, vantage) for plan in plans for vantage in vantages]
    made += [stats_logs.connection_metrics(plan, vantage) for plan in plans for vantage in vantages]
    loggers = [as_json(log) for logs in made for log in logs]
    return tuple(stat for log in loggers for stat in _stats(log))


def _metric(stat: Json, usual: tuple[Json, ...]) -> str:
    """Write how a metric differs from the most similar standard one; nothing where it does not."""
    if stat in usual:
        return ""
    texts = {tag["name"]: tag["value_format"] for tag in stat.get("tags", ())}
    alike = [one for one in usual if one["name"] == stat["name"]] or [one for one in usual if one["name"] == _REQUESTS]
    known = [{tag["name"]: tag["value_format"] for tag in one["tags"]} for one in alike]
    nearest = max(known, key=lambda tags: len(tags.items() & texts.items()))
    changes = [f"{name}={text}" for name, text in texts.items() if nearest.get(name) != text]
    changes += [f"no {name}" for name in nearest if name not in texts]
    return f"{stat['name']}: {', '.join(changes)}"


def _shorten_records(config: Json) -> None:
    """Write audit records as what they are about and where they go; those that go to the proxy's log are usual."""
    logs = config.pop("access_log", [])
    kept = [log for log in logs if not _is_record(log)]
    places = [_record(log["typed_config"]) for log in logs if _is_record(log)]
    said = {
        "access_log": kept,
        "records": [place for place in places if not place.endswith(audit.DEFAULT.path)],
    }
    config.update((name, value) for name, value in said.items() if value)


def _is_record(log: Json) -> bool:
    config = log["typed_config"]
    return "attributes" in config or config.get("log_format", {}).get("json_format", {}).get("type") == RECORD


def _record(config: Json) -> str:
    if "log_format" in config:
        return f"{config['log_format']['json_format']['decision']} to {config['path']}"
    return (
        f"{config['body']['string_value']} to {config['common_config']['grpc_service']['envoy_grpc']['cluster_name']}"
    )


def _usual_managers() -> list[Json]:
    chain = HttpChain("x", RouteTable("x", ()))
    reports, edge = Reports(tracing=tracing.USUAL), HttpManner(bounds=at_gateway(NO_SETTINGS))
    manners = ((side, edge if side is Side.GATEWAY else USUAL_MANNER) for side in Side)
    made = (filter_chain("x", chain, Setting(side, "x", reports, manner=manner)) for side, manner in manners)
    usual = [_unwrapped(as_json(one)["filters"][0]["typed_config"]) for one in made]
    for manager in usual:
        del manager["route_config"]
    return usual


def _with_sockets(said: Any) -> Any:
    """Write how connections are secured in few words: the mesh's TLS by what differs, and plain ones not at all."""
    if isinstance(said, list):
        return [_with_sockets(item) for item in said]
    if not isinstance(said, dict):
        return said
    rest = {name: _with_sockets(value) for name, value in said.items()}
    if "transport_socket" in rest:
        socket = rest.pop("transport_socket")["typed_config"]
        socket = socket.get("downstream_tls_context", socket)
        rest["tls"] = _secured(socket) if "common_tls_context" in socket else {}
        rest.pop("transport_socket_connect_timeout", None)
    if "transport_socket_matches" in rest:
        mesh, _ = rest.pop("transport_socket_matches")
        rest["tls where it is taken"] = mesh["tls"]
    return rest


def _secured(context: Json) -> Json | str:
    """Write a TLS context. The one whose secrets are the workload's own is the mesh's; of a server's, only the names."""
    shared = context["common_tls_context"]
    secrets = [one["name"] for one in shared.get("tls_certificate_sds_secret_configs", ())]
    combined = shared.get("combined_validation_context", {})
    validation = combined.get("default_validation_context") or shared.get("validation_context") or {}
    trusted = combined.get("validation_context_sds_secret_config", {}).get("name", "")
    files = [item for one in shared.get("tls_certificates", ()) for item in one.values()]
    said = {
        "sni": context.get("sni", ""),
        "offers": shared.get("alpn_protocols", []),
        "shows": files or secrets,
        "trusts": trusted or validation.get("trusted_ca", ""),
        "names": [next(iter(one["matcher"].values())) for one in validation.get("match_typed_subject_alt_names", ())],
    }
    if (secrets, trusted) == (["default"], "ROOTCA"):
        del said["shows"], said["trusts"]
        if "require_client_certificate" in context:
            return " ".join(["mesh", *said["names"]])
        return {"mesh": {name: value for name, value in said.items() if value}}
    return {name: value for name, value in said.items() if value}


def _unwrapped(said: Any) -> Any:
    """Write addresses and metadata without their wrappings."""
    if isinstance(said, list):
        return [_unwrapped(item) for item in said]
    if not isinstance(said, dict):
        return said
    if "socket_address" in said:
        return f"{said['socket_address']['address']}:{said['socket_address'].get('port_value', 0)}"
    if said.get("sds_config", {}).get("ads") == {}:
        return f"{said['name']} of the stream"
    if "default_source_code" in said:
        return "its script"
    if "bearer_token_cookie_config" in said and len({str(one) for one in said.values()}) == 1:
        return {"all": said["bearer_token_cookie_config"]}
    if "filter_metadata" in said:
        told = [part for name, part in said["filter_metadata"].items() if name != OWN_METADATA]
        parts = {name: text for part in told for name, text in part.items() if name != "services"}
        tls = [f"tlsMode={parts.pop('tlsMode')}"] if "tlsMode" in parts else []
        return " ".join([*parts.values(), *tls])
    rest = {name: _unwrapped(value) for name, value in said.items() if name != "@type"}
    return {name: value for name, value in rest.items() if (name, value) != ("metadata", "")}


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
