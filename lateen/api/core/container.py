"""Containers: the commands that make up a workload."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from lateen.api.core.probe import Lifecycle, Probe
from lateen.api.core.service import TransportProtocol
from lateen.api.fields import (
    EMPTY_MAP,
    NO_EFFECT,
    Bool,
    Ignored,
    NonEmpty,
    PathInside,
    Port,
    Quantities,
    Quantity,
    is_label,
)
from lateen.api.structs import Checked, Problem, Struct, at_most_one, exactly_one


class KeyReference(Struct):
    """One entry of a ConfigMap or a Secret of the same namespace."""

    name: NonEmpty
    key: NonEmpty
    optional: Bool = False


class FieldReference(Struct):
    """A field of the pod itself, like `metadata.name` or `status.podIP`."""

    field_path: NonEmpty
    api_version: str = "v1"


class ResourceReference(Struct):
    """A resource request or limit of a container, like `limits.cpu`."""

    resource: NonEmpty
    container_name: str = ""
    divisor: Quantity | None = None


class EnvSource(Checked):
    """Where the value of an environment variable comes from."""

    config_map_key_ref: KeyReference | None = None
    secret_key_ref: KeyReference | None = None
    field_ref: FieldReference | None = None
    resource_field_ref: ResourceReference | None = None

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "config_map_key_ref", "secret_key_ref", "field_ref", "resource_field_ref")


class EnvVar(Checked):
    """One environment variable; `$(OTHER)` in its value stands for a variable defined before it."""

    name: Annotated[str, Field(pattern="^[^=\\x00]+$")]
    value: str = ""
    value_from: EnvSource | None = None

    def problems(self) -> Iterator[Problem]:
        if self.value and self.value_from is not None:
            yield Problem("must not be set beside value", "valueFrom")


class ObjectReference(Struct):
    """A ConfigMap or Secret of the same namespace, as a whole."""

    name: NonEmpty
    optional: Bool = False


class EnvFrom(Checked):
    """Every entry of a ConfigMap or Secret as an environment variable, its name after a prefix."""

    prefix: str = ""
    config_map_ref: ObjectReference | None = None
    secret_ref: ObjectReference | None = None

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "config_map_ref", "secret_ref")


class ContainerPort(Struct):
    """A port that the container listens on; its name can stand for the number elsewhere."""

    name: Annotated[str, Field(max_length=15)] = ""
    container_port: Port
    protocol: TransportProtocol = TransportProtocol.TCP
    host_port: Port | None = None
    host_ip: str = ""


def _folder_of_its_own(path: str) -> str:
    if not path.startswith("/") or not path.strip("/") or ".." in path.split("/"):
        raise ValueError(f"must be an absolute path such as /etc/config, without .. and not / itself, not {path!r}")
    return path


class VolumeMount(Checked):
    """Where a volume of the pod appears in the container."""

    name: NonEmpty
    mount_path: Annotated[str, AfterValidator(_folder_of_its_own)]
    read_only: Bool = False
    sub_path: PathInside = ""
    sub_path_expr: PathInside = ""
    mount_propagation: Ignored = None
    recursive_read_only: Ignored = None

    def problems(self) -> Iterator[Problem]:
        yield from at_most_one(self, "sub_path", "sub_path_expr")


class Resources(Struct):
    """How much of the machine a container asks for and may take."""

    requests: Quantities = EMPTY_MAP
    limits: Quantities = EMPTY_MAP
    claims: Ignored = None


class ContainerRestart(StrEnum):
    """Whether a container is started again; an init container with Always keeps running beside the others."""

    ALWAYS = "Always"
    ON_FAILURE = "OnFailure"
    NEVER = "Never"


class Container(Checked):
    """One command with its environment, ports and probes."""

    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[EnvVar, ...] = ()
    env_from: tuple[EnvFrom, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    volume_mounts: tuple[VolumeMount, ...] = ()
    restart_policy: ContainerRestart | None = None
    resources: Annotated[Resources | None, NO_EFFECT] = None
    image_pull_policy: Ignored = None
    security_context: Ignored = None
    resize_policy: Ignored = None
    restart_policy_rules: Ignored = None
    stdin: Ignored = None
    stdin_once: Ignored = None
    termination_message_path: Ignored = None
    termination_message_policy: Ignored = None
    tty: Ignored = None
    volume_devices: Ignored = None

    def problems(self) -> Iterator[Problem]:
        if not is_label(self.name):
            yield Problem(f"must be lower-case letters, digits and -, not {self.name!r}", "name")
        if not self.image and not self.command:
            yield Problem("must have an image or a command")
        for field in ("liveness_probe", "startup_probe"):
            probe: Probe | None = getattr(self, field)
            if probe is not None and probe.success_threshold != 1:
                yield Problem("must be 1", f"{field.split('_')[0]}Probe.successThreshold")
