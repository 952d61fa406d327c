"""What the API's door needs to know, and from whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from lateen.api.changes import Change
from lateen.api.objects import ObjectKey
from lateen.manager.findings import Moment
from lateen.manager.liveness import Instance
from lateen.manager.pushes import ProxyStatus
from lateen.manager.registrations import Entry
from lateen.model.key_sets import KeySet
from lateen.plan.types import Diagnostic


@dataclass(frozen=True, slots=True)
class MeshFacts:
    """Which mesh this is. `started_at` is in seconds since the epoch."""

    name: str
    version: str
    directory: str
    started_at: float
    pid: int


class WorkloadRow(Instance, Protocol):
    """One workload as the platform tells of it: a dataclass, shown with all its fields."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def created(self) -> float:
        """When it was made, in seconds since the epoch; 0 when it was not made yet."""
        ...

    @property
    def role(self) -> str:
        """The role of its proxy; empty where no proxy runs."""
        ...

    @property
    def admin_socket(self) -> str:
        """The unix socket of its proxy's admin interface; empty where there is none."""
        ...


class Row(Protocol):
    """Anything that is a dataclass of JSON values."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class Workloads(Protocol):
    """What runs here: the node agent."""

    def workload_rows(self) -> Sequence[WorkloadRow]:
        """List all workloads."""
        ...

    def find(self, reference: str, namespace: str = "") -> Sequence[WorkloadRow]:
        """List the workloads that a reference means, ready ones first."""
        ...

    def published(self) -> Sequence[Row]:
        """List the ports that are open on the host."""
        ...

    def notices(self) -> Sequence[Row]:
        """List what the user should know and need not act on."""
        ...


class Loop(Protocol):
    """Takes changes in: the control loop."""

    @property
    def generation(self) -> int:
        """The number of the newest accepted change."""
        ...

    @property
    def changed_at(self) -> dict[ObjectKey, int]:
        """The generation of each object's last change."""
        ...

    @property
    def key_sets(self) -> Sequence[KeySet]:
        """What is known of the keys with which tokens are verified."""
        ...

    def submit(self, changes: Sequence[Change]) -> int:
        """Take in changes; return the generation that contains them."""
        ...

    async def findings(self, generation: int = 0) -> Sequence[Diagnostic]:
        """List all that is legal but doubtful, once a generation has been pushed."""
        ...

    def entries(self) -> Sequence[Entry]:
        """List the WorkloadEntries that stand for members of groups."""
        ...

    def moment(self) -> Moment:
        """Return the mesh as it is pushed now."""
        ...

    async def findings_at(self, moment: Moment) -> Sequence[Diagnostic]:
        """List all that was doubtful at a moment."""
        ...


class Proxies(Protocol):
    """Knows how far each connected proxy is: the pushes."""

    def statuses(self) -> Sequence[ProxyStatus]:
        """List how each connected proxy stands, by `workload.namespace`."""
        ...


class Origins(Protocol):
    """Knows which objects a proxy's resource was made from."""

    def origins(self, proxy: str, kind: str, resource: str) -> Sequence[ObjectKey]:
        """List the objects behind a resource; `kind` is short: `LDS`, `RDS`, `CDS`, `EDS`."""
        ...
