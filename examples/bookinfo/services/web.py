"""What a request, an answer and a route are, for the example services."""

import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from email.message import Message
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

FORWARDED_HEADERS = (
    "x-request-id",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "b3",
    "traceparent",
    "tracestate",
    "x-ot-span-context",
    "x-cloud-trace-context",
    "grpc-trace-bin",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "sw8",
    "end-user",
    "user-agent",
    "cookie",
    "authorization",
)
"""What a service passes on from the request it serves to the requests it makes: the trace, and who asks."""


class Refused(Exception):
    """The request cannot be served as it stands; the caller sees the status and the message."""

    def __init__(self, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Request:
    """One request, read whole. `parameters` are the named groups of the route's pattern."""

    method: str
    target: str
    path: str
    query: Mapping[str, list[str]]
    headers: Message
    body: bytes
    peer: str
    parameters: Mapping[str, str]

    def integer(self, parameter: str) -> int:
        """The path parameter as a number that is not negative."""
        text = self.parameters[parameter]
        if not (text.isascii() and text.isdigit()):
            raise Refused(f"{parameter} {text!r} is not a whole number")
        return int(text)

    def cookies(self) -> dict[str, str]:
        """The cookies by name; a header that does not parse counts as none."""
        try:
            jar = SimpleCookie(self.headers.get("cookie", ""))
        except CookieError:
            return {}
        return {name: morsel.value for name, morsel in jar.items()}

    def form(self) -> dict[str, list[str]]:
        """The fields of a urlencoded form; empty when the body is of another type."""
        if self.headers.get_content_type() != "application/x-www-form-urlencoded":
            return {}
        return parse_qs(self.body.decode("utf-8", "replace"), keep_blank_values=True)

    def forwarded_headers(self) -> dict[str, str]:
        """The headers of this request that belong on every request made because of it."""
        present = ((name, self.headers.get(name)) for name in FORWARDED_HEADERS)
        return {name: value for name, value in present if value is not None}


@dataclass(frozen=True)
class Response:
    """One answer. A body that is not bytes is sent piece by piece, as it comes."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: tuple[tuple[str, str], ...] = ()

    def with_headers(self, *headers: tuple[str, str]) -> "Response":
        """The same answer with more headers."""
        return replace(self, headers=(*self.headers, *headers))


@dataclass(frozen=True)
class Route:
    """Says who answers a path. The pattern is a regular expression for the whole path."""

    methods: tuple[str, ...]
    pattern: str
    answer: Callable[[Request], Response]


def get(pattern: str, answer: Callable[[Request], Response]) -> Route:
    """A route for GET, and so for HEAD."""
    return Route(("GET",), pattern, answer)


def json_response(value: Any, status: int = 200) -> Response:
    """The value as a JSON document."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(status, body, (("content-type", "application/json"),))


def redirect(location: str, status: int = HTTPStatus.FOUND) -> Response:
    """Sends the client elsewhere."""
    return Response(status, b"", (("location", location),))


def log(line: str) -> None:
    """Writes one line to the log; that nobody takes it does not harm the service."""
    with contextlib.suppress(OSError):
        print(line, flush=True)


def pod_name() -> str:
    """The name of the pod this runs in: HOSTNAME, as Kubernetes sets it."""
    return os.environ.get("HOSTNAME") or socket.gethostname()


def service_version() -> str:
    """The version this process plays: SERVICE_VERSION, the value of its pod's `version` label."""
    return os.environ.get("SERVICE_VERSION", "v1")


def healthy(service: str) -> Route:
    """The route that the probes ask."""
    return get("/health", lambda _: json_response({"status": f"{service} is healthy"}))
