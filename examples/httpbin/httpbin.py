"""A service that tells what it was asked and answers as it is told, to try out routes, retries and timeouts.

Its serving is that of the Bookinfo services: run it with `PYTHONPATH=../bookinfo/services`.
"""

import json
import os
import random
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import serving
import web

PORT = 8080
EVERY_METHOD = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
MOST_LINES = 100
LONGEST_DELAY_SECONDS = 60.0


def echo(request: web.Request) -> dict[str, Any]:
    """What a request without a body is told about itself."""
    scheme, host = request.headers.get("x-forwarded-proto", "http"), request.headers.get("host", "")
    return {
        "args": flat(request.query),
        "headers": headers_of(request),
        "origin": origin(request),
        "url": f"{scheme}://{host}{request.target}",
    }


def echo_body(request: web.Request) -> dict[str, Any]:
    """What a request with a body is told about itself."""
    text = request.body.decode("utf-8", "replace")
    form = flat(request.form())
    return {**echo(request), "data": "" if form else text, "form": form, "json": parsed(text), "files": {}}


def anything(request: web.Request) -> web.Response:
    """Everything about a request, and who answered it."""
    answered_by = {"version": web.service_version(), "podname": web.pod_name()}
    return web.json_response({"method": request.method, **echo_body(request), **answered_by})


def headers_of(request: web.Request) -> dict[str, str]:
    """The headers in the case they came in; repeated ones joined by a comma."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def origin(request: web.Request) -> str:
    """The address of the client, as the proxies on the way tell it."""
    return str(request.headers.get("x-forwarded-for") or request.peer)


def user_agent(request: web.Request) -> web.Response:
    """The program that the client says it is."""
    return web.json_response({"user-agent": request.headers.get("user-agent")})


def flat(fields: Mapping[str, list[str]]) -> dict[str, Any]:
    """A field given once as its value, a repeated one as a list."""
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}


def parsed(text: str) -> Any:
    """The text as JSON; None when it is not."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def status(request: web.Request) -> web.Response:
    """A status of the list, with the odds that it gives: `503`, `200,503` or `200:0.9,500:0.1`."""
    odds = [choice.partition(":") for choice in request.parameters["codes"].split(",")]
    try:
        codes = [int(code) for code, _, _ in odds]
        weights = [float(weight or 1) for _, _, weight in odds]
    except ValueError:
        raise web.Refused("a status is a number, or a list such as 200:0.9,500:0.1") from None
    if not all(200 <= code <= 599 for code in codes) or min(weights) < 0 or not sum(weights) > 0:
        raise web.Refused("a status is from 200 to 599, and its weight is positive")
    return web.Response(random.choices(codes, weights)[0])


def delay(request: web.Request) -> web.Response:
    """The echo, late by that many seconds, at most a minute."""
    try:
        seconds = float(request.parameters["seconds"])
    except ValueError:
        raise web.Refused("a delay is a number of seconds") from None
    if not seconds >= 0:
        raise web.Refused("a delay is not negative")
    time.sleep(min(seconds, LONGEST_DELAY_SECONDS))
    return web.json_response(echo_body(request))


def stream(request: web.Request) -> web.Response:
    """That many lines of JSON, each sent by itself, at most a hundred."""
    count = min(request.integer("count"), MOST_LINES)
    return web.Response(body=lines(echo(request), count), headers=(("content-type", "application/json"),))


def lines(value: dict[str, Any], count: int) -> Iterator[bytes]:
    """The value as numbered lines of JSON."""
    for number in range(count):
        yield json.dumps({**value, "id": number}).encode() + b"\n"


def random_bytes(request: web.Request) -> web.Response:
    """That many bytes without meaning."""
    count = min(request.integer("count"), serving.MAX_BODY_BYTES)
    return web.Response(body=os.urandom(count), headers=(("content-type", "application/octet-stream"),))


def response_headers(request: web.Request) -> web.Response:
    """Sends the arguments as headers of the answer, and as its body."""
    pairs = ((name, value) for name, values in request.query.items() for value in values)
    headers = tuple((header_name(name), one_line(value)) for name, value in pairs)
    return web.json_response(flat(request.query)).with_headers(*headers)


def redirect_to(request: web.Request) -> web.Response:
    """Sends the client to the `url`, with the `status_code`, else 302."""
    url, code = request.query.get("url", [""])[0], request.query.get("status_code", ["302"])[0]
    if not url or not code.isdigit() or not 300 <= int(code) <= 399:
        raise web.Refused("redirect-to needs a url, and a status_code from 300 to 399")
    return web.redirect(one_line(url), int(code))


def set_cookies(request: web.Request) -> web.Response:
    """Sets the arguments as cookies, and sends the client to see them."""
    pairs = ((name, one_line(values[0])) for name, values in request.query.items())
    cookies = tuple(("set-cookie", f"{urlencode({name: value})}; Path=/") for name, value in pairs)
    return web.redirect("/cookies").with_headers(*cookies)


def header_name(name: str) -> str:
    """The name, if a header may have it, and it does not say where the body ends."""
    if not HEADER_NAME.fullmatch(name) or name.lower() in ("content-length", "transfer-encoding"):
        raise web.Refused(f"{name!r} is not a header that can be set")
    return name


def one_line(value: str) -> str:
    """The value, if it fits in a header."""
    if not value.isprintable() or not value.isascii():
        raise web.Refused("a header has printable ASCII characters only")
    return value


def echoed_for(method: str) -> web.Route:
    """`/post` for POST, and so on."""
    return web.Route((method,), f"/{method.lower()}", lambda request: web.json_response(echo_body(request)))


ROUTES = (
    web.healthy("httpbin"),
    web.get("/get", lambda request: web.json_response(echo(request))),
    *(echoed_for(method) for method in ("POST", "PUT", "PATCH", "DELETE")),
    web.get("/headers", lambda request: web.json_response({"headers": headers_of(request)})),
    web.get("/ip", lambda request: web.json_response({"origin": origin(request)})),
    web.get("/user-agent", user_agent),
    web.Route(EVERY_METHOD, "/anything(/.*)?", anything),
    web.Route(EVERY_METHOD, "/status/(?P<codes>[^/]+)", status),
    web.Route(EVERY_METHOD, "/delay/(?P<seconds>[^/]+)", delay),
    web.get("/stream/(?P<count>[^/]+)", stream),
    web.get("/bytes/(?P<count>[^/]+)", random_bytes),
    web.Route(("GET", "POST"), "/response-headers", response_headers),
    web.Route(EVERY_METHOD, "/redirect-to", redirect_to),
    web.get("/cookies", lambda request: web.json_response({"cookies": request.cookies()})),
    web.get("/cookies/set", set_cookies),
)

if __name__ == "__main__":
    serving.serve("httpbin", ROUTES, PORT)
