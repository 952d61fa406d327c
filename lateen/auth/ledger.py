"""What the authority has issued: a bounded list that survives restarts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from lateen.auth.certificate import Issued
from lateen.auth.ports import LedgerStore

MOST_RECORDS: Final = 50_000
_LEAST_TO_TIDY: Final = 512


class Ledger:
    """The certificates that have not expired; beyond `most` of them the first to expire are forgotten.

    A record is in the store before `record` returns. Store and memory hold at most twice as many records as are valid.
    """

    def __init__(self, store: LedgerStore, most: int = MOST_RECORDS) -> None:
        self._store = store
        self._most = most
        self._records = list(store.load_issued())
        self._tidy_at = _LEAST_TO_TIDY

    def record(self, issued: Issued, now: datetime) -> None:
        """Add a certificate; raises `Unavailable` when the store cannot keep it."""
        self._store.add_issued(issued)
        self._records.append(issued)
        if len(self._records) >= self._tidy_at:
            self._tidy(now)

    def valid(self, now: datetime) -> Sequence[Issued]:
        """List the certificates that have not expired, the first to expire first."""
        return sorted((each for each in self._records if each.not_after > now), key=_expiry)

    def _tidy(self, now: datetime) -> None:
        self._records = list(self.valid(now))[-self._most :]
        self._tidy_at = max(_LEAST_TO_TIDY, 2 * len(self._records))
        self._store.replace_issued(self._records)


def _expiry(issued: Issued) -> datetime:
    return issued.not_after
