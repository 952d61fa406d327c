"""Lets pass what is on a list, or what is not; lists may be fetched, and are fetched again and again then."""

import asyncio
import contextlib
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from lateen.adapters.listed import IsListed, entries_of, is_listed
from lateen.adapters.surroundings import Surroundings
from lateen.api.mixer.checks import ListCheckerParams
from lateen.api.status_codes import StatusCode
from lateen.errors import LateenError, ProtocolError, Unavailable
from lateen.mixer.ports import CheckResult, MadeInstance
from lateen.mixer.status import OK, Status
from lateen.mixer.values import Value

_PATIENCE: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class _Fetched:
    """A list that was fetched, until when it counts, and when another one may come."""

    test: IsListed
    until: float
    next_at: float


class ListChecker:
    """A handler of the adapter listchecker. Made in a running event loop when its list is fetched."""

    def __init__(self, params: ListCheckerParams, surroundings: Surroundings) -> None:
        self._params = params
        self._surroundings = surroundings
        self._written = is_listed(params.overrides, params.entry_type)
        self._fetched: _Fetched | None = None
        self._problem = "has not been fetched yet"
        self._first = asyncio.Event()
        self._fetching: asyncio.Task[None] | None = None
        if params.provider_url:
            self._fetching = asyncio.get_running_loop().create_task(self._keep_fetching(params.provider_url))

    def check(self, instance: MadeInstance) -> CheckResult | Awaitable[CheckResult]:
        """Say whether the instance's value may pass. Raises `Unavailable` while it is not known what is on the list."""
        if self._fetching is None or self._first.is_set():
            return self._checked(instance)
        return self._checked_when_fetched(instance)

    async def close(self) -> None:
        """Fetch no more."""
        if self._fetching is not None:
            self._fetching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._fetching

    async def _checked_when_fetched(self, instance: MadeInstance) -> CheckResult:
        await self._first.wait()
        return self._checked(instance)

    def _checked(self, instance: MadeInstance) -> CheckResult:
        value = instance.fields.get("value", "")
        try:
            status = self._status("" if isinstance(value, Mapping) else value)
        except ValueError as error:
            status = Status(StatusCode.INVALID_ARGUMENT, str(error))
        return CheckResult(status, self._valid_duration(), self._params.caching_use_count)

    def _status(self, value: Value) -> Status:
        is_on = self._written(value) or (self._params.provider_url is not None and self._is_on_fetched(value))
        if self._params.blacklist:
            return Status(StatusCode.PERMISSION_DENIED, f"{value} is blacklisted") if is_on else OK
        return OK if is_on else Status(StatusCode.NOT_FOUND, f"{value} is not whitelisted")

    def _is_on_fetched(self, value: Value) -> bool:
        fetched = self._fetched
        if fetched is None or self._surroundings.clock() >= fetched.until:
            raise Unavailable(f"the list {self._params.provider_url} {self._problem}")
        return fetched.test(value)

    def _valid_duration(self) -> timedelta:
        """Say how long an answer counts: no longer than the list that it was read from."""
        if self._fetched is None:
            return self._params.caching_interval if self._fetching is None else timedelta()
        left = max(0.0, min(self._fetched.next_at, self._fetched.until) - self._surroundings.clock())
        return min(self._params.caching_interval, timedelta(seconds=left))

    async def _keep_fetching(self, url: str) -> None:
        interval = self._params.refresh_interval.total_seconds()
        while True:
            try:
                await self._fetch(url, interval)
            except LateenError as error:
                self._problem = f"could not be fetched: {error}"
                self._surroundings.tell(f"list {url} {self._problem}")
            self._first.set()
            await self._surroundings.sleep(interval)

    async def _fetch(self, url: str, interval: float) -> None:
        text = (await self._surroundings.documents.read(url, _PATIENCE)).decode(errors="replace")
        try:
            test = is_listed(entries_of(text), self._params.entry_type)
        except ValueError as error:
            raise ProtocolError(f"it holds what is no entry of the type {self._params.entry_type}: {error}") from None
        now = self._surroundings.clock()
        self._fetched = _Fetched(test, now + self._params.ttl.total_seconds(), now + interval)
        self._problem = "was fetched too long ago"
