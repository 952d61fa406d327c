"""What a Telemetry says of access logs: of which calls there is a line, and where it goes."""

from lateen.api.fields import Bool
from lateen.api.structs import Struct
from lateen.api.telemetry.expressions import ConditionText
from lateen.api.telemetry.scopes import ProviderRef, WorkloadMode


class LogSelector(Struct):
    """Of which calls there are lines."""

    mode: WorkloadMode = WorkloadMode.CLIENT_AND_SERVER


class LogFilter(Struct):
    """Only calls for which an expression in CEL is true get a line."""

    expression: ConditionText


class AccessLogging(Struct):
    """One entry of a Telemetry's `accessLogging`."""

    match: LogSelector | None = None
    providers: tuple[ProviderRef, ...] = ()
    disabled: Bool | None = None
    filter: LogFilter | None = None

    @property
    def mode(self) -> WorkloadMode:
        """Which calls are meant."""
        return self.match.mode if self.match else WorkloadMode.CLIENT_AND_SERVER
