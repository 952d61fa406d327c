"""An endpoint: one address and port of a service."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lateen.model.workload import Locality


class Health(StrEnum):
    """Whether an endpoint may be sent traffic. DRAINING ones finish what they have and get nothing new."""

    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    DRAINING = "DRAINING"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address:port behind a service's port. `address` is an IP, a DNS name (resolution DNS) or `unix://path`.

    `tls` tells whether it takes connections with the mesh's mutual TLS.
    """

    address: str
    port: int
    labels: Mapping[str, str] = field(default_factory=dict)
    workload: str = ""
    namespace: str = ""
    service_account: str = ""
    locality: Locality = Locality()
    network: str = ""
    weight: int = 1
    health: Health = Health.HEALTHY
    proxied: bool = False
    tls: bool = False


def select(endpoints: tuple[Endpoint, ...], labels: Mapping[str, str]) -> tuple[Endpoint, ...]:
    """Keep the endpoints that carry all of a subset's labels."""
    if not labels:
        return endpoints
    return tuple(e for e in endpoints if all(e.labels.get(name) == value for name, value in labels.items()))
