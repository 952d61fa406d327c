"""Envoy's questions as attributes: each of the vocabulary from where it is attested, and from nowhere else."""

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote

import pytest
from envoy.service.auth.v3 import external_auth_pb2
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from lateen.mixer.attributes import VOCABULARY
from lateen.mixer.origins import Keeper, Protocols, When
from lateen.mixer.values import ABSENT
from lateen.names import PeerName, instance_name
from lateen.serving.check_requests import CheckBag
from tests.serving.asked_calls import DIRECTORY, INSTANCE, SLEEP_ID, certificate, context


def bag(asked: Any) -> CheckBag:
    return CheckBag(asked, DIRECTORY)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source.ip", ip_address("10.244.1.7")),
        ("source.principal", "cluster.local/ns/default/sa/sleep"),
        ("source.namespace", "default"),
        ("source.name", "sleep-1"),
        ("source.uid", "kubernetes://sleep-1.default"),
        ("source.labels", {"app": "sleep", "team": "a"}),
        ("source.workload.name", "sleep"),
        ("destination.ip", ip_address("10.244.1.3")),
        ("destination.port", 9080),
        ("destination.principal", "cluster.local/ns/default/sa/bookinfo-reviews"),
        ("destination.namespace", "default"),
        ("destination.labels", {"app": "reviews"}),
        ("destination.service.host", "reviews.default.svc.cluster.local"),
        ("destination.service.name", "reviews"),
        ("request.method", "GET"),
        ("request.path", "/reviews/0?a=1&a=2&b"),
        ("request.url_path", "/reviews/0"),
        ("request.query_params", {"a": "1", "b": ""}),
        ("request.host", "reviews:9080"),
        ("request.scheme", "http"),
        ("request.useragent", "curl"),
        ("request.referer", ABSENT),
        ("request.id", "r-1"),
        ("request.size", 12),
        ("request.time", datetime(2026, 1, 1, tzinfo=UTC)),
        ("connection.mtls", True),
        ("connection.requested_server_name", "outbound_.9080_._.reviews"),
        ("context.protocol", "http"),
        ("context.reporter.kind", "inbound"),
        ("context.reporter.uid", "kubernetes://reviews-1.default"),
        ("request.auth.principal", ABSENT),
        ("response.code", ABSENT),
        ("nothing.known", ABSENT),
    ],
)
def test_attributes(name: str, value: object) -> None:
    asked = context(user_agent="curl", x_request_id="r-1", content_length="12")
    assert bag(asked).get(name) == value


def test_what_a_check_can_know_is_read() -> None:
    """Whatever the vocabulary has at the callee at the time of a request, but for what Mixer or nobody knows."""
    asked = bag(context(user_agent="a", referer="b", x_request_id="c", x_api_key="k"))
    unknown = {
        entry.name
        for entry in VOCABULARY
        if entry.server.when is When.REQUEST
        and entry.protocols in (Protocols.BOTH, Protocols.HTTP)
        and entry.server.keeper is not Keeper.NOBODY
        and asked.get(entry.name) is ABSENT
    }
    assert unknown == {
        "destination.container.name",
        "destination.container.image",
        "connection.id",
        *(f"api.{name}" for name in ("service", "version", "operation", "protocol")),
        *(f"request.auth.{name}" for name in ("principal", "audiences", "presenter", "claims")),
    }


def test_an_entry_of_a_map_is_read_alone() -> None:
    asked = bag(context(cookie="a=b"))
    assert asked.entry("request.headers", "cookie") == "a=b"
    assert asked.entry("request.headers", "none") is ABSENT
    assert asked.entry("source.labels", "team") == "a"
    assert asked.entry("request.query_params", "a") == "1"
    assert asked.entry("request.method", "x") is ABSENT


def test_without_a_certificate_nobody_is_known() -> None:
    asked = bag(context(shown=""))
    assert asked.get("source.ip") == ip_address("10.244.1.7")
    for fact in ("principal", "namespace", "name", "labels", "workload.name"):
        assert asked.get(f"source.{fact}") is ABSENT
    assert asked.get("connection.mtls") is False


def test_headers_make_nobody_somebody() -> None:
    asked = bag(context(shown="", x_forwarded_client_cert=f"URI={SLEEP_ID}", x_envoy_peer_metadata="x"))
    assert asked.get("source.principal") is ABSENT


def test_where_the_proxy_shows_no_certificate_of_the_mesh_callers_certificates_say_nothing() -> None:
    assert bag(context(own="CN=shop.example.com")).get("source.principal") is ABSENT


def test_an_instance_of_another_namespace_than_the_identity_is_not_believed() -> None:
    asked = bag(context(shown=certificate("spiffe://cluster.local/ns/other/sa/x", INSTANCE)))
    assert (asked.get("source.namespace"), asked.get("source.name")) == ("other", ABSENT)


def test_of_an_instance_that_has_gone_its_certificate_tells() -> None:
    gone = certificate(SLEEP_ID, instance_name("gone-1", "default"), str(PeerName("gone", "sleep", "v1")))
    asked = bag(context(shown=gone))
    assert asked.get("source.labels") == {"app": "sleep", "version": "v1"}
    assert (asked.get("source.workload.name"), asked.get("source.name")) == ("gone", "gone-1")


@pytest.mark.parametrize("shown", ["nonsense", quote("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")])
def test_a_certificate_that_cannot_be_read_says_nothing(shown: str) -> None:
    assert bag(context(shown=shown)).get("source.principal") is ABSENT


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({}, "10.244.1.7"),
        ({"x_forwarded_for": "1.1.1.1, 2.2.2.2"}, "2.2.2.2"),
        ({"x_forwarded_for": "x"}, "10.244.1.7"),
    ],
)
def test_the_first_client_is_the_one_that_the_proxy_says(headers: dict[str, str], origin: str) -> None:
    assert bag(context(**headers)).get("origin.ip") == ip_address(origin)


def test_claims_come_from_the_verified_token() -> None:
    asked = context()
    payload = asked.metadata_context.filter_metadata["envoy.filters.http.jwt_authn"]
    payload.update({"payload": {"iss": "me", "sub": "anna", "aud": ["a", "b"], "azp": "c", "level": 3}})
    read = bag(asked)
    assert read.get("request.auth.principal") == "me/anna"
    assert (read.get("request.auth.audiences"), read.get("request.auth.presenter")) == ("a,b", "c")
    assert read.get("request.auth.claims") == {"iss": "me", "sub": "anna", "azp": "c"}
    assert read.entry("request.auth.claims", "sub") == "anna"


def test_a_connection_has_no_request() -> None:
    asked = context()
    asked.request.ClearField("http")
    read = bag(asked)
    assert read.get("context.protocol") == "tcp"
    assert read.get("source.principal") == "cluster.local/ns/default/sa/sleep"
    for name in ("request.method", "request.headers", "request.api_key"):
        assert read.get(name) is ABSENT
    assert read.entry("request.headers", "a") is ABSENT


def test_grpc_is_told_by_its_content_type() -> None:
    assert bag(context(content_type="application/grpc+proto")).get("context.protocol") == "grpc"


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_question_is_read_or_no_question(data: bytes) -> None:
    try:
        asked = external_auth_pb2.CheckRequest.FromString(data).attributes
    except DecodeError:
        return
    read = bag(asked)
    for entry in VOCABULARY:
        read.get(entry.name)
