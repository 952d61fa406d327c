"""Who makes a request: a workload, somebody outside of the mesh, or anybody of a namespace."""

from dataclasses import dataclass, replace
from typing import Final

from lateen import names
from lateen.errors import ConfigRejected
from lateen.model import peer_names
from lateen.model.snapshot import Snapshot
from lateen.model.workload import Workload, WorkloadKey
from lateen.plan.access_check import OUTSIDE, find_workloads

NAMESPACE: Final = "namespace/"
ANYBODY: Final = "anybody"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. `workload` is whose proxy the request leaves by; None for whoever has none of the mesh."""

    name: str
    namespace: str = ""
    identity: str = ""
    workload: Workload | None = None

    @property
    def peer(self) -> names.PeerName | None:
        """What the caller's certificate attests of it; nothing is known of anybody of a namespace."""
        workload = self.workload
        if workload is None or workload.key.name == ANYBODY:
            return None
        known = peer_names.peer_name(workload.owner or workload.key.name, workload.labels)
        # What files describe has no address, and pods without names.
        return replace(known, instance=workload.key.name) if workload.address else known


def find(snapshot: Snapshot, reference: str, namespace: str) -> Caller:
    """Find a caller by what a user calls it. Raises `ConfigRejected` for one that the mesh does not know."""
    if reference == OUTSIDE:
        return Caller(OUTSIDE)
    if reference.startswith(NAMESPACE):
        home = reference.removeprefix(NAMESPACE)
        anybody = Workload(WorkloadKey(home, ANYBODY), "")
        return Caller(f"any workload of {home}", home, _identity(snapshot, anybody), anybody)
    found = find_workloads(snapshot, reference, namespace)
    if not found:
        raise ConfigRejected(
            f"there is no workload '{reference}' in namespace '{namespace}' to call; whoever is not in the mesh is "
            f"{OUTSIDE}, any workload of a namespace is {NAMESPACE}NAME"
        )
    workload = found[0]
    identity = _identity(snapshot, workload) if workload.proxied else ""
    return Caller(str(workload.key), workload.key.namespace, identity, workload)


def _identity(snapshot: Snapshot, workload: Workload) -> str:
    return str(names.Identity(snapshot.mesh.trust_domain, workload.key.namespace, workload.service_account))
