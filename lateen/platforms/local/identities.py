"""Keys and certificates of what runs on this machine: made here, held in memory only, renewed in time.

Each holder gets a key of its own with every certificate. Credentials go to whoever serves or uses them; a workload's go
to the socket where its proxy asks for them. A restart of the control plane makes new ones; what proxies have stays good
meanwhile.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from lateen.auth import keys, renewal, requests
from lateen.auth.attestation import Attested, Evidence
from lateen.auth.credentials import Credentials
from lateen.auth.issuer import CertificateSource
from lateen.auth.renewal import Urgency
from lateen.auth.rotation import Proof
from lateen.errors import LateenError

_log = logging.getLogger(__name__)

Describe = Callable[[str], Attested]
"""Says who a holder is, in the trust domain that it is given."""
Take = Callable[[Credentials], None]

_LONGEST_SLEEP_SECONDS: Final = 30.0
"""Clocks are set and machines sleep: so often the time is looked at again."""
_FIRST_RETRY_SECONDS: Final = 0.5
_LONGEST_RETRY_SECONDS: Final = 30.0
_SPREAD_SECONDS: Final = 1.0
"""Within this time the holders renew when the authority is another, so that they do not all come at once."""
_WARN_SHARE: Final = 0.25
"""When so much of its life is left, people are told that a certificate cannot be renewed."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """How the renewal of certificates goes: when the first one ends unless it is renewed, and what is in the way.

    `failing` counts the holders whose last attempt failed, since `since`, for the reason `problem`.
    """

    first_expiry: datetime | None = None
    failing: int = 0
    problem: str = ""
    since: datetime | None = None


class SecretDoor(Protocol):
    """Where one proxy asks for its workload's credentials."""

    @property
    def proof(self) -> Proof:
        """What the proxy has acknowledged."""

    async def open(self) -> None:
        """Let the proxy in; it waits for the first credentials."""

    def offer(self, credentials: Credentials) -> None:
        """Give the proxy these from now on."""

    async def close(self) -> None:
        """Let it in no more; it goes on with what it has."""


class Identities:
    """Everything on this machine that has an identity.

    `lifetime` says how long certificates are to live, None for as long as the authority thinks fit. `tell` gets lines
    for people, each problem once.
    """

    def __init__(
        self,
        source: CertificateSource,
        door: Callable[[Path], SecretDoor],
        tell: Callable[[str], None],
        lifetime: Callable[[], timedelta | None] = lambda: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        jitter: Callable[[], float] = lambda: random.uniform(-1.0, 1.0),  # noqa: S311 - no secret
    ) -> None:
        self._source = source
        self._door = door
        self._tell = tell
        self._lifetime = lifetime
        self._clock = clock
        self._jitter = jitter
        self._holders: dict[str, _Holder] = {}
        self._doors: dict[str, SecretDoor] = {}
        self._told: set[str] = set()
        source.subscribe(self.look_again)

    def started(self, name: str) -> Attested | None:
        """Say who a holder is that was started here; None for others. This is what the authority believes."""
        holder = self._holders.get(name)
        return holder.attested if holder is not None else None

    def proofs(self) -> Mapping[str, Proof]:
        """Say what each proxy has acknowledged."""
        return {name: door.proof for name, door in self._doors.items()}

    def own_proofs(self) -> Mapping[str, Proof]:
        """Say what they have who are no proxies."""
        return {name: holder.proof for name, holder in self._holders.items() if name not in self._doors}

    def outlook(self) -> Outlook:
        """Say how renewal goes."""
        ends = [holder.not_after for holder in self._holders.values() if holder.not_after is not None]
        failing = [holder for holder in self._holders.values() if holder.problem]
        since = [holder.failing_since for holder in failing if holder.failing_since is not None]
        problem = failing[0].problem if failing else ""
        return Outlook(min(ends, default=None), len(failing), problem, min(since, default=None))

    async def hold(self, name: str, describe: Describe) -> Credentials:
        """Get the first credentials of what is no workload; `follow` has them renewed. Raises as the authority."""
        return await self._take_up(name, describe).renew()

    def follow(self, name: str, take: Take) -> None:
        """Have `take` called with the credentials of a holder whenever there are others."""
        self._holders[name].follow(take)

    async def admit(self, name: str, describe: Describe, socket: Path) -> None:
        """Serve a workload's proxy at a socket; when this returns it can be asked there. Fine if it is admitted.

        `name` is the workload's, `name.namespace`.
        """
        if name in self._doors:
            return
        door = self._doors[name] = self._door(socket)
        await door.open()
        self._take_up(name, describe).follow(door.offer)

    async def dismiss(self, name: str) -> None:
        """Forget a workload that is gone."""
        if (holder := self._holders.pop(name, None)) is not None:
            await holder.end()
        if (door := self._doors.pop(name, None)) is not None:
            await door.close()

    async def close(self) -> None:
        """Renew nothing more and close all doors."""
        await asyncio.gather(*(self.dismiss(name) for name in tuple(self._holders)))

    def look_again(self) -> None:
        """Renew what is not as it should be: the authority, the lifetime or the trust domain may be another."""
        for holder in self._holders.values():
            holder.nudge()

    def _take_up(self, name: str, describe: Describe) -> "_Holder":
        holder = self._holders[name] = _Holder(
            name, describe, self._source, self._lifetime, self._clock, self._jitter, self._tell_once, self._recovered
        )
        return holder

    def _recovered(self) -> None:
        """Tell that certificates are renewed again, when nobody waits any more."""
        if self._told and not self.outlook().failing:
            self._told.clear()
            self._tell("certificates are renewed again")

    def _tell_once(self, line: str) -> None:
        """Tell a problem that many holders may have at once."""
        _log.warning("%s", line)
        if line not in self._told:
            self._told.add(line)
            self._tell(line)


class _Holder:
    """One identity, its credentials and their renewal."""

    def __init__(
        self,
        name: str,
        describe: Describe,
        source: CertificateSource,
        lifetime: Callable[[], timedelta | None],
        clock: Callable[[], datetime],
        jitter: Callable[[], float],
        tell: Callable[[str], None],
        recovered: Callable[[], None],
    ) -> None:
        self.problem = ""
        self.failing_since: datetime | None = None
        self._recovered = recovered
        self._name = name
        self._describe = describe
        self._take: Take = _ignore
        self._source = source
        self._lifetime = lifetime
        self._clock = clock
        self._jitter_of = jitter
        self._tell = tell
        self._jitter = jitter()
        self._wanted_lifetime: timedelta | None = None
        self._credentials: Credentials | None = None
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def proof(self) -> Proof:
        """What it has now."""
        has = self._credentials
        return Proof() if has is None else Proof(has.bundle.digest, has.certificate.issued.signer)

    @property
    def not_after(self) -> datetime | None:
        """When its certificate ends; None before it has one."""
        return self._credentials.certificate.issued.not_after if self._credentials is not None else None

    @property
    def attested(self) -> Attested:
        """Who it is, in the trust domain of now."""
        return self._describe(self._source.bundle.domain)

    def follow(self, take: Take) -> None:
        """Renew in time from now on, and hand the credentials on."""
        self._take = take
        self._task = asyncio.create_task(self._follow(), name=f"identity of {self._name}")

    def nudge(self) -> None:
        """Look again whether everything is as it should be."""
        self._news.set()

    async def end(self) -> None:
        """Renew no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def renew(self) -> Credentials:
        """Get a new key and certificate, and hand them on."""
        lifetime, attested = self._lifetime(), self.attested
        key_pem, request = await asyncio.to_thread(_key_and_request, attested)
        certificate = self._source.issue(Evidence(started=self._name), request, lifetime)
        self._credentials = Credentials(certificate, key_pem, self._source.bundle)
        self._wanted_lifetime, self._jitter = lifetime, self._jitter_of()
        self._take(self._credentials)
        return self._credentials

    async def _follow(self) -> None:
        try:
            while True:
                self._news.clear()
                self._pass_on_bundle()
                if self._must_renew():
                    await self._renew_patiently()
                else:
                    await self._sleep(self._seconds_until_due())
                    await self._spread()
        except Exception:
            _log.exception("the credentials of %s are not renewed any more", self._name)
            self._tell(f"the credentials of {self._name} are not renewed any more: a defect, see control-plane.log")

    def _pass_on_bundle(self) -> None:
        """Have other roots trusted at once; the certificate can wait."""
        bundle = self._source.bundle
        if self._credentials is not None and self._credentials.bundle != bundle:
            self._credentials = replace(self._credentials, bundle=bundle)
            self._take(self._credentials)

    def _must_renew(self) -> bool:
        if self._credentials is None:
            return True
        issued = self._credentials.certificate.issued
        is_another = issued.identity != self.attested.identity or self._wanted_lifetime != self._lifetime()
        return is_another or self._urgency() is not Urgency.NONE

    def _urgency(self) -> Urgency:
        assert self._credentials is not None
        issued = self._credentials.certificate.issued
        return renewal.urgency(issued, self._clock(), self._source.signer, self._jitter)

    async def _renew_patiently(self) -> None:
        """Renew, as often as it takes."""
        retry_seconds = _FIRST_RETRY_SECONDS
        while True:
            try:
                await self.renew()
            except LateenError as problem:
                self._complain(problem)
            else:
                if self.problem:
                    self.problem, self.failing_since = "", None
                    self._recovered()
                return
            await asyncio.sleep(retry_seconds * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            retry_seconds = min(2 * retry_seconds, _LONGEST_RETRY_SECONDS)
            self._pass_on_bundle()

    def _complain(self, problem: LateenError) -> None:
        """Say that there is no new certificate, and how long the one before still counts; again when that is short."""
        _log.warning("no new certificate for %s: %s", self._name, problem)
        self.problem = str(problem)
        self.failing_since = self.failing_since or self._clock()
        if self._credentials is None:
            self._tell(f"{self._name} has no certificate: {problem}")
            return
        issued = self._credentials.certificate.issued
        self._tell(f"certificates cannot be renewed; nothing fails before the first of them expires: {problem}")
        if issued.not_after - self._clock() < _WARN_SHARE * (issued.not_after - issued.not_before):
            self._tell(f"certificates are about to expire and cannot be renewed: {problem}")

    def _seconds_until_due(self) -> float:
        assert self._credentials is not None
        due = renewal.renew_at(self._credentials.certificate.issued, self._jitter)
        return max(0.0, (due - self._clock()).total_seconds())

    async def _sleep(self, seconds: float) -> None:
        """Sleep until there may be something to do."""
        try:
            async with asyncio.timeout(min(seconds, _LONGEST_SLEEP_SECONDS)):
                await self._news.wait()
        except TimeoutError:
            pass

    async def _spread(self) -> None:
        """Wait one's turn when all holders are to renew; roots that are new are passed on before that."""
        self._pass_on_bundle()
        if self._news.is_set() and self._must_renew():
            await asyncio.sleep(random.uniform(0.0, _SPREAD_SECONDS))  # noqa: S311 - no secret


def _ignore(_: Credentials) -> None:
    """Take credentials that are returned as well."""


def _key_and_request(attested: Attested) -> tuple[bytes, bytes]:
    """Make a key and ask to have it certified. To be called in a thread."""
    key = keys.make_key()
    return keys.key_pem(key), requests.certificate_request(key, attested.identity)
