"""Pod: one workload: containers that share an address, an identity and a proxy."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from lateen.api.core.container import Container
from lateen.api.core.metadata import ObjectMeta
from lateen.api.fields import Address, Bool, Count, Ignored, Int, NonEmpty
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


class KeyToPath(Struct):
    """Puts one entry into a file of another name."""

    key: NonEmpty
    path: NonEmpty
    mode: Int | None = None


class ConfigMapVolume(Struct):
    """A ConfigMap as a folder of files."""

    name: NonEmpty
    items: tuple[KeyToPath, ...] = ()
    default_mode: Int | None = None
    optional: Bool = False


class SecretVolume(Struct):
    """A Secret as a folder of files."""

    secret_name: NonEmpty
    items: tuple[KeyToPath, ...] = ()
    default_mode: Int | None = None
    optional: Bool = False


class EmptyDirVolume(Struct):
    """A folder that lives as long as the pod."""

    medium: Ignored = None
    size_limit: Ignored = None


class HostPathVolume(Struct):
    """A file or folder of the machine."""

    path: NonEmpty
    type: str = ""


class Volume(Struct):
    """A named folder that containers can mount; of the many sources these four have an effect."""

    name: NonEmpty
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    empty_dir: EmptyDirVolume | None = None
    host_path: HostPathVolume | None = None
    csi: Ignored = None
    downward_api: Ignored = None
    ephemeral: Ignored = None
    image: Ignored = None
    iscsi: Ignored = None
    nfs: Ignored = None
    persistent_volume_claim: Ignored = None
    projected: Ignored = None


class Pod(Checked):
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
        volumes = {volume.name for volume in self.volumes}
        for field, containers in (("initContainers", self.init_containers), ("containers", self.containers)):
            for position, container in enumerate(containers):
                for mount_position, mount in enumerate(container.volume_mounts):
                    if mount.name not in volumes:
                        where = f"{field}[{position}].volumeMounts[{mount_position}].name"
                        yield Problem(f"must be the name of one of the pod's volumes, not {mount.name!r}", where)

    def _container_name_problems(self) -> Iterator[Problem]:
        seen: set[str] = set()
        for field, containers in (("initContainers", self.init_containers), ("containers", self.containers)):
            for position, container in enumerate(containers):
                if container.name in seen:
                    yield Problem(
                        f"must be unique: container {container.name} is already defined", f"{field}[{position}].name"
                    )
                seen.add(container.name)


class PodTemplate(Struct):
    """The pods that a Deployment, ReplicaSet or StatefulSet makes."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: Pod
