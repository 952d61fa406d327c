"""A workload: one running instance with an address and an identity."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

NO_PORTS: Final[Mapping[str, int]] = MappingProxyType({})


class Locality(NamedTuple):
    """Where a workload runs, from the widest to the narrowest; empty parts are unknown."""

    region: str = ""
    zone: str = ""
    subzone: str = ""

    @classmethod
    def parse(cls, text: str) -> "Locality":
        """Read `region/zone/subzone`, of which the tail may be missing."""
        parts = (*text.split("/"), "", "", "")
        return cls(parts[0], parts[1], parts[2])


NOWHERE: Final = Locality()
"""An unknown place."""


class WorkloadKey(NamedTuple):
    """A workload's name in the mesh."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.name}.{self.namespace}"


@dataclass(frozen=True, slots=True)
class HealthVerdict:
    """What a group's probe has found out last; `since` is in seconds since the epoch, `message` says what is wrong."""

    healthy: bool
    since: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class Membership:
    """Which WorkloadGroup a workload is to be a member of, and whether it is.

    The platform knows `group` and, where the group has a probe, its `verdict`. Registering adds the name of the
    WorkloadEntry that stands for the workload (`entry`, empty while none does), whether that counts as `healthy`, and
    the `ports` that it gives by the names of services' ports.
    """

    group: str
    verdict: HealthVerdict | None = None
    entry: str = ""
    healthy: bool = True
    ports: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Workload:
    """One running instance, as the platform reports it. `ready` is the platform's verdict from its probes.

    `ports` maps the names of container ports to numbers, for Services whose targetPort is a name.
    `proxied` tells whether a sidecar or gateway Envoy runs with it. `owner` is the Deployment or StatefulSet.
    `settings` is what its annotation says of its own proxy, as JSON (see `proxy_settings.live_parts`). With a
    `membership` it is an endpoint only by the WorkloadEntry that stands for it.
    """

    key: WorkloadKey
    address: str
    labels: Mapping[str, str] = field(default_factory=dict)
    service_account: str = "default"
    ports: Mapping[str, int] = field(default_factory=dict)
    ready: bool = True
    proxied: bool = True
    owner: str = ""
    locality: Locality = Locality()
    network: str = ""
    weight: int = 1
    hostname: str = ""
    subdomain: str = ""
    settings: str = ""
    membership: Membership | None = None

    @property
    def is_registered(self) -> bool:
        """Tell whether the workload may be an endpoint at all: one of a group only while an entry stands for it."""
        return self.membership is None or bool(self.membership.entry)

    @property
    def is_offered(self) -> bool:
        """Tell whether the workload may get traffic: it is ready, and healthy where its group has it probed."""
        return self.ready and self.is_registered and self.is_healthy

    @property
    def is_healthy(self) -> bool:
        """Tell whether no group's probe speaks against it."""
        return self.membership is None or self.membership.healthy

    @property
    def entry_ports(self) -> Mapping[str, int]:
        """The numbers that its WorkloadEntry gives to the ports of services, by their names."""
        return self.membership.ports if self.membership is not None else NO_PORTS


def port_of(
    name: str, target: int | str, ports: Mapping[str, int], entry_ports: Mapping[str, int] = NO_PORTS
) -> int | None:
    """Resolve a service's port, called `name` and sent to `target`, on a workload with these ports; None for nowhere.

    What a WorkloadEntry says of the port's name counts first, as in Istio; then the target, by number or by name.
    """
    written = entry_ports.get(name)
    if written is not None:
        return written
    return target if isinstance(target, int) else ports.get(target, entry_ports.get(target))
