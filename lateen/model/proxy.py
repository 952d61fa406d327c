"""A proxy: one connected Envoy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lateen.model.workload import Locality, Workload, WorkloadKey


class Role(StrEnum):
    """What a proxy stands for: one workload's sidecar, a gateway at the edge, or a namespace's waypoint."""

    SIDECAR = "sidecar"
    GATEWAY = "router"
    WAYPOINT = "waypoint"


@dataclass(frozen=True, slots=True)
class Proxy:
    """One connected Envoy and what is known of the workload that it stands for; `owner` runs it, as `account`.

    `settings` are its own as JSON, empty where it has none (see `proxy_settings.live_parts`). `entry_ports` are the
    numbers that its WorkloadEntry gives to the ports of services, by their names.
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
    settings: str = ""
    entry_ports: Mapping[str, int] = field(default_factory=dict)


def of_workload(workload: Workload, role: Role) -> Proxy:
    """Return the proxy that stands for a workload."""
    return Proxy(
        key=workload.key,
        role=role,
        labels=workload.labels,
        address=workload.address,
        locality=workload.locality,
        network=workload.network,
        ports=workload.ports,
        owner=workload.owner,
        account=workload.service_account,
        settings=workload.settings,
        entry_ports=workload.entry_ports,
    )
