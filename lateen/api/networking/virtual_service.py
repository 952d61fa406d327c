"""VirtualService: which requests to a host go where, and what happens to them on the way."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

from lateen.api.fields import (
    EMPTY_MAP,
    FROZEN,
    Bool,
    Cidr,
    Count,
    Duration,
    ExportScope,
    HeaderName,
    Labels,
    NonEmpty,
    Percentage,
    Port,
    PositiveDuration,
    Regex,
    WildcardHost,
    check_host,
    check_wildcard_host,
)
from lateen.api.networking.selectors import PortSelector
from lateen.api.structs import Checked, Problem, Struct, at_most_one, exactly_one

Status = Annotated[int, Field(strict=True, ge=200, le=599)]
RedirectCode = Annotated[int, Field(strict=True, ge=300, le=399)]
HeaderValues = Annotated[Mapping[HeaderName, str], FROZEN]

MESH_GATEWAY: Final = "mesh"
"""The gateway name that stands for every sidecar of the mesh."""

CLAIM_PREFIX: Final = "@request.auth.claims"
"""Header names that begin so match a claim of the request's verified token instead of a header."""

_METHOD_OR_STATUS: Final = re.compile(r"[0-9]{3}|[a-z0-9]+(-[a-z0-9]+)*")


class StringMatch(Checked):
    """Matches a text exactly, by prefix or as a whole by an RE2 expression; without any of them, every text that is
    there.
    """

    exact: str | None = None
    prefix: str | None = None
    regex: Regex | None = None

    @property
    def any_value(self) -> bool:
        """Tell whether presence alone is asked for."""
        return self.exact is None and self.prefix is None and self.regex is None

    def problems(self) -> Iterator[Problem]:
        chosen = [name for name in ("exact", "prefix", "regex") if getattr(self, name) is not None]
        if len(chosen) > 1:
            yield Problem(f"must have only one of exact, prefix and regex, not {' and '.join(chosen)} together")
        if self.prefix == "" or self.regex == "":
            yield Problem("must not be empty: leave the condition out to match everything", chosen[0])


def _presence(written: object) -> object:
    """Read the regex `*`, which is no expression, as Istio does: any value will do."""
    return {} if written == {"regex": "*"} else written


StringMatches = Annotated[Mapping[str, Annotated[StringMatch, BeforeValidator(_presence)]], FROZEN]


def _check_destination(host: str) -> str:
    return check_wildcard_host(host) if host.startswith("*.") else check_host(host)


DestinationHost = Annotated[str, AfterValidator(_check_destination)]


class Destination(Struct):
    """A service, optionally one of its subsets and one of its ports; the port may be left out when the service has
    only one. A host like `*.example.com` is a ServiceEntry of many hosts: each request goes to its own.
    """

    host: DestinationHost
    subset: str = ""
    port: PortSelector | None = None


class HeaderOperations(Checked):
    """Changes to the headers of a message: replaced, appended, removed."""

    set: HeaderValues = EMPTY_MAP
    add: HeaderValues = EMPTY_MAP
    remove: tuple[HeaderName, ...] = ()

    def problems(self) -> Iterator[Problem]:
        for name in self.set:
            if name.startswith(":") and name != ":authority":
                yield Problem("must not be a pseudo-header other than :authority: use rewrite instead", f"set.{name}")
        for name in self.add:
            if name.startswith(":"):
                yield Problem("must not be a pseudo-header: only set can change :authority", f"add.{name}")
        for position, name in enumerate(self.remove):
            if name.startswith(":") or name.lower() == "host":
                yield Problem("must not be host or a pseudo-header: a request needs them", f"remove[{position}]")


class Headers(Struct):
    """Header operations on the request, before it is sent, and on the response, before it is returned."""

    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


class HttpRouteDestination(Struct):
    """One branch of a split, with its share relative to the other branches' weights."""

    destination: Destination
    weight: Count | None = None
    headers: Headers | None = None


class RouteDestination(Struct):
    """One branch of a split of TCP or TLS connections."""

    destination: Destination
    weight: Count | None = None


class HttpMatch(Checked):
    """Conditions on one request, all of which must hold."""

    name: str = ""
    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: StringMatches = EMPTY_MAP
    port: Port | None = None
    source_labels: Labels = EMPTY_MAP
    gateways: tuple[str, ...] = ()
    query_params: StringMatches = EMPTY_MAP
    ignore_uri_case: Bool = False
    without_headers: StringMatches = EMPTY_MAP
    source_namespace: str = ""
    stat_prefix: str = ""

    def problems(self) -> Iterator[Problem]:
        for field in ("uri", "scheme", "method", "authority"):
            condition: StringMatch | None = getattr(self, field)
            if condition is not None and condition.any_value:
                yield Problem("must have one of exact, prefix, regex", field)
        for name, condition in self.query_params.items():
            if condition.prefix is not None and not name:
                yield Problem("must name a query parameter", "queryParams")
        for field in ("headers", "without_headers"):
            for name in getattr(self, field):
                yield from _header_condition_problems(field, name)


class PortDerivation(StrEnum):
    """Where a redirect takes its port from when it names none."""

    FROM_PROTOCOL_DEFAULT = "FROM_PROTOCOL_DEFAULT"
    FROM_REQUEST_PORT = "FROM_REQUEST_PORT"


class HttpRedirect(Checked):
    """Answers with a redirect; what is not named stays as in the request."""

    uri: str = ""
    prefix_rewrite: str = ""
    authority: str = ""
    port: Port | None = None
    derive_port: PortDerivation | None = None
    scheme: str = ""
    redirect_code: RedirectCode = 301

    def problems(self) -> Iterator[Problem]:
        if not (self.uri or self.prefix_rewrite or self.authority or self.port or self.derive_port or self.scheme):
            yield Problem("must change something: give uri, authority, scheme or port")
        yield from at_most_one(self, "uri", "prefix_rewrite")
        yield from at_most_one(self, "port", "derive_port")
        if self.redirect_code not in (301, 302, 303, 307, 308):
            yield Problem(f"must be one of 301, 302, 303, 307, 308, not {self.redirect_code}", "redirectCode")
        if self.scheme not in ("", "http", "https"):
            yield Problem(f"must be http or https, not {self.scheme!r}", "scheme")


class DirectResponseBody(Checked):
    """The body of a direct response: text, or bytes written as base64."""

    string: str | None = None
    bytes: str | None = None

    def problems(self) -> Iterator[Problem]:
        chosen = [name for name in ("string", "bytes") if getattr(self, name) is not None]
        if len(chosen) != 1:
            yield Problem("must have exactly one of string and bytes")
        if self.bytes is not None and not re.fullmatch(
            r"(?:[A-Za-z0-9+/_-]{4})*(?:[A-Za-z0-9+/_-]{2,3}={0,2})?", self.bytes
        ):
            yield Problem("must be base64", "bytes")


class HttpDirectResponse(Struct):
    """Answers by the proxy itself, without any upstream."""

    status: Status
    body: DirectResponseBody | None = None


class Delegate(Struct):
    """Hands the requests that match over to another VirtualService, which has no hosts of its own."""

    name: NonEmpty
    namespace: str = ""


class RegexRewrite(Struct):
    """Replaces what an RE2 expression matches in the path; `\\1` stands for the first group."""

    match: Regex
    rewrite: str = ""


class HttpRewrite(Checked):
    """Changes path or authority before the request is forwarded; with a prefix match only the prefix is replaced."""

    uri: str = ""
    authority: str = ""
    uri_regex_rewrite: RegexRewrite | None = None

    def problems(self) -> Iterator[Problem]:
        if not (self.uri or self.authority or self.uri_regex_rewrite):
            yield Problem("must change something: give uri, uriRegexRewrite or authority")
        yield from at_most_one(self, "uri", "uri_regex_rewrite")


class HttpRetry(Checked):
    """How often and on what a request is tried again; `attempts: 0` switches the mesh's default retries off."""

    attempts: Count = 0
    per_try_timeout: PositiveDuration | None = None
    retry_on: str = ""
    retry_remote_localities: Bool | None = None
    retry_ignore_previous_hosts: Bool | None = None
    backoff: PositiveDuration | None = None

    def problems(self) -> Iterator[Problem]:
        if self.attempts == 0 and (self.retry_on or self.per_try_timeout):
            yield Problem("must be at least 1 when perTryTimeout or retryOn is set", "attempts")
        for condition in filter(None, self.retry_on.split(",")):
            if not _METHOD_OR_STATUS.fullmatch(condition.strip()):
                yield Problem(f"must be conditions joined by commas, like 5xx,reset, not {condition!r}", "retryOn")


class UnmatchedPreflights(StrEnum):
    """What becomes of a preflight request from an origin that is not allowed."""

    UNSPECIFIED = "UNSPECIFIED"
    FORWARD = "FORWARD"
    IGNORE = "IGNORE"


class CorsPolicy(Checked):
    """Which web pages of other origins may call this route."""

    allow_origin: tuple[str, ...] = ()
    allow_origins: tuple[StringMatch, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[HeaderName, ...] = ()
    expose_headers: tuple[HeaderName, ...] = ()
    max_age: Duration | None = None
    allow_credentials: Bool | None = None
    unmatched_preflights: UnmatchedPreflights = UnmatchedPreflights.UNSPECIFIED

    def problems(self) -> Iterator[Problem]:
        yield from at_most_one(self, "allow_origin", "allow_origins")
        for position, origin in enumerate(self.allow_origins):
            if origin.any_value:
                yield Problem("must have one of exact, prefix, regex", f"allowOrigins[{position}]")
        for position, method in enumerate(self.allow_methods):
            if method != "*" and not re.fullmatch(r"[A-Z]+", method):
                yield Problem(
                    f"must be an HTTP method in capitals, like GET, not {method!r}", f"allowMethods[{position}]"
                )
        if self.max_age is not None and self.max_age % timedelta(seconds=1):
            yield Problem("must be whole seconds", "maxAge")


class Percent(Struct):
    """A share of requests, 0 to 100, with fractions."""

    value: Percentage = 0.0


class FaultDelay(Checked):
    """Delays a share of the requests before they are forwarded."""

    percent: Annotated[int, Field(strict=True, ge=0, le=100)] | None = None
    percentage: Percent | None = None
    fixed_delay: PositiveDuration | None = None
    exponential_delay: PositiveDuration | None = None

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "fixed_delay", "exponential_delay")


class FaultAbort(Checked):
    """Answers a share of the requests with an error; without `percentage` none."""

    percentage: Percent | None = None
    http_status: Status | None = None
    grpc_status: str | None = None
    http2_error: str | None = None

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "http_status", "grpc_status", "http2_error")
        if self.grpc_status is not None and self.grpc_status not in GRPC_STATUSES:
            yield Problem(f"must be a gRPC status like UNAVAILABLE, not {self.grpc_status!r}", "grpcStatus")


GRPC_STATUSES: Final = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
"""The names of gRPC's statuses; the position is the code."""


class HttpFault(Checked):
    """Faults put in on purpose, to see how callers take them."""

    delay: FaultDelay | None = None
    abort: FaultAbort | None = None

    def problems(self) -> Iterator[Problem]:
        if self.delay is None and self.abort is None:
            yield Problem("must have delay, abort or both")


class HttpMirror(Struct):
    """Sends a copy of a share of the requests elsewhere and forgets the answers; without `percentage` all."""

    destination: Destination
    percentage: Percent | None = None


class HttpRoute(Checked):
    """One rule: the requests that match any of `match` are routed, redirected, answered or delegated."""

    name: str = ""
    match: tuple[HttpMatch, ...] = ()
    route: tuple[HttpRouteDestination, ...] = ()
    redirect: HttpRedirect | None = None
    direct_response: HttpDirectResponse | None = None
    delegate: Delegate | None = None
    rewrite: HttpRewrite | None = None
    timeout: Duration | None = None
    retries: HttpRetry | None = None
    fault: HttpFault | None = None
    mirror: Destination | None = None
    mirror_percent: Annotated[int, Field(strict=True, ge=0, le=100)] | None = None
    mirror_percentage: Percent | None = None
    mirrors: tuple[HttpMirror, ...] = ()
    cors_policy: CorsPolicy | None = None
    headers: Headers | None = None

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "route", "redirect", "direct_response", "delegate")
        yield from _weight_problems(self.route)
        yield from at_most_one(self, "mirror", "mirrors")
        yield from at_most_one(self, "mirror_percent", "mirror_percentage")
        if self.redirect is not None:
            for field in ("fault", "rewrite"):
                if getattr(self, field) is not None:
                    yield Problem(
                        f"must not be set beside redirect, which forwards nothing: remove {field} or redirect", field
                    )
        if self.direct_response is not None and self.rewrite is not None:
            yield Problem("must not be set beside directResponse, which forwards nothing", "rewrite")


class TlsMatch(Struct):
    """Conditions on one TLS connection that the proxy does not terminate."""

    sni_hosts: Annotated[tuple[WildcardHost, ...], Field(min_length=1)]
    destination_subnets: tuple[Cidr, ...] = ()
    port: Port | None = None
    source_labels: Labels = EMPTY_MAP
    gateways: tuple[str, ...] = ()
    source_namespace: str = ""


class TlsRoute(Checked):
    """One rule for TLS connections by server name."""

    match: Annotated[tuple[TlsMatch, ...], Field(min_length=1)]
    route: Annotated[tuple[RouteDestination, ...], Field(min_length=1)]

    def problems(self) -> Iterator[Problem]:
        yield from _weight_problems(self.route)


class TcpMatch(Struct):
    """Conditions on one TCP connection."""

    destination_subnets: tuple[Cidr, ...] = ()
    port: Port | None = None
    source_subnet: Cidr | None = None
    source_labels: Labels = EMPTY_MAP
    gateways: tuple[str, ...] = ()
    source_namespace: str = ""


class TcpRoute(Checked):
    """One rule for TCP connections; the first rule whose `match` holds decides."""

    match: tuple[TcpMatch, ...] = ()
    route: Annotated[tuple[RouteDestination, ...], Field(min_length=1)]

    def problems(self) -> Iterator[Problem]:
        yield from _weight_problems(self.route)


class VirtualService(Checked):
    """Routing rules for hosts, in order: the first that matches decides. Without hosts it is the delegate of another
    one.
    """

    hosts: tuple[WildcardHost, ...] = ()
    gateways: tuple[str, ...] = ()
    http: tuple[HttpRoute, ...] = ()
    tls: tuple[TlsRoute, ...] = ()
    tcp: tuple[TcpRoute, ...] = ()
    export_to: tuple[ExportScope, ...] = ()

    def problems(self) -> Iterator[Problem]:
        yield from _duplicate_problems("hosts", self.hosts)
        for position, gateway in enumerate(self.gateways):
            if not re.fullmatch(r"([a-z0-9.-]+/)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?", gateway):
                yield Problem(f"must be a gateway as name or namespace/name, not {gateway!r}", f"gateways[{position}]")
        if not (self.http or self.tls or self.tcp):
            yield Problem("must have at least one rule in http, tls or tcp")
        if self.hosts:
            yield from self._server_name_problems()
        if not self.hosts:
            yield from self._delegate_problems()
        elif "*" in self.hosts and (not self.gateways or MESH_GATEWAY in self.gateways):
            yield Problem("must not be * for the sidecars: name the hosts, or name a gateway in gateways", "hosts")

    def _server_name_problems(self) -> Iterator[Problem]:
        """Yield the server names of tls rules that are none of the hosts: the rule is for others than it says."""
        for place, rule in enumerate(self.tls):
            for position, condition in enumerate(rule.match):
                for number, name in enumerate(condition.sni_hosts):
                    if not any(_covers(host, name) for host in self.hosts):
                        yield Problem(
                            f"must be one of the hosts, or below one that is a wildcard, not {name!r}",
                            f"tls[{place}].match[{position}].sniHosts[{number}]",
                        )

    def _delegate_problems(self) -> Iterator[Problem]:
        """Yield what a VirtualService without hosts, which only another one's `delegate` reaches, must not have."""
        if self.tls or self.tcp:
            yield Problem("must name at least one host; only http rules can be delegated to without hosts", "hosts")
        if self.gateways:
            yield Problem(
                "must be empty in a delegate (a VirtualService without hosts): its root has the gateways", "gateways"
            )
        for position, rule in enumerate(self.http):
            if rule.delegate is not None:
                yield Problem(
                    "must not delegate again: a delegate (a VirtualService without hosts) routes",
                    f"http[{position}].delegate",
                )


def _covers(host: str, name: str) -> bool:
    return name.endswith(host[1:]) if host.startswith("*") else name == host


def _weight_problems(route: tuple[HttpRouteDestination, ...] | tuple[RouteDestination, ...]) -> Iterator[Problem]:
    """Yield a problem when several branches leave no share for anybody; one branch alone always gets everything."""
    if len(route) > 1 and sum(branch.weight or 0 for branch in route) == 0:
        yield Problem("must have weights when there are several destinations, at least one of them above 0", "route")


def _header_condition_problems(field: str, name: str) -> Iterator[Problem]:
    path = f"{'withoutHeaders' if field == 'without_headers' else field}.{name}"
    if name.startswith("@"):
        if not re.fullmatch(re.escape(CLAIM_PREFIX) + r"(\.[^.\[\]]+|\[[^\[\]]+\])+", name):
            yield Problem(f"must be {CLAIM_PREFIX}.NAME or {CLAIM_PREFIX}[NAME] to match a claim", path)
    elif not re.fullmatch(r":?[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name):
        yield Problem(f"must be a header name, not {name!r}", path)


def _duplicate_problems(field: str, values: tuple[str, ...]) -> Iterator[Problem]:
    for position, value in enumerate(values):
        if value in values[:position]:
            yield Problem(f"must not name {value} twice", f"{field}[{position}]")
