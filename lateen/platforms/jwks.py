"""Fetches the keys with which tokens are verified, and keeps them fresh. The only place that asks issuers anything."""

import asyncio
import json
import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from urllib.parse import urlsplit

from lateen.api.security import key_sets
from lateen.api.security.oidc_login import OidcLogin
from lateen.api.security.request_authentication import DISCOVERY, RequestAuthentication
from lateen.errors import LateenError, ProtocolError
from lateen.manager import key_care
from lateen.manager.key_care import KeyRecord
from lateen.model.key_sets import KeySet, ProviderEndpoints
from lateen.model.snapshot import Snapshot

MAX_AT_ONCE: Final = 8
LONGEST_TIMEOUT: Final = timedelta(seconds=30)
_LOGIN_TIMEOUT: Final = timedelta(seconds=5)
_PROVIDER: Final = "provider_"

_log = logging.getLogger(__name__)


Row = Mapping[str, str | int]


class Documents(Protocol):
    """Reads documents from the network."""

    async def read(self, url: str, patience: timedelta) -> bytes:
        """Return a document. Raises `Unavailable` or `ProtocolError`; never takes much longer than the patience is."""
        ...


class Memory(Protocol):
    """Keeps records over a restart of the control plane."""

    def load(self) -> Sequence[Row]:
        """Return what was saved last; nothing when nothing was."""
        ...

    def save(self, records: Sequence[Row]) -> None:
        """Replace what was saved."""
        ...


class Facts(Protocol):
    """Who is told what keys there are: the control loop."""

    def report_keys(self, key_sets: Mapping[str, KeySet]) -> int:
        """Take in all that is known, by URL."""
        ...


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be fetched, and how long an answer is waited for."""

    url: str
    timeout: timedelta


class KeyFetcher:
    """Keeps the keys of all issuers that a RequestAuthentication or OidcLogin names, and tells the control loop."""

    def __init__(
        self,
        facts: Facts,
        documents: Documents,
        memory: Memory,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        jitter: Callable[[], float] = lambda: random.uniform(-1, 1),  # noqa: S311
    ) -> None:
        self._facts = facts
        self._documents = documents
        self._memory = memory
        self._now = now
        self._jitter = jitter
        self._wanted: dict[str, _Wanted] = {}
        self._records: dict[str, KeyRecord] = {}
        self._remembered = {record.url: record for record in map(_record, memory.load())}
        self._told: Mapping[str, KeySet] = {}
        self._wake = asyncio.Event()

    @property
    def records(self) -> tuple[KeyRecord, ...]:
        """What is known of every issuer's keys, by URL: for status and metrics."""
        return tuple(self._records[url] for url in sorted(self._records))

    def take(self, snapshot: Snapshot) -> None:
        """Note which keys a mesh needs: a listener of the control loop."""
        wanted = {
            rule.keys_url: _Wanted(rule.keys_url, min(rule.timeout, LONGEST_TIMEOUT))
            for item in snapshot.config.of(RequestAuthentication)
            for rule in item.spec.jwt_rules
            if rule.keys_url
        }
        for login in snapshot.config.of(OidcLogin):
            for url in login.spec.fetched_urls:
                wanted.setdefault(url, _Wanted(url, _LOGIN_TIMEOUT))
        if wanted != self._wanted:
            self._wanted = wanted
            now = self._now()
            known = self._remembered | self._records
            self._records = {url: known.get(url) or key_care.wanted(url, now) for url in wanted}
            self._tell()
            self._wake.set()

    async def run(self) -> None:
        """Fetch what is due, for ever; until cancelled."""
        while True:
            self._wake.clear()
            now = self._now()
            due = [url for url, record in self._records.items() if record.next_at <= now]
            if due:
                await self._refresh(due)
            self._tell()
            await self._rest()

    async def _rest(self) -> None:
        soonest = min((record.next_at for record in self._records.values()), default=None)
        seconds = None if soonest is None else max(0.0, (soonest - self._now()).total_seconds())
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _refresh(self, urls: Iterable[str]) -> None:
        """Fetch several at a time; an issuer that hangs makes the others wait for its timeout at most."""
        places = asyncio.Semaphore(MAX_AT_ONCE)

        async def one(url: str) -> None:
            async with places:
                await self._fetch(url)
            self._tell()

        async with asyncio.TaskGroup() as tasks:
            for url in urls:
                tasks.create_task(one(url))

    async def _fetch(self, url: str) -> None:
        wanted = self._wanted[url]
        try:
            keys, provider = await self._read_keys(wanted)
        except LateenError as error:
            why = str(error)
            self._note(url, lambda record: key_care.failed(record, why, self._now(), self._jitter()))
            _log.warning("the keys of %s could not be fetched: %s", url, error)
        else:
            self._note(url, lambda record: key_care.fetched(record, keys, self._now(), self._jitter(), provider))
            self._memory.save([_row(record) for record in self.records if record.fetched_at is not None])

    async def _read_keys(self, wanted: _Wanted) -> tuple[str, ProviderEndpoints | None]:
        body = await self._documents.read(wanted.url, wanted.timeout)
        if not wanted.url.endswith(DISCOVERY):
            return _read_key_set(body), None
        found = _Discovered.read(body, wanted.url)
        return _read_key_set(await self._documents.read(found.keys_url, wanted.timeout)), found.provider

    def _note(self, url: str, change: Callable[[KeyRecord], KeyRecord]) -> None:
        """Change a record, unless nobody wants its keys any more."""
        if url in self._records:
            self._records[url] = change(self._records[url])

    def _tell(self) -> None:
        now = self._now()
        known = {url: key_care.key_set(record, now) for url, record in self._records.items()}
        found = {url: keys for url, keys in known.items() if keys is not None}
        if found != self._told:
            self._told = found
            self._facts.report_keys(found)


def _read_key_set(body: bytes) -> str:
    """Return the public keys of a key set. Raises `ProtocolError` where there is none."""
    try:
        keys = key_sets.public_keys(body)
    except ValueError:
        raise ProtocolError("the answer is no JSON Web Key Set") from None
    if not keys:
        raise ProtocolError("the key set has no whole public key for signatures")
    return key_sets.encode_keys(keys)


@dataclass(frozen=True, slots=True)
class _Discovered:
    """What an issuer's discovery document tells."""

    keys_url: str
    provider: ProviderEndpoints

    @classmethod
    def read(cls, body: bytes, url: str) -> "_Discovered":
        """Read a document; what was asked over HTTPS leads nowhere else. Raises `ProtocolError` for a bad one."""
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            raise ProtocolError("the discovery document is no JSON") from None
        told = content if isinstance(content, dict) else {}
        schemes = ("https",) if urlsplit(url).scheme == "https" else ("http", "https")

        def place(name: str) -> str:
            found = told.get(name)
            is_good = isinstance(found, str) and _is_place(found, schemes)
            return str(found) if is_good else ""

        if not (keys_url := place("jwks_uri")):
            raise ProtocolError(f"the discovery document names no jwks_uri with {' or '.join(schemes)}")
        issuer = told.get("issuer")
        endpoints = map(place, ("authorization_endpoint", "token_endpoint", "end_session_endpoint"))
        return cls(keys_url, ProviderEndpoints(issuer if isinstance(issuer, str) else "", *endpoints))


def _is_place(url: str, schemes: Sequence[str]) -> bool:
    """Tell whether a text is a URL that a document may lead to."""
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and not parts.fragment and parts.port != 0
    except ValueError:
        return False


def _row(record: KeyRecord) -> Row:
    at = record.fetched_at.isoformat() if record.fetched_at else ""
    provider = asdict(record.provider) if record.provider is not None else {}
    told = {f"{_PROVIDER}{name}": value for name, value in provider.items()}
    return {"url": record.url, "keys": record.keys, "fetched_at": at, **told}


def _record(row: Row) -> KeyRecord:
    """Read a remembered record: its keys count at once, and are fetched again as soon as somebody wants them."""
    at = datetime.fromisoformat(str(row["fetched_at"]))
    told = {name.removeprefix(_PROVIDER): str(value) for name, value in row.items() if name.startswith(_PROVIDER)}
    provider = ProviderEndpoints(**told) if told else None
    return KeyRecord(str(row["url"]), at, str(row["keys"]), at, provider=provider)
