"""How networking kinds point at workloads, and the ports that several of them share."""

from enum import StrEnum

from lateen.api.fields import EMPTY_MAP, Labels, NonEmpty, Port
from lateen.api.structs import Struct


class WorkloadSelector(Struct):
    """Selects the workloads that have all these labels; without labels it selects every workload of its namespace."""

    labels: Labels = EMPTY_MAP


class TypedSelector(Struct):
    """Selects workloads as the newer Istio kinds do: by `matchLabels`."""

    match_labels: Labels = EMPTY_MAP


class TargetReference(Struct):
    """Names the one object that a policy is attached to, as the Gateway API does."""

    group: str = ""
    kind: NonEmpty
    name: NonEmpty
    namespace: str = ""


class PortSelector(Struct):
    """Names one port by its number."""

    number: Port


class CaptureMode(StrEnum):
    """How traffic to or from a Sidecar's listener reaches the proxy."""

    DEFAULT = "DEFAULT"
    IPTABLES = "IPTABLES"
    NONE = "NONE"
