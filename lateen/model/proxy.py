"""A proxy: one connected Envoy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lateen.model.workload import Locality, WorkloadKey


class Role(StrEnum):
    """What a proxy stands for: one workload's sidecar, a gateway at the edge, or a namespace's waypoint."""

    SIDECAR = "sidecar"
    GATEWAY = "router"
    WAYPOINT = "waypoint"


@dataclass(frozen=True, slots=True)
class Proxy:
    """One connected Envoy and what is known of the workload that it stands for; `owner` runs it, as `account`.

    `tracing` are its own settings for traces as JSON, empty where it has none.
    """

    key: WorkloadKey
    role: Role
    labels: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    locality: Locality = Locality()
    network: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)
    owner: str = ""
    account: str = "default"
    tracing: str = ""
