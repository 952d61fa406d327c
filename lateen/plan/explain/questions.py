"""Who asks for what, as it is typed: `--from productpage --to http://reviews:9080/reviews/0`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from lateen.errors import ConfigRejected
from lateen.plan.explain.requests import USUAL_PORTS, Request

_SCHEMES: Final = ("http", "https", "grpc", "tcp", "tls", "ws")
_HTTP_PORTS: Final = {**USUAL_PORTS, "grpc": 80, "ws": 80}


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants to know: what becomes of a request of `caller` to `url`.

    The caller is a workload, `outside`, a service account as `namespace/name`, or `namespace/NAME` for any workload of
    a namespace. The scheme tcp is a connection that is not HTTP, tls one that speaks TLS of its own.
    """

    caller: str
    url: str
    namespace: str = "default"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
    server_name: str = ""
    address: str = ""
    source_ip: str = ""
    claims: Mapping[str, Any] | None = None


def request_of(question: Question, namespace: str) -> Request:
    """Read the request that is asked about, sent from a namespace. Raises `ConfigRejected`."""
    url = _url(question.url)
    port = _port(url, question.url)
    headers = {name.lower(): value for name, value in question.headers.items()}
    if url.scheme == "grpc":
        headers.setdefault("content-type", "application/grpc")
    return Request(
        host=url.hostname or "",
        port=port,
        path=(url.path or "/") + (f"?{url.query}" if url.query else ""),
        method="POST" if url.scheme == "grpc" and question.method == "GET" else question.method,
        headers=headers,
        authority=question.host or headers.pop("host", ""),
        address=question.address,
        scheme="https" if url.scheme in ("https", "tls") else "http",
        is_http=url.scheme not in ("tcp", "tls"),
        server_name=question.server_name,
        claims=question.claims or {},
        namespace=namespace,
    )


def _url(text: str) -> SplitResult:
    try:
        url = urlsplit(text if "://" in text else f"http://{text}")
    except ValueError:
        url = SplitResult("", "", "", "", "")
    if url.scheme not in _SCHEMES or not url.hostname:
        raise ConfigRejected(f"'{text}' is no URL: write http://reviews:9080/path, or tcp://host:port")
    return url


def _port(url: SplitResult, text: str) -> int:
    try:
        written = url.port
    except ValueError:
        raise ConfigRejected(f"'{text}' has no good port: it must be a number from 1 to 65535") from None
    port = written or _HTTP_PORTS.get(url.scheme)
    if not port:
        raise ConfigRejected(f"'{text}' must name a port: {url.scheme} has no usual one")
    return port
