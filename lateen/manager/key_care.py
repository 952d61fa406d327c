"""When the keys of token issuers are fetched again, and how long old ones count: decisions without a clock.

Keys are refreshed every 20 minutes. After a failure it is tried again, at first after a second, then ever later, up to
a minute; the last good keys go on to count for a week.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from lateen.model.key_sets import KeySet, ProviderEndpoints

REFRESH: Final = timedelta(minutes=20)
FIRST_RETRY: Final = timedelta(seconds=1)
LAST_RETRY: Final = timedelta(minutes=1)
KEPT: Final = timedelta(days=7)
JITTER: Final = 0.2


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is known of the keys at a URL, and when they are to be fetched next."""

    url: str
    next_at: datetime
    keys: str = ""
    fetched_at: datetime | None = None
    failure: str = ""
    failures: int = 0
    provider: ProviderEndpoints | None = None


def wanted(url: str, now: datetime) -> KeyRecord:
    """Start to care for the keys at a URL: they are fetched at once."""
    return KeyRecord(url, now)


def fetched(
    record: KeyRecord, keys: str, now: datetime, jitter: float, provider: ProviderEndpoints | None = None
) -> KeyRecord:
    """Note new keys; `jitter` between -1 and 1 keeps many issuers from being asked at one time."""
    return KeyRecord(record.url, now + REFRESH * (1 + JITTER * jitter), keys, now, provider=provider)


def failed(record: KeyRecord, why: str, now: datetime, jitter: float) -> KeyRecord:
    """Note that keys could not be had, and when that is tried again."""
    failures = record.failures + 1
    delay = min(LAST_RETRY, FIRST_RETRY * 2 ** min(failures - 1, 10))
    return replace(record, next_at=now + delay * (1 + JITTER * jitter), failure=why, failures=failures)


def key_set(record: KeyRecord, now: datetime) -> KeySet | None:
    """Return what counts of a record; None while nothing is known yet, neither keys nor a failure."""
    if record.fetched_at is None and not record.failure:
        return None
    is_kept = record.fetched_at is not None and now - record.fetched_at < KEPT
    return KeySet(record.url, record.keys if is_kept else "", record.failure, record.provider if is_kept else None)
