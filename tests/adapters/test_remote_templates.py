"""Templates for adapters elsewhere: what instances may hold has its place in their messages, whatever the type."""

import base64
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from lateen.adapters.remote import templates
from lateen.adapters.remote.encoding import fill, plain_name
from lateen.adapters.remote.inferred import inferred
from lateen.api.expressions.types import ValueType
from lateen.api.mixer.templates import TEMPLATES, Variety
from lateen.errors import ConfigRejected
from lateen.mixer.ports import Field, MadeInstance

from . import doormen

SENT = [row.name for row in TEMPLATES if row.variety is not Variety.ATTRIBUTE_GENERATOR]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVERYTHING: dict[str, Field] = {
    "text": "a",
    "whole": 1,
    "real": 0.5,
    "truth": True,
    "address": ip_address("::1"),
    "time": NOW,
    "duration": timedelta(seconds=1),
    "mail": "a@b.c",
    "name": "a.b",
    "uri": "http://a",
    "map": {"a": "b"},
}
TYPES = {
    ("dimensions", "mail"): ValueType.EMAIL_ADDRESS,
    ("dimensions", "name"): ValueType.DNS_NAME,
    ("dimensions", "uri"): ValueType.URI,
}


@pytest.mark.parametrize("name", SENT)
def test_every_field_of_a_built_in_template_has_its_place(name: str) -> None:
    row = next(row for row in TEMPLATES if row.name == name)
    known = {plain_name(field.name) for field in templates.built_in(name).instance.fields}
    assert {plain_name(field) for field in row.params.model_fields} <= known


def test_what_is_no_template_for_others_is_refused() -> None:
    with pytest.raises(ConfigRejected, match="kubernetes cannot be sent"):
        templates.built_in("kubernetes")


def test_values_of_every_type() -> None:
    template = templates.built_in("metric")
    request = template.request()
    fields: dict[str, Field] = {"value": 1, "dimensions": EVERYTHING}
    template.add_instance(request, MadeInstance("m", "metric", fields), TYPES)
    kinds = {name: value.WhichOneof("value") for name, value in request.instances[0].dimensions.items()}
    assert kinds == {
        "text": "string_value",
        "whole": "int64_value",
        "real": "double_value",
        "truth": "bool_value",
        "address": "ip_address_value",
        "time": "timestamp_value",
        "duration": "duration_value",
        "mail": "email_address_value",
        "name": "dns_name_value",
        "uri": "uri_value",
        "map": "string_map_value",
    }
    made = request.instances[0].dimensions
    assert made["address"].ip_address_value.value == ip_address("::1").packed
    assert made["time"].timestamp_value.value.ToDatetime(UTC) == NOW
    assert dict(made["map"].string_map_value.value) == {"a": "b"}


def test_a_field_that_there_is_not_is_named() -> None:
    with pytest.raises(ValueError, match=r"listentry\.InstanceMsg has no field colour"):
        fill(templates.built_in("listentry").request().instance, {"colour": "red"}, {})


def test_names_in_both_cases_are_the_same() -> None:
    target = templates.built_in("tracespan").request().instances.add()
    fill(target, {"traceId": "t", "http_status_code": 200, "client_span": True, "source_ip": ip_address("1.2.3.4")}, {})
    assert (target.trace_id, target.httpStatusCode, target.client_span) == ("t", 200, True)
    assert target.source_ip.value == bytes((1, 2, 3, 4))


@pytest.mark.parametrize(
    ("name", "types", "expected"),
    [
        ("quota", {("dimensions", "a"): ValueType.STRING}, b"\x0a\x05\x0a\x01a\x10\x01"),
        ("metric", {("value",): ValueType.INT64}, b"\x08\x02"),
        ("listentry", {("value",): ValueType.STRING}, b""),
        ("logentry", {("timestamp",): ValueType.TIMESTAMP}, b""),
        (
            "authorization",
            {("subject", "properties", "a"): ValueType.BOOL, ("action", "path"): ValueType.STRING},
            b"\x0a\x07\x1a\x05\x0a\x01a\x10\x04",
        ),
    ],
)
def test_types_are_told_where_a_template_leaves_them_open(name: str, types: Any, expected: bytes) -> None:
    assert inferred(templates.built_in(name).instance, types) == expected


def test_a_template_that_an_object_describes() -> None:
    described = next(each for each in doormen.documents() if each["kind"] == "template")
    template = templates.described("visit", described["spec"]["descriptor"])
    assert (template.path, template.is_batched) == ("/visit.HandleVisitService/HandleVisit", False)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("%%%", "no service Handle"),
        (base64.b64encode(b"nonsense").decode(), "cannot be read"),
        (base64.b64encode(descriptor_pb2.FileDescriptorSet().SerializeToString()).decode(), "no service Handle"),
    ],
)
def test_what_describes_nothing_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ConfigRejected, match=fault):
        templates.described("visit", text)


def test_settings_without_a_description_are_sent_empty() -> None:
    assert templates.adapter_config("door", "", {}) == ("", b"")
    with pytest.raises(ConfigRejected, match="has no config that describes them"):
        templates.adapter_config("door", "", {"banned": ["jason"]})
