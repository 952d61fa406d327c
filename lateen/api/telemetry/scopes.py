"""What the parts of a Telemetry have in common: the calls that they are about, and the providers that they name."""

from enum import StrEnum

from lateen.api.fields import NonEmpty
from lateen.api.structs import Struct


class WorkloadMode(StrEnum):
    """Which of a workload's calls are meant: those that it makes, those that it gets, or both."""

    CLIENT_AND_SERVER = "CLIENT_AND_SERVER"
    CLIENT = "CLIENT"
    SERVER = "SERVER"
    UNDEFINED = "UNDEFINED"

    @property
    def has_client(self) -> bool:
        """Whether calls that the workload makes are meant."""
        return self is not WorkloadMode.SERVER

    @property
    def has_server(self) -> bool:
        """Whether calls that the workload gets are meant."""
        return self is not WorkloadMode.CLIENT


class ProviderRef(Struct):
    """One of MeshConfig's extensionProviders."""

    name: NonEmpty
