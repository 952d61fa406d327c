"""Builds small meshes for tests out of YAML as users write it."""

from textwrap import dedent

from lateen.api.config_set import ConfigSet
from lateen.api.decode import decode_yaml
from lateen.model.snapshot import Inputs, Snapshot, first_snapshot
from lateen.model.workload import Workload, WorkloadKey
from lateen.model.workloads import Workloads


def config(text: str) -> ConfigSet:
    """Decode YAML that must be right."""
    decoded = decode_yaml(dedent(text), "mesh.yaml")
    assert not decoded.violations, [str(violation) for violation in decoded.violations]
    return ConfigSet(decoded.objects)


def workload(name: str, address: str, namespace: str = "default", **labels: str) -> Workload:
    """A ready workload whose container port `web` is 8080."""
    return Workload(WorkloadKey(namespace, name), address, labels, ports={"web": 8080})


def mesh(text: str, *workloads: Workload, **addresses: str) -> Snapshot:
    """The snapshot of some YAML and workloads."""
    return first_snapshot(Inputs(config(text), Workloads().apply(workloads), addresses))
