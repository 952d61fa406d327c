"""What a cluster does beyond picking an endpoint: budgets, tunnels, pings, and which localities it prefers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from lateen.model.workload import Locality


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """How many retries may be under way at once: a share of the active requests, but always `minimum`.

    With an `interval`, the requests of that time count instead of those that are active.
    """

    percent: float = 20.0
    minimum: int = 3
    interval: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    """How a connection with HTTP/2 is found out to be dead."""

    interval: timedelta | None = None
    timeout: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A target that an HTTP proxy is asked to connect to."""

    host: str
    port: int
    by_post: bool = False


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long connections last that are not looked into: without a byte, and at all."""

    idle_timeout: timedelta | None = None
    most_duration: timedelta | None = None


FOREVER: Final = Keeping()
"""As Envoy keeps connections: until one end closes, or an hour has passed without a byte."""


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """A GET; without `statuses`, ranges with both ends, only 200 says that an endpoint can serve."""

    path: str
    host: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    statuses: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class GrpcProbe:
    """grpc.health.v1.Health/Check."""

    service: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """A connection, and what is said on it."""

    send: bytes = b""
    receive: bytes = b""


@dataclass(frozen=True, slots=True)
class HealthProbe:
    """How the proxy itself finds out which endpoints can serve."""

    ask: HttpProbe | GrpcProbe | TcpProbe
    interval: timedelta
    timeout: timedelta
    failures: int
    successes: int


@dataclass(frozen=True, slots=True)
class Session:
    """How requests of one session are known: by a cookie or by a header, which carries the endpoint's address."""

    cookie: str = ""
    path: str = "/"
    ttl: timedelta | None = None
    header: str = ""
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Preference:
    """Endpoints in the order in which a client turns to them, when those before fail.

    `labels` are the client's: an endpoint that has more of the first ones comes earlier. Without labels, or where
    endpoints are equal by them, the nearer one does. `failover` says which region comes before the other foreign ones.
    """

    client: Locality
    failover: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    by_place: bool = True


@dataclass(frozen=True, slots=True)
class Distribution:
    """The shares of the traffic that localities get. A locality may leave out its tail, or end in `*`."""

    shares: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ZoneAwareness:
    """Endpoints of the client's region first; among those, as many calls stay in its zone as the zones' sizes allow.

    That is left to the proxy, which compares where the endpoints are with where the client's own replicas are; below
    `smallest` endpoints it does not. When the region fails, `labels` and `failover` order the others.
    """

    client: Locality
    failover: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    smallest: int = 6


Spread = Preference | Distribution | ZoneAwareness
"""How the endpoints of one service are told apart by where they are."""

PLACES: Final = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone")
"""The labels that name the parts of a locality."""


def place_labels(locality: Locality, network: str) -> Mapping[str, str]:
    """Say a locality and a network as labels, for preferences that name them so."""
    return {**dict(zip(PLACES, locality, strict=True)), "topology.istio.io/network": network}
