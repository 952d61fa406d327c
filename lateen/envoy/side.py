"""Which side of a proxy a listener is on; many of Envoy's settings differ by it and by nothing else."""

from enum import Enum, auto


class Side(Enum):
    """Where the requests come from: the workload itself, other proxies, or clients outside the mesh."""

    OUTBOUND = auto()
    INBOUND = auto()
    GATEWAY = auto()
