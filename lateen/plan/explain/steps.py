"""An explanation: the steps of a request's way, each with what happens, who decides it and where that is written.

All are plain values that can be told as JSON. `says` is the step in words.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from lateen.plan.access_check import Place
from lateen.plan.access_check import Step as AskedRule


class Outcome(StrEnum):
    """What becomes of a request, as far as the mesh decides it."""

    FORWARDED = "forwarded"
    ANSWERED = "answered"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Touch:
    """A patch of an EnvoyFilter that has changed what a request passes; what follows may differ from what is said."""

    says: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class NameAnswer:
    """What the client's DNS answers: `host` is the full name, empty where the mesh does not know it."""

    says: str
    name: str
    host: str = ""
    address: str = ""
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """The listener that takes the connection, by its `name` in Envoy; empty where none is for the address."""

    says: str
    name: str = ""
    place: Place | None = None
    patched: tuple[Touch, ...] = ()


@dataclass(frozen=True, slots=True)
class FilterChain:
    """How the connection is looked at: `kind` is HTTP, TCP or TLS; `table` is the route table of requests."""

    says: str
    kind: str
    server_names: tuple[str, ...] = ()
    table: str = ""
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """The virtual host that the request's authority chooses by the most specific `domain`."""

    says: str
    name: str
    domain: str
    authority: str
    routes: int
    patched: tuple[Touch, ...] = ()


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A condition that was asked before the one that won, or that is not for this caller, and why."""

    place: Place | None
    asked: str
    failed: str


@dataclass(frozen=True, slots=True)
class Setting:
    """Something that is done on the way: a timeout, retries, a fault, a mirror, a change."""

    name: str
    says: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class ChosenRoute:
    """The route that acts, the condition that it matched by, and what was passed over for it."""

    says: str
    name: str
    matched: str
    place: Place | None = None
    passed_over: tuple[PassedOver, ...] = ()
    settings: tuple[Setting, ...] = ()


@dataclass(frozen=True, slots=True)
class EndpointSeen:
    """An address behind a cluster. `takes_tls` tells whether it takes the mesh's mutual TLS."""

    address: str
    workload: str = ""
    locality: str = ""
    health: str = "HEALTHY"
    weight: int = 1
    takes_tls: bool = False


@dataclass(frozen=True, slots=True)
class Tls:
    """What is spoken with the endpoints: `mode` is mesh, origination, own or none."""

    says: str
    mode: str
    identity: str = ""
    accepted: tuple[str, ...] = ()
    server_name: str = ""
    place: Place | None = None


class Passage(StrEnum):
    """What a filter does with a request: MAY is where it depends on what nobody knows beforehand."""

    PASSES = "passes"
    ANSWERS = "answers"
    MAY = "may answer"
    LIMITS = "limits"
    NOT = "not concerned"


@dataclass(frozen=True, slots=True)
class Passed:
    """A filter that a request passes, or that answers it with `status`; one that LIMITS does so beyond its limit.

    `filter` is login, mixer, API key, rate limit, processor or headers.
    """

    filter: str
    says: str
    result: Passage
    status: int = 0
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """What the proxy of the workloads behind a cluster decides.

    `passed` are its other filters, in their order: logins stand before the rules that were `asked`, all others behind.
    """

    says: str
    workloads: tuple[str, ...]
    port: int
    outcome: str
    status: int = 0
    mode: str = ""
    mode_place: Place | None = None
    rule: Place | None = None
    policies: tuple[Place, ...] = ()
    asked: tuple[AskedRule, ...] = ()
    passed: tuple[Passed, ...] = ()
    patched: tuple[Touch, ...] = ()


@dataclass(frozen=True, slots=True)
class Leg:
    """One branch of a split: its share in percent, its cluster, and what is behind it.

    `status` is what the client gets where that is settled before the application is reached, 0 where it is reached.
    """

    says: str
    percent: float
    cluster: str
    host: str = ""
    port: int = 0
    subset: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    status: int = 0
    result: str = ""
    authority: str = ""
    written: Place | None = None
    place: Place | None = None
    settings: tuple[Setting, ...] = ()
    endpoints: tuple[EndpointSeen, ...] = ()
    tls: Tls | None = None
    servers: tuple[Server, ...] = ()
    patched: tuple[Touch, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """What becomes of a request. `status` is what the client gets where the mesh alone decides it, else 0.

    `path` and `authority` are those that are forwarded. `admission` is what the gateway's own policies say; `rules` are
    Mixer's for what the caller's proxy sends.
    """

    says: str
    outcome: Outcome
    status: int
    caller: str
    proxy: str
    identity: str
    request: str
    location: str = ""
    path: str = ""
    authority: str = ""
    dns: NameAnswer | None = None
    listener: Listener | None = None
    chain: FilterChain | None = None
    virtual_host: Host | None = None
    admission: Server | None = None
    route: ChosenRoute | None = None
    rules: tuple[Passed, ...] = ()
    split: tuple[Leg, ...] = ()
    mirrors: tuple[Leg, ...] = ()
    notes: tuple[str, ...] = ()
