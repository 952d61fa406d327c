"""Pod: one workload: containers that share an address, an identity and a proxy."""

from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from lateen.api.core.container import Container
from lateen.api.core.metadata import ObjectMeta
from lateen.api.core.volume import Volume
from lateen.api.fields import Address, Count, Ignored
from lateen.api.structs import Checked, Problem, Struct


class RestartPolicy(StrEnum):
    """Whether containers that end are started again."""

    ALWAYS = "Always"
    ON_FAILURE = "OnFailure"
    NEVER = "Never"


class DnsPolicy(StrEnum):
    """Where a pod's names are looked up."""

    CLUSTER_FIRST = "ClusterFirst"
    CLUSTER_FIRST_WITH_HOST_NET = "ClusterFirstWithHostNet"
    DEFAULT = "Default"
    NONE = "None"


class HostAlias(Struct):
    """One more line of /etc/hosts."""

    ip: Address
    hostnames: tuple[str, ...] = ()


class PodSpec(Checked):
    """The containers of a workload and how they are run together."""

    containers: Annotated[tuple[Container, ...], Field(min_length=1)]
    init_containers: tuple[Container, ...] = ()
    restart_policy: RestartPolicy = RestartPolicy.ALWAYS
    service_account_name: str = ""
    service_account: str = ""
    termination_grace_period_seconds: Count = 30
    volumes: tuple[Volume, ...] = ()
    hostname: str = ""
    subdomain: str = ""
    host_aliases: tuple[HostAlias, ...] = ()
    dns_policy: DnsPolicy = DnsPolicy.CLUSTER_FIRST
    active_deadline_seconds: Ignored = None
    affinity: Ignored = None
    automount_service_account_token: Ignored = None
    dns_config: Ignored = None
    enable_service_links: Ignored = None
    ephemeral_containers: Ignored = None
    host_ipc: Ignored = None
    host_network: Ignored = None
    host_pid: Ignored = None
    host_users: Ignored = None
    image_pull_secrets: Ignored = None
    node_name: Ignored = None
    node_selector: Ignored = None
    os: Ignored = None
    overhead: Ignored = None
    preemption_policy: Ignored = None
    priority: Ignored = None
    priority_class_name: Ignored = None
    readiness_gates: Ignored = None
    resource_claims: Ignored = None
    resources: Ignored = None
    runtime_class_name: Ignored = None
    scheduler_name: Ignored = None
    scheduling_gates: Ignored = None
    security_context: Ignored = None
    set_hostname_as_fqdn: Ignored = None
    share_process_namespace: Ignored = None
    tolerations: Ignored = None
    topology_spread_constraints: Ignored = None

    @property
    def account(self) -> str:
        """The name of the pod's service account; `default` where none is named."""
        return self.service_account_name or self.service_account or "default"

    def problems(self) -> Iterator[Problem]:
        yield from self._container_name_problems()
        seen: set[str] = set()
        for position, volume in enumerate(self.volumes):
            if volume.name in seen:
                yield Problem(f"must be unique: volume {volume.name} is already defined", f"volumes[{position}].name")
            seen.add(volume.name)

    def mount_problems(self, claims: Collection[str] = ()) -> Iterator[Problem]:
        """Yield what is wrong with the containers' mounts; `claims` are volumes that the pod gets from its owner."""
        volumes = {*claims, *(volume.name for volume in self.volumes)}
        for field, container in self._places():
            taken: set[str] = set()
            for position, mount in enumerate(container.volume_mounts):
                where = f"{field}.volumeMounts[{position}]"
                if mount.name not in volumes:
                    yield Problem(f"must be the name of one of the pod's volumes, not {mount.name!r}", f"{where}.name")
                if mount.mount_path in taken:
                    yield Problem(f"must be unique: {mount.mount_path} is already mounted", f"{where}.mountPath")
                taken.add(mount.mount_path)

    def _container_name_problems(self) -> Iterator[Problem]:
        seen: set[str] = set()
        for field, container in self._places():
            if container.name in seen:
                yield Problem(f"must be unique: container {container.name} is already defined", f"{field}.name")
            seen.add(container.name)

    def _places(self) -> Iterator[tuple[str, Container]]:
        """Yield every container with the field that it is in."""
        for field, containers in (("initContainers", self.init_containers), ("containers", self.containers)):
            for position, container in enumerate(containers):
                yield f"{field}[{position}]", container


class Pod(PodSpec):
    """One workload of its own, without an owner that makes and replaces it."""

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        yield from self.mount_problems()


class PodTemplate(Struct):
    """The pods that a Deployment, ReplicaSet or StatefulSet makes."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: PodSpec
