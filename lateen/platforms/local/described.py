"""The mesh that files describe, as if it ran: one workload for each owner of pods. Pure."""

from collections.abc import Iterator
from typing import Final, cast

from lateen.api.config_set import ConfigSet
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.api.mesh.settings import mesh_config
from lateen.api.networking.workload_group import WorkloadGroup
from lateen.manager.addresses import Addresses
from lateen.model import groups
from lateen.model.groups import Group
from lateen.model.proxy_settings import proxy_settings
from lateen.model.snapshot import Inputs, Snapshot, first_snapshot
from lateen.model.workload import Membership, Workload
from lateen.model.workloads import Workloads
from lateen.platforms.local import pods
from lateen.platforms.local.pods import PodDesign

_NOBODYS_KEY: Final = b"described"
"""What logins are planned with where nobody logs in."""


def snapshot(config: ConfigSet, mesh: MeshConfig | None = None) -> Snapshot:
    """Derive the mesh in which everything that the files want runs. Its workloads have no addresses.

    `mesh` are settings that hold instead of those in the files.
    """
    settings = mesh_config(config) if mesh is None else mesh
    workloads = Workloads().apply(_workloads(config, settings))
    addresses = Addresses().assign(config).by_host
    return first_snapshot(Inputs(config, workloads, addresses, settings, session_key=_NOBODYS_KEY))


def _workloads(config: ConfigSet, mesh: MeshConfig) -> Iterator[Workload]:
    """Yield a workload for each owner, called by the owner's name."""
    for owner in pods.desired_owners(config):
        design = pods.design_pod(owner, owner.replicas.name, "")
        is_proxied = pods.injection_of(design, config).role is not None
        yield _registered(design, config, mesh) if is_proxied else pods.workload(design, ready=True, proxied=False)


def _registered(design: PodDesign, config: ConfigSet, mesh: MeshConfig) -> Workload:
    """Describe a pod with a proxy; one of a WorkloadGroup that is there as registered and healthy."""
    about = (design.namespace, design.labels, design.annotations)
    group, network = pods.group_and_network(proxy_settings(config, mesh, *about).environment)
    membership = Membership(group) if group else None
    member = pods.workload(design, ready=True, proxied=True, membership=membership, network=network)
    found = cast(Group | None, config.shelf(WorkloadGroup, design.namespace).get(group))
    return groups.registered(member, found, was_offered_unasked=True) if found is not None else member
