"""The messages of Mixer's adapter protocol, and those of the built-in templates, declared field by field.

A template that an object describes has its own descriptors; these are for those that nobody has to describe.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, duration_pb2, message_factory, timestamp_pb2
from google.rpc import status_pb2

from lateen.adapters.remote import known_templates
from lateen.adapters.remote.known_templates import POLICY, TIME, Fields

MODEL: Final = "istio.mixer.adapter.model.v1beta1"
INSTANCE_NAME: Final = 72295727
"""The number of the field `name` of every instance."""

_ANY: Final = "google.protobuf.Any"
_STATUS: Final = "google.rpc.Status"
_DURATION: Final = "google.protobuf.Duration"
_SCALARS: Final = {"string": 9, "int64": 3, "int32": 5, "double": 1, "bool": 8, "bytes": 12}

_POLICY_MESSAGES: Final[Mapping[str, Fields]] = {
    "IPAddress": {"value": (1, "bytes")},
    "Duration": {"value": (1, _DURATION)},
    "TimeStamp": {"value": (1, "google.protobuf.Timestamp")},
    "DNSName": {"value": (1, "string")},
    "EmailAddress": {"value": (1, "string")},
    "Uri": {"value": (1, "string")},
    "StringMap": {"value": (1, "map string")},
    "Value": {
        "string_value": (1, "string"),
        "int64_value": (2, "int64"),
        "double_value": (3, "double"),
        "bool_value": (4, "bool"),
        "ip_address_value": (5, f"{POLICY}.IPAddress"),
        "timestamp_value": (6, TIME),
        "duration_value": (7, f"{POLICY}.Duration"),
        "email_address_value": (8, f"{POLICY}.EmailAddress"),
        "dns_name_value": (9, f"{POLICY}.DNSName"),
        "uri_value": (10, f"{POLICY}.Uri"),
        "string_map_value": (11, f"{POLICY}.StringMap"),
    },
    "DirectHttpResponse": {"code": (1, "int32"), "body": (2, "string"), "headers": (3, "map string")},
}
_MODEL_MESSAGES: Final[Mapping[str, Fields]] = {
    "CheckResult": {"status": (1, _STATUS), "valid_duration": (2, _DURATION), "valid_use_count": (3, "int32")},
    "ReportResult": {},
    "QuotaParams": {"amount": (1, "int64"), "best_effort": (2, "bool")},
    "QuotaRequest": {"quotas": (1, f"map {MODEL}.QuotaParams")},
    "Result": {"valid_duration": (2, _DURATION), "granted_amount": (3, "int64"), "status": (5, _STATUS)},
    "QuotaResult": {"quotas": (1, f"map {MODEL}.Result")},
    "ValidateRequest": {"adapter_config": (1, _ANY), "inferred_types": (2, f"map {_ANY}")},
    "ValidateResponse": {"status": (1, _STATUS)},
    "CreateSessionRequest": {"adapter_config": (1, _ANY), "inferred_types": (2, f"map {_ANY}")},
    "CreateSessionResponse": {"session_id": (1, "string"), "status": (2, _STATUS)},
    "CloseSessionRequest": {"session_id": (1, "string")},
    "CloseSessionResponse": {"status": (1, _STATUS)},
}


def message(name: str) -> Any:
    """Return the class of a message of the protocol, such as `CheckResult`."""
    return message_factory.GetMessageClass(_protocol().FindMessageTypeByName(f"{MODEL}.{name}"))


def direct_response() -> Any:
    """Return the class of what adapters put into the details of a status to answer clients themselves."""
    return message_factory.GetMessageClass(_protocol().FindMessageTypeByName(f"{POLICY}.DirectHttpResponse"))


def template_pool(template: str) -> Any:
    """Return the descriptors of a built-in template; None where there is none that adapters elsewhere can take."""
    return _template_pool(template) if template in known_templates.INSTANCES else None


@cache
def _template_pool(template: str) -> Any:
    stem, answer, instance = known_templates.INSTANCES[template]
    several = "repeated " if answer == "ReportResult" else ""
    request: dict[str, tuple[int, str]] = {
        f"instance{'s' if several else ''}": (1, f"{several}{template}.InstanceMsg"),
        "adapter_config": (2, _ANY),
        "dedup_id": (3, "string"),
    }
    if answer == "QuotaResult":
        request["quota_request"] = (4, f"{MODEL}.QuotaRequest")
    file = _file(
        template,
        {
            f"Handle{stem}Request": request,
            "InstanceMsg": {"name": (INSTANCE_NAME, "string"), **instance},
            **known_templates.PARTS.get(template, {}),
        },
        (f"{MODEL}.proto", f"{POLICY}.proto"),
    )
    service = file.service.add(name=f"Handle{stem}Service")
    service.method.add(
        name=f"Handle{stem}", input_type=f".{template}.Handle{stem}Request", output_type=f".{MODEL}.{answer}"
    )
    pool = _new_pool()
    pool.Add(file)
    return pool


@cache
def _protocol() -> Any:
    return _new_pool()


def _new_pool() -> Any:
    """Return a pool with the messages that the protocol and all templates share."""
    pool = descriptor_pool.DescriptorPool()
    for known in (any_pb2, duration_pb2, timestamp_pb2, status_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    pool.Add(_file(POLICY, _POLICY_MESSAGES, oneof="Value"))
    pool.Add(_file(MODEL, _MODEL_MESSAGES))
    return pool


def _file(package: str, messages: Mapping[str, Fields], others: tuple[str, ...] = (), oneof: str = "") -> Any:
    """Declare messages of a package; the fields of the message `oneof` exclude one another."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    known = (any_pb2, duration_pb2, timestamp_pb2, status_pb2)
    file.dependency.extend((*(each.DESCRIPTOR.name for each in known), *others))
    for name, declared in messages.items():
        made = file.message_type.add(name=name)
        if name == oneof:
            made.oneof_decl.add(name="value")
        for field, (number, kind) in declared.items():
            _declare(made, f"{package}.{name}", field, number, kind)
            if name == oneof:
                made.field[-1].oneof_index = 0
    return file


def _declare(owner: Any, path: str, name: str, number: int, kind: str) -> None:
    """Declare one field; a map is a repeated message of keys and values, as protobuf has it."""
    field = owner.field.add(name=name, number=number, label=1)
    if kind.startswith("map "):
        entry = f"{''.join(part.capitalize() for part in name.split('_'))}Entry"
        nested = owner.nested_type.add(name=entry)
        nested.options.map_entry = True
        _declare(nested, f"{path}.{entry}", "key", 1, "string")
        _declare(nested, f"{path}.{entry}", "value", 2, kind.removeprefix("map "))
        kind = f"repeated {path}.{entry}"
    if kind.startswith("repeated "):
        field.label, kind = 3, kind.removeprefix("repeated ")
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = 11, f".{kind}"
