"""Where attributes come from: who knows a value on which side of a call, and when."""

from dataclasses import dataclass
from enum import StrEnum

from lateen.api.expressions.types import ValueType


class Keeper(StrEnum):
    """Who knows the value of an attribute on one side of a call."""

    STREAM = "the request or connection"
    OWN = "the proxy's own workload"
    PEER = "the workload at the other end"
    SERVICE = "the service that is called"
    JWT = "the token of the request"
    API = "the HTTPAPISpec of the service"
    PLACE = "the place in the proxy's configuration"
    MIXER = "Mixer"
    NOBODY = "nobody"


class When(StrEnum):
    """When a value is known: checks need it at the request, reports may wait for the end."""

    REQUEST = "request"
    END = "end"


class Protocols(StrEnum):
    """Which kinds of traffic have the attribute."""

    BOTH = "HTTP and TCP"
    HTTP = "HTTP"
    TCP = "TCP"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one side's Envoy has an attribute from.

    `cel` is the text of an expression over Envoy's own attributes that has the attribute's value and type; where there
    is none it is empty. `operator` is the format operator of access logs with the value as text. `fact` names what is
    asked of a workload, service or token. `prefix` stands in front of the attribute's value in Envoy's.
    """

    keeper: Keeper
    cel: str = ""
    operator: str = ""
    fact: str = ""
    prefix: str = ""
    when: When = When.REQUEST


@dataclass(frozen=True, slots=True)
class AttributeEntry:
    """One attribute of the vocabulary; `unit` is empty where its type needs none."""

    name: str
    type: ValueType
    meaning: str
    server: Origin
    client: Origin
    protocols: Protocols = Protocols.BOTH
    unit: str = ""


def stream(cel: str = "", operator: str = "", when: When = When.REQUEST) -> Origin:
    """Return an origin in the request or connection."""
    return Origin(Keeper.STREAM, cel, operator, when=when)


def end(cel: str = "", operator: str = "") -> Origin:
    """Return an origin in what is known when a request is answered or a connection closed."""
    return stream(cel, operator, When.END)


def peer(fact: str, when: When) -> Origin:
    """Return an origin in what is known of the workload at the other end."""
    return Origin(Keeper.PEER, fact=fact, when=when)


def http(
    name: str,
    kind: ValueType,
    meaning: str,
    cel: str = "",
    operator: str = "",
    when: When = When.REQUEST,
    unit: str = "",
) -> AttributeEntry:
    """Return an attribute of HTTP that both sides read in the same way."""
    origin = stream(cel, operator, when)
    return AttributeEntry(name, kind, meaning, origin, origin, Protocols.HTTP, unit)


def connection(
    name: str,
    kind: ValueType,
    meaning: str,
    cel: str = "",
    operator: str = "",
    when: When = When.REQUEST,
    unit: str = "",
) -> AttributeEntry:
    """Return an attribute of any connection that both sides read in the same way."""
    origin = stream(cel, operator, when)
    return AttributeEntry(name, kind, meaning, origin, origin, Protocols.BOTH, unit)


def by(
    keeper: Keeper, name: str, kind: ValueType, meaning: str, fact: str = "", protocols: Protocols = Protocols.BOTH
) -> AttributeEntry:
    """Return an attribute that the same keeper knows on both sides."""
    origin = Origin(keeper, fact=fact, when=When.END if keeper is Keeper.MIXER else When.REQUEST)
    return AttributeEntry(name, kind, meaning, origin, origin, protocols)
