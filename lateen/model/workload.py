"""A workload: one running instance with an address and an identity."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


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


class WorkloadKey(NamedTuple):
    """A workload's name in the mesh."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.name}.{self.namespace}"


@dataclass(frozen=True, slots=True)
class Workload:
    """One running instance, as the platform reports it. `ready` is the platform's verdict from its probes.

    `ports` maps the names of container ports to numbers, for Services whose targetPort is a name.
    `proxied` tells whether a sidecar or gateway Envoy runs with it. `owner` is the Deployment or StatefulSet. `tracing`
    are settings for its proxy's traces as JSON, where it has its own.
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
    tracing: str = ""
