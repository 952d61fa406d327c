"""What Envoys tell of calls that are over, as attributes, through the door."""

from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from envoy.service.accesslog.v3 import als_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from lateen.mixer.attributes import VOCABULARY
from lateen.mixer.directory import Directory
from lateen.mixer.origins import Keeper, Protocols
from lateen.mixer.values import ABSENT, Attributes
from lateen.model.service import Service
from lateen.names import NodeId, PeerName, instance_name, outbound_cluster
from lateen.serving.access_log_entries import INBOUND, OUTBOUND
from lateen.serving.access_log_service import METHOD, access_log_service
from lateen.serving.grpc_services import GrpcRefusal
from tests.serving.asked_calls import DIRECTORY, REVIEWS, REVIEWS_ID, SERVICE, SLEEP, SLEEP_ID

START = datetime(2026, 1, 1, tzinfo=UTC)


class Heard:
    """Notes what it is told."""

    directory: Directory = DIRECTORY
    services_by_host: Mapping[str, Service] = {SERVICE.host: SERVICE}

    def __init__(self) -> None:
        self.calls: list[Attributes] = []

    def tell(self, calls: Iterable[Attributes]) -> None:
        self.calls.extend(calls)


async def told(*messages: bytes) -> list[Attributes]:
    heard = Heard()

    async def stream() -> AsyncIterator[bytes]:
        for message in messages:
            yield message

    await access_log_service(heard).streams[METHOD](stream())
    return heard.calls


def message(log_name: str, workload: Any) -> Any:
    made = als_pb2.StreamAccessLogsMessage()
    node = NodeId("sidecar", workload.address, workload.key.name, workload.key.namespace)
    made.identifier.node.id, made.identifier.log_name = str(node), log_name
    return made


def shared(common: Any) -> None:
    common.start_time.FromDatetime(START)
    common.duration.FromTimedelta(timedelta(milliseconds=20))
    common.downstream_remote_address.socket_address.address = "10.244.1.7"
    common.downstream_direct_remote_address.socket_address.address = "10.244.1.7"
    common.downstream_local_address.socket_address.address = "10.244.1.3"
    common.downstream_local_address.socket_address.port_value = 9080
    common.upstream_remote_address.socket_address.address = "10.244.1.3"
    common.upstream_remote_address.socket_address.port_value = 9080
    common.tls_properties.local_certificate_properties.subject_alt_name.add(uri=REVIEWS_ID)
    peer = common.tls_properties.peer_certificate_properties.subject_alt_name
    peer.add(uri=SLEEP_ID)
    peer.add(dns=instance_name("sleep-1", "default"))
    peer.add(dns=str(PeerName("sleep", "sleep")))
    common.tls_properties.tls_sni_hostname = "reviews"


def request(log_name: str = INBOUND, workload: Any = REVIEWS) -> Any:
    made = message(log_name, workload)
    entry = made.http_logs.log_entry.add()
    shared(entry.common_properties)
    entry.common_properties.upstream_cluster = outbound_cluster(SERVICE.host, 9080)
    entry.common_properties.response_flags.unauthorized_details.SetInParent()
    entry.common_properties.response_flags.upstream_request_timeout = True
    asked, answer = entry.request, entry.response
    asked.request_method, asked.scheme, asked.authority, asked.path = 1, "http", "reviews:9080", "/reviews/0?x=1"
    asked.user_agent, asked.request_id, asked.referer = "curl", "r-1", "http://a"
    asked.request_headers["end-user"] = "anna"
    asked.request_headers_bytes, asked.request_body_bytes = 100, 10
    answer.response_code.value, answer.response_headers_bytes, answer.response_body_bytes = 503, 50, 5
    answer.response_headers["x-out"] = "1"
    answer.response_trailers["grpc-status"] = "5"
    return made


SHARED = [
    ("request.method", "GET"),
    ("request.path", "/reviews/0?x=1"),
    ("request.url_path", "/reviews/0"),
    ("request.query_params", {"x": "1"}),
    ("request.size", 10),
    ("request.total_size", 110),
    ("response.code", 503),
    ("response.size", 5),
    ("response.total_size", 55),
    ("response.duration", timedelta(milliseconds=20)),
    ("response.time", START + timedelta(milliseconds=20)),
    ("response.headers", {"x-out": "1"}),
    ("response.grpc_status", "5"),
    ("context.proxy_error_code", "UT,UAEX"),
    ("source.principal", "cluster.local/ns/default/sa/sleep"),
    ("source.name", "sleep-1"),
    ("destination.name", "reviews-1"),
    ("destination.ip", ip_address("10.244.1.3")),
    ("destination.port", 9080),
    ("destination.service.name", "reviews"),
]


@pytest.mark.parametrize(
    ("log_name", "workload", "kind"), [(INBOUND, REVIEWS, "inbound"), (OUTBOUND, SLEEP, "outbound")]
)
async def test_both_sides_tell_the_same_of_a_request(log_name: str, workload: Any, kind: str) -> None:
    (call,) = await told(request(log_name, workload).SerializeToString())
    assert {name: call.get(name) for name, _ in SHARED} == dict(SHARED)
    assert call.get("context.reporter.kind") == kind
    assert call.get("context.reporter.uid") == f"kubernetes://{workload.key.name}.default"
    assert call.entry("request.headers", "end-user") == "anna"
    assert call.entry("request.headers", ":authority") == "reviews:9080"


async def test_what_a_report_can_know_is_read() -> None:
    (call,) = await told(request().SerializeToString())
    unknown = {
        entry.name
        for entry in VOCABULARY
        if entry.protocols in (Protocols.BOTH, Protocols.HTTP)
        and entry.server.keeper is not Keeper.NOBODY
        and call.get(entry.name) is ABSENT
    }
    assert unknown == {
        "destination.container.name",
        "destination.container.image",
        "response.grpc_message",
        "connection.id",
        "connection.received.bytes",
        "connection.received.bytes_total",
        "connection.sent.bytes",
        "connection.sent.bytes_total",
        "connection.duration",
        "request.api_key",
        *(f"api.{name}" for name in ("service", "version", "operation", "protocol")),
        *(f"request.auth.{name}" for name in ("principal", "audiences", "presenter", "claims")),
        *(f"check.{name}" for name in ("error_code", "error_message", "cache_hit")),
        "quota.cache_hit",
    }


async def test_a_connection() -> None:
    made = message(INBOUND, REVIEWS)
    entry = made.tcp_logs.log_entry.add()
    shared(entry.common_properties)
    entry.connection_properties.received_bytes, entry.connection_properties.sent_bytes = 7, 8
    (call,) = await told(made.SerializeToString())
    assert (call.get("context.protocol"), call.get("connection.event")) == ("tcp", "close")
    assert (call.get("connection.received.bytes_total"), call.get("connection.sent.bytes")) == (7, 8)
    assert (call.get("source.namespace"), call.get("request.method")) == ("default", ABSENT)


async def test_who_tells_is_said_once_for_a_stream() -> None:
    first, second = request(), request()
    second.ClearField("identifier")
    calls = await told(first.SerializeToString(), second.SerializeToString())
    assert [call.get("context.reporter.uid") for call in calls] == ["kubernetes://reviews-1.default"] * 2


async def test_a_caller_whose_certificate_nobody_of_the_mesh_took_is_unknown() -> None:
    made = request()
    del made.http_logs.log_entry[0].common_properties.tls_properties.local_certificate_properties.subject_alt_name[:]
    (call,) = await told(made.SerializeToString())
    assert call.get("source.principal") is ABSENT


async def test_what_is_no_message_ends_the_stream() -> None:
    with pytest.raises(GrpcRefusal):
        await told(b"\xff")


@settings(deadline=None)
@given(st.binary(max_size=200))
async def test_any_message_is_read_or_refused(data: bytes) -> None:
    try:
        await told(data)
    except GrpcRefusal:
        return
