"""Bootstrap tokens made at the owner's wish: each for one workload, written down before it is given out."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from lateen.auth import tokens
from lateen.auth.attestation import Attested
from lateen.auth.tokens import TokenClaims, TokenSigner
from lateen.errors import ProtocolError
from lateen.names import Identity

DEFAULT_LIFETIME: Final = timedelta(minutes=15)
LONGEST_LIFETIME: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Newcomer:
    """The workload that a token is for."""

    namespace: str
    service_account: str
    workload: str
    app: str = ""
    version: str = ""


class MintedStore(Protocol):
    """Keeps which tokens were made, for whoever asks later."""

    def add_minted(self, claims: TokenClaims, now: datetime) -> None:
        """Keep what a token says, never the token. Raises `Unavailable`."""


class TokenMint:
    """Makes tokens for the mesh's own trust domain. `domain` says which that is now, `ids` gives unique names."""

    def __init__(
        self,
        signer: TokenSigner,
        store: MintedStore,
        domain: Callable[[], str],
        clock: Callable[[], datetime],
        ids: Callable[[], str],
    ) -> None:
        self._signer = signer
        self._store = store
        self._domain = domain
        self._clock = clock
        self._ids = ids

    def mint(self, newcomer: Newcomer, lifetime: timedelta = DEFAULT_LIFETIME) -> tuple[str, TokenClaims]:
        """Return a token and what it says. The record has everything but the token itself.

        Raises `ProtocolError` for names that no certificate can carry and for lifetimes out of bounds, `Unavailable`
        when it cannot be written down.
        """
        if not timedelta() < lifetime <= LONGEST_LIFETIME:
            raise ProtocolError(f"a bootstrap token lives for more than nothing and at most 24h, not {lifetime}")
        identity = Identity(self._domain(), newcomer.namespace, newcomer.service_account)
        attested = Attested(identity, newcomer.workload, newcomer.app, newcomer.version)
        if not attested.workload:
            raise ProtocolError("a bootstrap token is for one workload: say its name")
        now = self._clock()
        claims = TokenClaims(self._ids(), identity, newcomer.workload, now + lifetime, newcomer.app, newcomer.version)
        self._store.add_minted(claims, now)
        return tokens.make_token(self._signer, claims), claims
