#!/usr/bin/env python3
"""A doorman: an adapter of Mixer in a process of its own.

    python3 doorman.py [--address HOST:PORT] [--book FILE]

He turns away whom the settings ban (template visit, our own), lets everybody else visit so often and no more (quota),
and writes into his book what he is told of visits that took place (logentry). He keeps settings in sessions for whoever
wants that, and else takes them with each call.
"""

import argparse
import asyncio
import json
import secrets
import signal
import sys
from collections import Counter
from pathlib import Path

import grpc
import grpc.aio

sys.path.insert(0, str(Path(__file__).parent / "generated"))
import doorman_pb2
import logentry_pb2
import model_pb2
import quota_pb2
import values_pb2
import visit_pb2

MODEL = "istio.mixer.adapter.model.v1beta1"
PERMISSION_DENIED = 7
INVALID_ARGUMENT = 3


class Doorman:
    """Knows the sessions, how often everybody was here, and where the book is."""

    def __init__(self, book: Path | None) -> None:
        self.sessions: dict[str, doorman_pb2.Params] = {}
        self.visits: Counter[str] = Counter()
        self.book = book

    async def visit(self, request, context):
        """Say whether a visitor may come in; the answer holds for a second and ten visits."""
        settings = self.settings(request.adapter_config)
        visitor = request.instance.visitor
        result = model_pb2.CheckResult(valid_use_count=10)
        result.valid_duration.FromSeconds(1)
        if visitor in settings.banned:
            result.status.code = PERMISSION_DENIED
            result.status.message = f"{visitor} is not welcome at {request.instance.place}"
            if settings.pretence:
                answer = values_pb2.DirectHttpResponse(code=404, body=settings.pretence)
                result.status.details.add().Pack(answer)
        return result

    async def quota(self, request, context):
        """Grant visits until a visitor has had enough."""
        most = self.settings(request.adapter_config).most_visits
        dimensions = request.instance.dimensions
        visitor = ",".join(f"{name}={dimensions[name].string_value}" for name in sorted(dimensions))
        result = model_pb2.QuotaResult()
        for name, wanted in request.quota_request.quotas.items():
            left = most - self.visits[visitor] if most else wanted.amount
            granted = wanted.amount if wanted.amount <= left else 0
            self.visits[visitor] += granted
            result.quotas[name].granted_amount = granted
        return result

    async def log_entries(self, request, context):
        """Write visits into the book, one line of JSON each."""
        lines = []
        for instance in request.instances:
            variables = {name: plain(value) for name, value in instance.variables.items()}
            lines.append(json.dumps({"entry": instance.name, "severity": instance.severity, **variables}) + "\n")
        if self.book is not None:
            with self.book.open("a") as file:
                file.writelines(lines)
        else:
            print("".join(lines), end="", flush=True)
        return model_pb2.ReportResult()

    async def validate(self, request, context):
        """Refuse settings that cannot be meant."""
        response = model_pb2.ValidateResponse()
        if self.settings(request.adapter_config).most_visits < 0:
            response.status.code = INVALID_ARGUMENT
            response.status.message = "most_visits must not be less than 0"
        return response

    async def create_session(self, request, context):
        """Keep settings, and give out by which name they are known from now on."""
        session = secrets.token_hex(8)
        self.sessions[session] = self.settings(request.adapter_config)
        return model_pb2.CreateSessionResponse(session_id=session)

    async def close_session(self, request, context):
        """Forget settings."""
        self.sessions.pop(request.session_id, None)
        return model_pb2.CloseSessionResponse()

    def settings(self, config):
        """Return the settings of a call: they come with it, or a session has them."""
        if config.type_url.endswith("/doorman.Params"):
            return doorman_pb2.Params.FromString(config.value)
        return self.sessions.get(config.value.decode(), doorman_pb2.Params())


def plain(value):
    """Return a value of any type as JSON knows it."""
    kind = value.WhichOneof("value")
    if kind == "ip_address_value":
        return ".".join(map(str, value.ip_address_value.value))
    if kind == "timestamp_value":
        return value.timestamp_value.value.ToJsonString()
    if kind == "duration_value":
        return value.duration_value.value.ToJsonString()
    return getattr(value, kind) if kind else None


def services(doorman):
    """List the services by their names: method → what answers it, and the message that it takes."""
    return {
        "visit.HandleVisitService": {"HandleVisit": (doorman.visit, visit_pb2.HandleVisitRequest)},
        "quota.HandleQuotaService": {"HandleQuota": (doorman.quota, quota_pb2.HandleQuotaRequest)},
        "logentry.HandleLogEntryService": {"HandleLogEntry": (doorman.log_entries, logentry_pb2.HandleLogEntryRequest)},
        f"{MODEL}.InfrastructureBackend": {
            "Validate": (doorman.validate, model_pb2.ValidateRequest),
            "CreateSession": (doorman.create_session, model_pb2.CreateSessionRequest),
            "CloseSession": (doorman.close_session, model_pb2.CloseSessionRequest),
        },
    }


async def serve(address, book):
    """Answer until a signal comes; says on which port when it listens."""
    server = grpc.aio.server()
    for name, methods in services(Doorman(book)).items():
        handlers = {
            method: grpc.unary_unary_rpc_method_handler(
                answer,
                request_deserializer=message.FromString,
                response_serializer=lambda answered: answered.SerializeToString(),
            )
            for method, (answer, message) in methods.items()
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    port = server.add_insecure_port(address)
    await server.start()
    print(f"the doorman listens on port {port}", flush=True)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    await server.stop(1)


def main():
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="An adapter of Mixer that looks after a door.")
    parser.add_argument("--address", default="127.0.0.1:9070")
    parser.add_argument("--book", type=Path, help="where visits are written; else to the standard output")
    given = parser.parse_args()
    asyncio.run(serve(given.address, given.book))


if __name__ == "__main__":
    main()
