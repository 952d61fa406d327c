"""What the node agent writes down, so that its successor takes over every pod as it is: one JSON file.

Pods are kept with the template that they were made from: the config may have moved on while no agent was there to see.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lateen.api.core.pod import PodTemplate
from lateen.model.proxy import Role
from lateen.model.workload import HealthVerdict
from lateen.platforms.local.container_life import ContainerMemory
from lateen.platforms.local.pod_life import PodMemory
from lateen.platforms.local.pods import PodDesign

PublishedKey = str
"""`namespace/service:port`, the key under which a host port is remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberedPod:
    """A pod that existed when the file was written."""

    design: PodDesign
    role: Role | None
    memory: PodMemory


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """Everything that outlives an agent."""

    pods: tuple[RememberedPod, ...] = ()
    last_address: str = ""
    host_ports: Mapping[PublishedKey, int] = field(default_factory=dict)


def read(file: Path) -> Remembered:
    """Read what a predecessor wrote; nothing where there was none."""
    try:
        told = json.loads(file.read_bytes())
    except FileNotFoundError:
        return Remembered()
    return Remembered(
        pods=tuple(map(_read_pod, told["pods"])),
        last_address=told["last_address"],
        host_ports=told["host_ports"],
    )


def write(file: Path, remembered: Remembered) -> None:
    """Write everything down in one step: a reader sees the old file or the new one."""
    told = {
        "pods": [_written_pod(pod) for pod in remembered.pods],
        "last_address": remembered.last_address,
        "host_ports": dict(remembered.host_ports),
    }
    new = file.with_suffix(".new")
    new.write_text(json.dumps(told))
    new.replace(file)


def _written_pod(pod: RememberedPod) -> dict[str, Any]:
    design = {name: getattr(pod.design, name) for name in pod.design.__slots__ if name != "template"}
    template = pod.design.template.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {"design": design, "template": template, "role": pod.role, "memory": asdict(pod.memory)}


def _read_pod(told: Mapping[str, Any]) -> RememberedPod:
    design = PodDesign(template=PodTemplate.model_validate(told["template"]), **told["design"])
    containers = {name: ContainerMemory(**each) for name, each in told["memory"]["containers"].items()}
    role = Role(told["role"]) if told["role"] else None
    said = told["memory"].get("verdict")
    verdict = HealthVerdict(**said) if said else None
    memory = PodMemory(**{**told["memory"], "containers": containers, "verdict": verdict})
    return RememberedPod(design=design, role=role, memory=memory)
