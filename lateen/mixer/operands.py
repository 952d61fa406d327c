"""The values in a rule's expressions, as a proxy has them: fixed, read natively, or by an expression of Envoy's."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from lateen.api.expressions import cel
from lateen.api.expressions.tree import Attribute, Call, Constant, ConstantKind, Index, Node, Select
from lateen.mixer.attributes import ENTRIES
from lateen.mixer.origins import Keeper, When
from lateen.names import OWN_METADATA, UNKNOWN, peer_state
from lateen.plan.condition_expressions import peer_fact, peer_principal
from lateen.plan.conditions import ALWAYS, Condition, HeaderFits, Not, PeerFits, Says, all_of
from lateen.plan.types import MatchKind, TextMatch

Scalar = str | bool | int | float | timedelta | datetime | IPv4Address | IPv6Address | None


class Unsayable(Exception):
    """A proxy cannot decide this itself; the text says why."""


class PeerPart(StrEnum):
    """What a caller's certificate says, by the name of the attribute."""

    PRINCIPAL = "source.principal"
    UID = "source.uid"


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same for every call."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class Header:
    """The text of a header; `:method` and `:authority` are headers too."""

    name: str


@dataclass(frozen=True, slots=True)
class UrlPath:
    """The path without its query."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A name in the caller's certificate."""

    part: PeerPart


@dataclass(frozen=True, slots=True)
class PeerFact:
    """A fact of the caller that its certificate attests, which the proxy keeps beside the connection."""

    fact: str


@dataclass(frozen=True, slots=True)
class Known:
    """A fact of the caller that only the directory of workloads says: each value with the callers that have it."""

    name: str
    values: tuple[tuple[str, Condition], ...]


@dataclass(frozen=True, slots=True)
class Address:
    """The address of the connection, or the one that it was forwarded for."""

    forwarded: bool = False


@dataclass(frozen=True, slots=True)
class Spoken:
    """What an expression in Envoy's attributes comes to."""

    expression: Node


Operand = Fixed | Header | UrlPath | Peer | PeerFact | Known | Address | Spoken


@dataclass(frozen=True, slots=True)
class Alternative:
    """A value, when it is the one that is asked for, and when it is there.

    Of several alternatives at most one counts; where none does the value is missing.
    """

    operand: Operand
    when: Condition = ALWAYS
    there: Condition = ALWAYS

    @property
    def known(self) -> Condition:
        """When this is the value."""
        return all_of((self.when, self.there))


Alternatives = tuple[Alternative, ...]
NOTHING: Final[Alternatives] = ()

PRESENT: Final = TextMatch(MatchKind.PRESENT)
CALLER_KNOWN: Final = PeerFits(PRESENT)
_ATTRIBUTES_OF_HEADERS: Final = {
    "request.host": ":authority",
    "request.method": ":method",
    "request.path": ":path",
    "request.scheme": ":scheme",
    "request.referer": "referer",
    "request.useragent": "user-agent",
    "request.id": "x-request-id",
}
_ALWAYS_THERE: Final = frozenset({"request.host", "request.method", "request.path", "request.scheme"})


def always(operand: Operand) -> Alternatives:
    """Say a value that is always there."""
    return (Alternative(operand),)


def of_header(name: str) -> Alternatives:
    """Say a header, which may be missing."""
    return (Alternative(Header(name), there=HeaderFits(name, PRESENT)),)


def of_request(name: str) -> Alternatives | None:
    """Say what a proxy compares natively; None for other attributes."""
    if name in _ATTRIBUTES_OF_HEADERS:
        header = _ATTRIBUTES_OF_HEADERS[name]
        return always(Header(header)) if name in _ALWAYS_THERE else of_header(header)
    if name == "request.url_path":
        return always(UrlPath())
    if name == "source.ip":
        return always(Address())
    if name == "origin.ip":
        return always(Address(forwarded=True))
    if name == "connection.mtls":
        return (Alternative(Fixed(value=True), CALLER_KNOWN), Alternative(Fixed(value=False), Not(CALLER_KNOWN)))
    if name == "connection.requested_server_name":
        asked = Attribute("connection.requested_server_name")
        return (Alternative(Spoken(asked), there=Says(Call("!=", (asked, string(""))))),)
    return None


def of_protocol() -> Alternatives:
    """Say which protocol requests speak: gRPC by its content type, else HTTP."""
    grpc = HeaderFits("content-type", TextMatch(MatchKind.PREFIX, "application/grpc"))
    return (Alternative(Fixed("grpc"), grpc), Alternative(Fixed("http"), Not(grpc)))


def spoken(operand: Operand) -> Node:
    """Say a value as an expression; raises `Unsayable` for one that Envoy's expressions do not have."""
    match operand:
        case Fixed(value):
            return constant(value)
        case Header(name):
            return Index(Attribute("request.headers"), string(name))
        case UrlPath():
            return Attribute("request.url_path")
        case Spoken(expression):
            return expression
        case Address():
            raise Unsayable("Envoy's expressions have no address of the caller")
        case Peer(PeerPart.PRINCIPAL):
            return peer_principal()
        case Peer(part):
            raise Unsayable(f"Envoy's expressions do not have {part}")
        case PeerFact(fact):
            return peer_fact(fact)
        case Known(name):
            raise Unsayable(f"{name} of the caller is in no certificate")


def kept_fact(fact: str) -> Node:
    """Say a fact of the caller as the proxy keeps it: good to be shown, but no text that could be compared."""
    return Index(Attribute("filter_state"), string(peer_state(fact)))


def constant(value: Scalar) -> Node:
    """Say a fixed value as an expression."""
    match value:
        case bool():
            return Constant(ConstantKind.BOOL, value)
        case int():
            return Constant(ConstantKind.INT, value)
        case float():
            return Constant(ConstantKind.FLOAT, value)
        case str():
            return string(value)
        case timedelta():
            return Call("duration", (string(f"{value // timedelta(microseconds=1)}us"),))
        case datetime():
            return Call("timestamp", (string(value.isoformat()),))
        case _:
            raise Unsayable(f"Envoy's expressions have no such constant as {value}")


def string(text: str) -> Node:
    """Say a text as an expression."""
    return Constant(ConstantKind.STRING, text)


def of_callee(name: str) -> Alternatives:
    """Say what the calling proxy knows of the workload that it has chosen, or of the service that it calls."""
    fact = _CALLEE.get(name)
    if fact is None:
        raise Unsayable(f"the calling proxy does not know {name}")
    place = _SERVICE_METADATA if name.startswith("destination.service.") else _ENDPOINT_METADATA
    whole = Attribute(place)
    found = Index(Index(Select(whole, "filter_metadata"), string(OWN_METADATA)), string(fact))
    known = Call("!=", (found, string(UNKNOWN)))
    return (Alternative(Spoken(found), there=Says(Call("&&", (Call("has", (whole,)), known)))),)


_ENDPOINT_METADATA: Final = "xds.upstream_host_metadata"
_SERVICE_METADATA: Final = "xds.cluster_metadata"
_CALLEE: Final = {
    "destination.workload.name": "workload",
    "destination.workload.namespace": "namespace",
    "destination.namespace": "namespace",
    'destination.labels["app"]': "app",
    'destination.labels["version"]': "version",
    "destination.service.host": "host",
    "destination.service.name": "name",
    "destination.service.namespace": "namespace",
}


def is_unknown(name: str, *, is_outbound: bool) -> bool:
    """Tell whether nobody knows an attribute on a side, so that it is always missing there."""
    entry = ENTRIES.get(name)
    return entry is not None and (entry.client if is_outbound else entry.server).keeper is Keeper.NOBODY


def of_stream(name: str, *, is_outbound: bool, at_end: bool) -> Node:
    """Return the expression of Envoy's that has an attribute's value; raises `Unsayable` where there is none."""
    entry = ENTRIES.get(name)
    origin = (entry.client if is_outbound else entry.server) if entry else None
    if origin is None or not origin.cel or origin.prefix:
        raise Unsayable(f"a proxy has no {name}")
    if origin.when is not When.REQUEST and not at_end:
        raise Unsayable(f"{name} is not known yet when a request comes")
    return cel.parse(origin.cel)
