"""A template that answers with a value, as Istio's example adapter keyval had one, and a server for it."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, duration_pb2, message_factory
from google.rpc import status_pb2

MODEL = "istio.mixer.adapter.model.v1beta1"
TEXT, WHOLE, MESSAGE = 9, 5, 11
_KNOWN = (any_pb2, duration_pb2, status_pb2)
_MESSAGES = {
    "HandleKeyvalRequest": [
        ("instance", 1, ".keyval.InstanceMsg"),
        ("adapter_config", 2, ".google.protobuf.Any"),
        ("dedup_id", 3, TEXT),
    ],
    "HandleKeyvalResponse": [("result", 1, f".{MODEL}.CheckResult"), ("output", 2, ".keyval.OutputMsg")],
    "OutputMsg": [("value", 2, TEXT)],
    "InstanceMsg": [("name", 72295727, TEXT), ("key", 1, TEXT)],
}
_RESULT = {
    "CheckResult": [
        ("status", 1, ".google.rpc.Status"),
        ("valid_duration", 2, ".google.protobuf.Duration"),
        ("valid_use_count", 3, WHOLE),
    ]
}


def _file(name: str, package: str, messages: dict[str, Any], *others: str) -> Any:
    made = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3")
    made.dependency.extend((*(each.DESCRIPTOR.name for each in _KNOWN), *others))
    for title, fields in messages.items():
        message = made.message_type.add(name=title)
        for field, number, kind in fields:
            if isinstance(kind, str):
                message.field.add(name=field, number=number, type=MESSAGE, type_name=kind, label=1)
            else:
                message.field.add(name=field, number=number, type=kind, label=1)
    return made


def files() -> Any:
    """The descriptor of the template, as mixgen writes it: a set with everything that it imports."""
    template = _file("keyval.proto", "keyval", _MESSAGES, "check.proto")
    service = template.service.add(name="HandleKeyvalService")
    service.method.add(
        name="HandleKeyval", input_type=".keyval.HandleKeyvalRequest", output_type=".keyval.HandleKeyvalResponse"
    )
    # The option template_variety, with the number that means a check with an output.
    template.options.MergeFromString(bytes((0xF8, 0xD2, 0xE4, 0x93, 0x02, 0x04)))
    known = [descriptor_pb2.FileDescriptorProto.FromString(each.DESCRIPTOR.serialized_pb) for each in _KNOWN]
    return descriptor_pb2.FileDescriptorSet(file=[*known, _file("check.proto", MODEL, _RESULT), template])


def descriptor() -> str:
    """The same as objects hold it."""
    return base64.b64encode(files().SerializeToString()).decode()


@asynccontextmanager
async def serving(table: dict[str, str]) -> AsyncIterator[str]:
    """An adapter that looks keys up in a table; yields its address."""
    pool = descriptor_pool.DescriptorPool()
    for file in files().file:
        pool.Add(file)
    request, response = (
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"keyval.{name}"))
        for name in ("HandleKeyvalRequest", "HandleKeyvalResponse")
    )

    async def look_up(asked: Any, context: Any) -> Any:
        made = response()
        made.result.valid_use_count = 1
        if asked.instance.key in table:
            made.output.value = table[asked.instance.key]
        else:
            made.result.status.code = 5
        return made

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        look_up, request_deserializer=request.FromString, response_serializer=lambda made: made.SerializeToString()
    )
    services = grpc.method_handlers_generic_handler("keyval.HandleKeyvalService", {"HandleKeyval": handler})
    server.add_generic_rpc_handlers((services,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)
