"""What Envoys tell of calls that are over (`envoy.data.accesslog.v3`), read as attributes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import parse_qsl

from lateen import names
from lateen.mixer.directory import NOTHING_KNOWN, Directory, Facts, service_facts
from lateen.mixer.values import ABSENT, Attributes, Value
from lateen.model.service import Service
from lateen.serving import attested_peers
from lateen.serving.check_requests import claim_text, token_claims

INBOUND: Final = "mixer-inbound"
OUTBOUND: Final = "mixer-outbound"
"""By these names of their logs proxies say on which side of calls they stand."""

_FLAGS: Final[Mapping[str, str]] = {
    "failed_local_healthcheck": "LH",
    "no_healthy_upstream": "UH",
    "upstream_request_timeout": "UT",
    "local_reset": "LR",
    "upstream_remote_reset": "UR",
    "upstream_connection_failure": "UF",
    "upstream_connection_termination": "UC",
    "upstream_overflow": "UO",
    "no_route_found": "NR",
    "delay_injected": "DI",
    "fault_injected": "FI",
    "rate_limited": "RL",
    "rate_limit_service_error": "RLSE",
    "downstream_connection_termination": "DC",
    "upstream_retry_limit_exceeded": "URX",
    "stream_idle_timeout": "SI",
    "invalid_envoy_request_headers": "IH",
    "downstream_protocol_error": "DPE",
    "upstream_max_stream_duration_reached": "UMSDR",
    "response_from_cache_filter": "RFCF",
    "no_filter_config_found": "NFCF",
    "duration_timeout": "DT",
    "upstream_protocol_error": "UPE",
    "no_cluster_found": "NC",
    "overload_manager": "OM",
    "dns_resolution_failure": "DF",
    "downstream_remote_reset": "DR",
}


@dataclass(frozen=True, slots=True)
class Teller:
    """The proxy that tells: its workload's facts, and whether it stands at the callee."""

    own: Facts
    is_inbound: bool


def teller(node: str, log_name: str, directory: Directory) -> Teller:
    """Return who tells, by the id of a proxy's node and the name of its log."""
    found = names.parse_node_id(node)
    workload = directory.instance(found.namespace, found.workload) if found is not None else None
    return Teller(directory.facts(workload), log_name != OUTBOUND)


def of_request(entry: Any, told_by: Teller, directory: Directory, services: Mapping[str, Service]) -> Attributes:
    """Return the attributes of a request that is over."""
    request, response = entry.request, entry.response
    headers = {**_told_headers(request), **request.request_headers}
    path = request.original_path or request.path
    values: dict[str, Value] = {
        **_common(entry.common_properties, told_by, directory, services),
        "context.protocol": "grpc" if headers.get("content-type", "").startswith("application/grpc") else "http",
        "request.headers": headers,
        "request.path": path,
        "request.url_path": path.partition("?")[0],
        "request.query_params": dict(reversed(parse_qsl(path.partition("?")[2], max_num_fields=1000))),
        "request.host": request.authority,
        "request.method": headers[":method"],
        "request.scheme": request.scheme,
        "request.size": int(request.request_body_bytes),
        "request.total_size": int(request.request_headers_bytes + request.request_body_bytes),
        "request.time": _time(entry.common_properties),
        "response.code": int(response.response_code.value),
        "response.headers": dict(response.response_headers),
        "response.size": int(response.response_body_bytes),
        "response.total_size": int(response.response_headers_bytes + response.response_body_bytes),
        "response.duration": _duration(entry.common_properties),
        "response.time": _time(entry.common_properties) + _duration(entry.common_properties),
    }
    values.update(_texts(("request.id", request.request_id), ("request.referer", request.referer)))
    values.update(_texts(("request.useragent", request.user_agent)))
    ends = {**response.response_headers, **response.response_trailers}
    values.update(_texts(("response.grpc_status", ends.get("grpc-status", ""))))
    values.update(_texts(("response.grpc_message", ends.get("grpc-message", ""))))
    values.update(_token(entry.common_properties.metadata.filter_metadata))
    return Attributes(values)


def of_connection(entry: Any, told_by: Teller, directory: Directory, services: Mapping[str, Service]) -> Attributes:
    """Return the attributes of a connection that is closed."""
    received, sent = int(entry.connection_properties.received_bytes), int(entry.connection_properties.sent_bytes)
    return Attributes(
        {
            **_common(entry.common_properties, told_by, directory, services),
            "context.protocol": "tcp",
            "connection.event": "close",
            "connection.received.bytes": received,
            "connection.received.bytes_total": received,
            "connection.sent.bytes": sent,
            "connection.sent.bytes_total": sent,
            "connection.duration": _duration(entry.common_properties),
        }
    )


def _common(common: Any, told_by: Teller, directory: Directory, services: Mapping[str, Service]) -> dict[str, Value]:
    peer = _caller(common) if told_by.is_inbound else NO_NAMES
    source = attested_peers.facts(peer, directory) if told_by.is_inbound else told_by.own
    upstream = common.upstream_remote_address.socket_address
    place = common.downstream_local_address.socket_address if told_by.is_inbound else upstream
    destination = told_by.own if told_by.is_inbound else directory.by_address(upstream.address)
    values: dict[str, Value] = {
        **_of_side("source", source),
        **_of_side("destination", destination),
        **{f"destination.service.{name}": value for name, value in _service(common, told_by, directory, services)},
        "destination.port": int(place.port_value),
        "context.time": _time(common),
        "context.reporter.kind": "inbound" if told_by.is_inbound else "outbound",
        "context.proxy_error_code": _flags(common.response_flags),
        "connection.mtls": bool(common.tls_properties.peer_certificate_properties.subject_alt_name),
    }
    for name, address in (
        ("source.ip", common.downstream_direct_remote_address.socket_address.address if told_by.is_inbound else ""),
        ("origin.ip", common.downstream_remote_address.socket_address.address),
        ("destination.ip", place.address),
    ):
        values.update(_address(name, address))
    values.update(_texts(("connection.requested_server_name", common.tls_properties.tls_sni_hostname)))
    values.update({"context.reporter.uid": told_by.own["uid"]} if "uid" in told_by.own else {})
    return values


NO_NAMES: Final = attested_peers.Said()


def _caller(common: Any) -> attested_peers.Said:
    """Return who called, where the callee's certificate is one of the mesh: only then the caller's is, too."""
    own = common.tls_properties.local_certificate_properties.subject_alt_name
    if not any(each.uri.startswith("spiffe://") for each in own):
        return NO_NAMES
    shown = common.tls_properties.peer_certificate_properties.subject_alt_name
    return attested_peers.said_by_names(
        (each.uri for each in shown if each.uri), (each.dns for each in shown if each.dns)
    )


def _service(
    common: Any, told_by: Teller, directory: Directory, services: Mapping[str, Service]
) -> Iterator[tuple[str, Value]]:
    """Yield what is known of the called service: callers say it by their cluster, callees are asked through it."""
    if told_by.is_inbound:
        place = common.downstream_local_address.socket_address
        yield from directory.reached(directory.at(place.address), place.port_value).items()
        return
    cluster = names.parse_cluster(common.upstream_cluster)
    service = services.get(cluster.host) if cluster is not None else None
    yield from service_facts(service).items() if service is not None else NOTHING_KNOWN.items()


def _of_side(side: str, facts: Facts) -> dict[str, Value]:
    return {f"{side}.{name}": value for name, value in facts.items()}


def _told_headers(request: Any) -> dict[str, str]:
    """Return the headers that stand in fields of their own."""
    method = type(request).DESCRIPTOR.fields_by_name["request_method"].enum_type
    found = {
        ":method": method.values_by_number[request.request_method].name if request.request_method else "",
        ":path": request.path,
        ":authority": request.authority,
        ":scheme": request.scheme,
        "user-agent": request.user_agent,
        "referer": request.referer,
        "x-forwarded-for": request.forwarded_for,
        "x-request-id": request.request_id,
    }
    return {name: value for name, value in found.items() if value or name == ":method"}


def _token(metadata: Mapping[str, Any]) -> dict[str, Value]:
    claims = token_claims(metadata)
    if not claims:
        return {}
    texts = {name: value for name in claims if (value := claim_text(claims.get(name))) is not ABSENT}
    found: dict[str, Value] = {"request.auth.claims": {name: str(value) for name, value in texts.items()}}
    if {"iss", "sub"} <= texts.keys():
        found["request.auth.principal"] = f"{texts['iss']}/{texts['sub']}"
    for attribute, claim in (("request.auth.audiences", "aud"), ("request.auth.presenter", "azp")):
        found.update({attribute: str(texts[claim])} if claim in texts else {})
    return found


def _flags(flags: Any) -> str:
    """Write response flags as Envoy does; `-` where there are none."""
    found = [short for name, short in _FLAGS.items() if getattr(flags, name)]
    if flags.HasField("unauthorized_details"):
        found.append("UAEX")
    return ",".join(found) or "-"


def _texts(*pairs: tuple[str, str]) -> dict[str, Value]:
    return {name: text for name, text in pairs if text}


def _address(name: str, text: str) -> dict[str, Value]:
    try:
        return {name: ip_address(text)}
    except ValueError:
        return {}


def _time(common: Any) -> datetime:
    found: datetime = common.start_time.ToDatetime(tzinfo=UTC)
    return found


def _duration(common: Any) -> timedelta:
    found: timedelta = common.duration.ToTimedelta()
    return found
