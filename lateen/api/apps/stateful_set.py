"""StatefulSet: numbered pods with lasting names."""

from collections.abc import Iterator
from enum import StrEnum

from pydantic import Field

from lateen.api.apps.replicas import Replicas
from lateen.api.core.volume import VolumeClaimTemplate
from lateen.api.fields import Count, Ignored, IntOrString, is_label
from lateen.api.structs import Problem, Struct


class PodManagement(StrEnum):
    """Whether pods start and stop one after the other or all at once."""

    ORDERED_READY = "OrderedReady"
    PARALLEL = "Parallel"


class UpdateType(StrEnum):
    """Whether pods are replaced when the template changes, or only when they are deleted."""

    ROLLING_UPDATE = "RollingUpdate"
    ON_DELETE = "OnDelete"


class PartitionedUpdate(Struct):
    """Replaces only the pods whose number is at least `partition`."""

    partition: Count = 0
    max_unavailable: IntOrString | None = None


class UpdateStrategy(Struct):
    """How pods are replaced."""

    type: UpdateType = UpdateType.ROLLING_UPDATE
    rolling_update: PartitionedUpdate | None = None


class Ordinals(Struct):
    """The number of the first pod."""

    start: Count = 0


class StatefulSet(Replicas):
    """Pods `name-0`, `name-1`, …, each known by its name under the headless service `service_name`."""

    service_name: str = ""
    pod_management_policy: PodManagement = PodManagement.ORDERED_READY
    ordinals: Ordinals = Field(default_factory=Ordinals)
    update_strategy: UpdateStrategy = Field(default_factory=UpdateStrategy)
    revision_history_limit: Ignored = None
    volume_claim_templates: tuple[VolumeClaimTemplate, ...] = ()
    persistent_volume_claim_retention_policy: Ignored = None

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        for position, name in enumerate(self.claim_names):
            if not is_label(name):
                where = f"volumeClaimTemplates[{position}].metadata.name"
                yield Problem(f"must be lower-case letters, digits and -, not {name!r}", where)

    @property
    def claim_names(self) -> tuple[str, ...]:
        return tuple(claim.metadata.name for claim in self.volume_claim_templates)
