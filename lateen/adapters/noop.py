"""Lets pass whatever it is asked, grants what is wanted, and drops what it is told."""

from collections.abc import Sequence

from lateen.mixer.ports import CheckResult, MadeInstance, QuotaRequest, QuotaResult


class Noop:
    """A handler of the adapter noop."""

    def check(self, instance: MadeInstance) -> CheckResult:
        """Let it pass."""
        return CheckResult()

    def take(self, instance: MadeInstance, request: QuotaRequest) -> QuotaResult:
        """Grant what is wanted."""
        return QuotaResult(request.amount)

    def report(self, instances: Sequence[MadeInstance]) -> None:
        """Drop it."""

    async def close(self) -> None:
        """Hold nothing."""
