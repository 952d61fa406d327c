"""The mesh that files describe, as if it ran: one workload for each owner of pods. Pure."""

from collections.abc import Iterator

from lateen.api.config_set import ConfigSet
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.api.mesh.settings import mesh_config
from lateen.manager.addresses import Addresses
from lateen.model.snapshot import Inputs, Snapshot, first_snapshot
from lateen.model.workload import Workload
from lateen.model.workloads import Workloads
from lateen.platforms.local import pods


def snapshot(config: ConfigSet, mesh: MeshConfig | None = None) -> Snapshot:
    """Derive the mesh in which everything that the files want runs. Its workloads have no addresses.

    `mesh` are settings that hold instead of those in the files.
    """
    workloads = Workloads().apply(_workloads(config))
    addresses = Addresses().assign(config).by_host
    return first_snapshot(Inputs(config, workloads, addresses, mesh_config(config) if mesh is None else mesh))


def _workloads(config: ConfigSet) -> Iterator[Workload]:
    """Yield a workload for each owner, called by the owner's name."""
    for owner in pods.desired_owners(config):
        design = pods.design_pod(owner, owner.replicas.name, "")
        yield pods.workload(design, ready=True, proxied=pods.injection_of(design, config).role is not None)
