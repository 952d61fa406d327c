"""Envoy's questions about calls, read as attributes: each is looked up when somebody asks for it.

Who calls is said by the certificate that Envoy has verified, and what that does not say is known of the workload that
it names. Nothing is taken from an address or a header.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final
from urllib.parse import parse_qsl

from lateen.mixer.directory import NOTHING_KNOWN, Directory, Facts
from lateen.mixer.values import ABSENT, Absent, Value, entry_of
from lateen.names import parse_identity
from lateen.serving import attested_peers
from lateen.serving.attested_peers import Said

_SPIFFE: Final = "spiffe://"
_TOKENS: Final = "envoy.filters.http.jwt_authn"
_PAYLOAD: Final = "payload"
_API_KEYS: Final = ("key", "api_key")
_API_KEY_HEADER: Final = "x-api-key"
_REMEMBERED: Final = 4096


class CheckBag:
    """The attributes of one call as the proxy of the callee tells it (`envoy.service.auth.v3.AttributeContext`)."""

    __slots__ = ("_context", "_directory", "_http", "_source", "is_http")

    def __init__(self, context: Any, directory: Directory) -> None:
        self._context = context
        self._directory = directory
        self._http = context.request.http
        self.is_http = bool(self._http.method)
        self._source: Facts | None = None

    def get(self, name: str) -> Value | Absent:
        """Return the value of an attribute."""
        read = _READERS.get(name) or (_HTTP_READERS.get(name) if self.is_http else None)
        if read is not None:
            return read(self)
        side, _, fact = name.partition(".")
        if side == "source":
            return self._caller().get(fact, ABSENT)
        if name.startswith("destination.service."):
            return self._service().get(name.removeprefix("destination.service."), ABSENT)
        if side == "destination":
            return self._own().get(fact, ABSENT)
        return ABSENT

    def entry(self, name: str, key: str) -> str | Absent:
        """Return one entry of an attribute that is a map."""
        if name == "request.headers":
            found: str | Absent = self._http.headers.get(key, ABSENT)
            return found
        return entry_of(self.get(name), key)

    def header(self, name: str) -> str | Absent:
        """Return a header of the request."""
        found: str | Absent = self._http.headers.get(name, ABSENT)
        return found

    def _caller(self) -> Facts:
        if self._source is None:
            peer = self._context.source
            # where the proxy itself shows no certificate of the mesh, callers' are not of the mesh either
            is_mesh = self._context.destination.principal.startswith(_SPIFFE)
            self._source = caller_facts(peer.certificate, peer.principal, self._directory) if is_mesh else NOTHING_KNOWN
        return self._source

    def _own(self) -> Facts:
        return self._directory.by_address(self._context.destination.address.socket_address.address)

    def _service(self) -> Facts:
        place = self._context.destination.address.socket_address
        return self._directory.reached(self._directory.at(place.address), place.port_value)

    def source_ip(self) -> Value | Absent:
        """Return the address of the other end of the connection."""
        return _address(self._context.source.address.socket_address.address)

    def origin_ip(self) -> Value | Absent:
        """Return the address of the first client as far as it is to be trusted: what the proxy has added last."""
        forwarded = self._http.headers.get("x-forwarded-for", "") if self.is_http else ""
        found = _address(forwarded.rpartition(",")[2].strip()) if forwarded else ABSENT
        return self.source_ip() if found is ABSENT else found

    def own_ip(self) -> Value | Absent:
        """Return the address that was called."""
        return _address(self._context.destination.address.socket_address.address)

    def own_port(self) -> Value | Absent:
        """Return the port that was called."""
        return int(self._context.destination.address.socket_address.port_value)

    def own_principal(self) -> Value | Absent:
        """Return the identity that the callee's certificate proves."""
        return str(self._context.destination.principal).removeprefix(_SPIFFE) or self._own().get("principal", ABSENT)

    def is_mutual(self) -> Value | Absent:
        """Tell whether the caller has shown a certificate."""
        return bool(self._context.source.principal or self._context.source.certificate)

    def server_name(self) -> Value | Absent:
        """Return the server name that the caller asked for."""
        return str(self._context.tls_session.sni) or ABSENT

    def protocol(self) -> Value | Absent:
        """Return what is spoken."""
        if not self.is_http:
            return "tcp"
        return "grpc" if self._http.headers.get("content-type", "").startswith("application/grpc") else "http"

    def time(self) -> Value | Absent:
        """Return when the call came in."""
        found: datetime = self._context.request.time.ToDatetime(tzinfo=UTC)
        return found

    def headers(self) -> Value | Absent:
        """Return all headers."""
        return dict(self._http.headers)

    def path(self) -> Value | Absent:
        """Return the path with its query."""
        return str(self._http.path)

    def url_path(self) -> Value | Absent:
        """Return the path without its query."""
        return str(self._http.path).partition("?")[0]

    def query(self) -> Value | Absent:
        """Return the parameters of the query; of one that comes twice the first."""
        text = str(self._http.path).partition("#")[0].partition("?")[2]
        return dict(reversed(parse_qsl(text, keep_blank_values=True, max_num_fields=1000))) if text else {}

    def host(self) -> Value | Absent:
        """Return the host that is called."""
        return str(self._http.host)

    def method(self) -> Value | Absent:
        """Return the method."""
        return str(self._http.method)

    def scheme(self) -> Value | Absent:
        """Return the scheme."""
        return str(self._http.scheme) or ABSENT

    def size(self) -> Value | Absent:
        """Return the length of the body that the client has announced."""
        announced = self._http.headers.get("content-length", "")
        return int(announced) if announced.isascii() and announced.isdigit() else 0

    def api_key(self) -> Value | Absent:
        """Return the API key where Mixer looks for it unless told otherwise."""
        query = self.query()
        for name in _API_KEYS:
            if (found := entry_of(query, name)) is not ABSENT:
                return found
        return self.header(_API_KEY_HEADER)

    def claims(self) -> Mapping[str, Any]:
        """Return what the verified token of the request says."""
        return token_claims(self._context.metadata_context.filter_metadata)

    def claim(self, name: str) -> str | Absent:
        """Return a claim that is a text, or texts joined by commas."""
        return claim_text(self.claims().get(name))

    def text_claims(self) -> Value | Absent:
        """Return all claims that are texts."""
        found = {
            name: str(value.string_value) for name, value in self.claims().items() if value.HasField("string_value")
        }
        return found or ABSENT

    def token_principal(self) -> Value | Absent:
        """Return who the token is about, `ISSUER/SUBJECT`."""
        issuer, subject = self.claim("iss"), self.claim("sub")
        return ABSENT if issuer is ABSENT or subject is ABSENT else f"{issuer}/{subject}"


def _of_header(name: str) -> Callable[[CheckBag], Value | Absent]:
    return lambda bag: bag.header(name)


def _of_claim(name: str) -> Callable[[CheckBag], Value | Absent]:
    return lambda bag: bag.claim(name)


_READERS: Final[Mapping[str, Callable[[CheckBag], Value | Absent]]] = {
    "source.ip": CheckBag.source_ip,
    "origin.ip": CheckBag.origin_ip,
    "destination.ip": CheckBag.own_ip,
    "destination.port": CheckBag.own_port,
    "destination.principal": CheckBag.own_principal,
    "connection.mtls": CheckBag.is_mutual,
    "connection.requested_server_name": CheckBag.server_name,
    "context.protocol": CheckBag.protocol,
    "context.reporter.kind": lambda _: "inbound",
    "context.reporter.uid": lambda bag: bag.get("destination.uid"),
    "context.time": CheckBag.time,
}

_HTTP_READERS: Final[Mapping[str, Callable[[CheckBag], Value | Absent]]] = {
    "request.headers": CheckBag.headers,
    "request.id": _of_header("x-request-id"),
    "request.path": CheckBag.path,
    "request.url_path": CheckBag.url_path,
    "request.query_params": CheckBag.query,
    "request.host": CheckBag.host,
    "request.method": CheckBag.method,
    "request.scheme": CheckBag.scheme,
    "request.referer": _of_header("referer"),
    "request.useragent": _of_header("user-agent"),
    "request.size": CheckBag.size,
    "request.time": CheckBag.time,
    "request.api_key": CheckBag.api_key,
    "request.auth.principal": CheckBag.token_principal,
    "request.auth.audiences": _of_claim("aud"),
    "request.auth.presenter": _of_claim("azp"),
    "request.auth.claims": CheckBag.text_claims,
}


def token_claims(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the verified token of a request says, out of a proxy's metadata."""
    if _TOKENS not in metadata:
        return {}
    fields = metadata[_TOKENS].fields
    found: Mapping[str, Any] = fields[_PAYLOAD].struct_value.fields if _PAYLOAD in fields else {}
    return found


def claim_text(found: Any) -> str | Absent:
    """Return a claim that is a text, or texts joined by commas."""
    if found is None:
        return ABSENT
    if found.WhichOneof("kind") == "list_value":
        return ",".join(each.string_value for each in found.list_value.values if each.HasField("string_value"))
    return str(found.string_value) if found.HasField("string_value") else ABSENT


def caller_facts(certificate: str, principal: str, directory: Directory) -> Facts:
    """Return what is known of a caller by its verified certificate, or by its principal alone."""
    said = attested_peers.said_by_certificate(certificate) if certificate else Said(parse_identity(principal))
    return attested_peers.facts(said, directory)


@lru_cache(maxsize=_REMEMBERED)
def _address(text: str) -> IPv4Address | IPv6Address | Absent:
    try:
        return ip_address(text)
    except ValueError:
        return ABSENT
