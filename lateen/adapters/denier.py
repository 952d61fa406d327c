"""Refuses whatever it is asked, with the status that its settings say."""

from lateen.api.mixer.checks import DenierParams
from lateen.mixer.ports import CheckResult, MadeInstance, QuotaRequest, QuotaResult
from lateen.mixer.status import Status


class Denier:
    """A handler of the adapter denier."""

    def __init__(self, params: DenierParams) -> None:
        status = Status(params.status.code, params.status.message)
        self._refusal = CheckResult(status, params.valid_duration, params.valid_use_count)
        self._nothing = QuotaResult(0, params.valid_duration, status)

    def check(self, instance: MadeInstance) -> CheckResult:
        """Refuse."""
        return self._refusal

    def take(self, instance: MadeInstance, request: QuotaRequest) -> QuotaResult:
        """Grant nothing."""
        return self._nothing

    async def close(self) -> None:
        """Hold nothing."""
