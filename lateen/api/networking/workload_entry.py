"""WorkloadEntry: one workload that no Pod describes, by its address."""

from collections.abc import Iterator

from lateen.api.fields import EMPTY_MAP, Count, Labels, PortMap, is_address, is_host
from lateen.api.structs import Checked, Problem


class WorkloadEntry(Checked):
    """One workload: an IP address, a name that DNS knows, or a unix socket, with labels as a Pod has them."""

    address: str = ""
    ports: PortMap = EMPTY_MAP
    labels: Labels = EMPTY_MAP
    network: str = ""
    locality: str = ""
    weight: Count | None = None
    service_account: str = ""

    def problems(self) -> Iterator[Problem]:
        if self.address.startswith("unix://"):
            if not self.address.removeprefix("unix://").startswith(("/", "@")):
                yield Problem("must be unix:// and an absolute path, like unix:///run/app.sock", "address")
            if self.ports:
                yield Problem("must be empty when the address is a unix socket", "ports")
        elif self.address and not is_address(self.address) and not is_host(self.address):
            yield Problem(f"must be an IP address, a host name or unix:///path, not {self.address!r}", "address")
        if not self.address and not self.network:
            yield Problem("must be set, unless network names the network whose gateway leads there", "address")
        if self.locality.count("/") > 2:
            yield Problem(f"must be region/zone/subzone, not {self.locality!r}", "locality")
