"""The example adapter as a server inside a test, and the objects that say what it is."""

import importlib.util
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import grpc.aio
import yaml

ROOT = Path(__file__).parents[2] / "examples" / "adapters" / "doorman"


def load() -> ModuleType:
    """The module of the example."""
    spec = importlib.util.spec_from_file_location("doorman_example", ROOT / "doorman.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules.get("doorman_example")
    if module is None:
        module = sys.modules["doorman_example"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def documents() -> list[dict[str, Any]]:
    """The objects of the example."""
    return list(yaml.safe_load_all((ROOT / "doorman.yaml").read_text()))


@dataclass
class Duty:
    """A doorman on duty, and what he was asked: methods with their requests. `answers` stand in for his own."""

    doorman: Any
    address: str
    calls: list[tuple[str, Any]]
    metadata: list[dict[str, str]]
    server: grpc.aio.Server
    answers: dict[str, Callable[[Any], Any]] = field(default_factory=dict)


@asynccontextmanager
async def on_duty(
    book: Path | None = None, port: int = 0, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[Duty]:
    """A doorman who listens until the block ends."""
    module = load()
    server = grpc.aio.server()
    duty = Duty(module.Doorman(book), "", [], [], server)
    for name, methods in module.services(duty.doorman).items():
        handlers = {method: _handler(duty, method, *parts) for method, parts in methods.items()}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    place = f"127.0.0.1:{port}"
    port = server.add_secure_port(place, credentials) if credentials else server.add_insecure_port(place)
    duty.address = f"127.0.0.1:{port}"
    await server.start()
    try:
        yield duty
    finally:
        await server.stop(0)


def _handler(duty: Duty, name: str, method: Any, message: Any) -> Any:
    async def answer(request: Any, context: Any) -> Any:
        duty.calls.append((name, request))
        duty.metadata.append({key: str(value) for key, value in context.invocation_metadata()})
        if name in duty.answers:
            return duty.answers[name](request)
        return await method(request, context)

    return grpc.unary_unary_rpc_method_handler(
        answer, request_deserializer=message.FromString, response_serializer=lambda made: made.SerializeToString()
    )
