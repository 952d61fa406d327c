"""What the authority needs from outside: places that keep its state over a restart."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from lateen.auth.certificate import Issued


@dataclass(frozen=True, slots=True)
class StoredAuthority:
    """One authority in PEM."""

    certificate: str
    key: str = field(repr=False)
    intermediates: tuple[str, ...]
    roots: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredRotation:
    """Where the change of roots stands, with the authorities that it is about."""

    stage: str
    current: StoredAuthority
    next: StoredAuthority | None = None


class AuthorityStore(Protocol):
    """Keeps the authority's keys: readable by its owner only, replaced in one step."""

    def load_rotation(self) -> StoredRotation | None:
        """Return what was saved last; None at the first start. Raises `Unavailable` when it cannot be read."""

    def save_rotation(self, stored: StoredRotation) -> None:
        """Keep this and nothing else; it is safe when this returns. Raises `Unavailable`."""


class LedgerStore(Protocol):
    """Keeps what was issued."""

    def load_issued(self) -> Sequence[Issued]:
        """Return what was added and not replaced, in order. Raises `Unavailable` when it cannot be read."""

    def add_issued(self, issued: Issued) -> None:
        """Keep one more. Raises `Unavailable`."""

    def replace_issued(self, issued: Iterable[Issued]) -> None:
        """Keep these and nothing else. Raises `Unavailable`."""


class SpentStore(Protocol):
    """Keeps the ids of tokens that have been used, each until its token has expired anyway."""

    def load_spent(self) -> Sequence[tuple[str, datetime]]:
        """Return ids with the end of their tokens' time. Raises `Unavailable` when they cannot be read."""

    def add_spent(self, token_id: str, until: datetime) -> None:
        """Keep one more. Raises `Unavailable`."""

    def replace_spent(self, spent: Iterable[tuple[str, datetime]]) -> None:
        """Keep these and nothing else. Raises `Unavailable`."""
