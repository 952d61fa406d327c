"""The authority as one door: who asks is attested, the request is signed, and what was issued is written down."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from lateen.auth import attestation, authority, requests, rotation, stored
from lateen.auth.attestation import Attested, Attestor, Evidence
from lateen.auth.authority import Authority, Lifetimes
from lateen.auth.certificate import Certificate, Issued
from lateen.auth.keys import Key
from lateen.auth.ledger import Ledger
from lateen.auth.meters import AuthorityMeters
from lateen.auth.ports import AuthorityStore
from lateen.auth.rotation import Lack, Proofs, Rotation
from lateen.auth.trust import Root, TrustBundle, TrustDomain
from lateen.errors import LateenError, NotPermitted, ProtocolError


class CertificateSource(Protocol):
    """Where node agents get certificates from."""

    @property
    def bundle(self) -> TrustBundle:
        """Whom every proxy is to trust now."""

    @property
    def signer(self) -> str:
        """The fingerprint of the certificate that signs now; a certificate of another signer is to be renewed soon."""

    def issue(self, evidence: Evidence, csr: bytes, lifetime: timedelta | None = None) -> Certificate:
        """Return a certificate for who shows the evidence. Raises `NotPermitted`, `ProtocolError`, `Unavailable`."""

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Have `callback` called after every change of the bundle or the signer."""


class Issuer:
    """A certificate authority that runs: its state is with `store` before anybody sees the effect of a change.

    Attesting and signing take about half a millisecond for an ECDSA authority. Not for use by several threads at once.
    """

    def __init__(
        self,
        now_at: Rotation,
        store: AuthorityStore,
        ledger: Ledger,
        clock: Callable[[], datetime],
        serials: Callable[[], int],
        limits: Lifetimes = authority.LIFETIMES,
    ) -> None:
        self.limits = limits
        self._rotation = now_at
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._serials = serials
        self._attestors: tuple[Attestor, ...] = ()
        self._bundle = now_at.bundle
        self._signer = now_at.signer.fingerprint
        self._callbacks: list[Callable[[], None]] = []
        self.meters = AuthorityMeters()

    @property
    def bundle(self) -> TrustBundle:
        """Whom every proxy is to trust now."""
        return self._bundle

    @property
    def signer(self) -> str:
        """The fingerprint of the certificate that signs now."""
        return self._signer

    @property
    def rotation(self) -> Rotation:
        """The authorities, and where their exchange stands."""
        return self._rotation

    def believe(self, attestors: Iterable[Attestor]) -> None:
        """Take these ways to prove who one is, tried in this order; before that nobody gets a certificate."""
        self._attestors = tuple(attestors)

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Have `callback` called after every change of the bundle or the signer."""
        self._callbacks.append(callback)

    def issue(self, evidence: Evidence, csr: bytes, lifetime: timedelta | None = None) -> Certificate:
        """Attest, then certify."""
        return self.certify(self.attest(evidence), csr, lifetime)

    def attest(self, evidence: Evidence) -> Attested:
        """Return who shows this evidence; raises `NotPermitted` for whoever cannot prove it."""
        self.meters.requests.add()
        try:
            return attestation.attest(self._attestors, evidence, self._clock())
        except NotPermitted:
            self.meters.strangers.add()
            raise

    def certify(self, attested: Attested, csr: bytes, lifetime: timedelta | None = None) -> Certificate:
        """Sign a request in PEM for who was attested, and write that down.

        Raises `ProtocolError` for a bad request, `NotPermitted` for one that asks for other names, `Unavailable` when
        the authority is out of time or cannot write it down.
        """
        try:
            certificate = self._signed(attested, csr, lifetime)
        except ProtocolError:
            self.meters.unreadable.add()
            raise
        except LateenError as error:
            self.meters.unsigned.add(1, type(error).__name__)
            raise
        self.meters.granted.add()
        return certificate

    def _signed(self, attested: Attested, csr: bytes, lifetime: timedelta | None) -> Certificate:
        request, now = requests.read_request(csr), self._clock()
        certificate = authority.sign(
            self._rotation.signer, request, attested, now, self._serials(), lifetime, self.limits
        )
        self._ledger.record(certificate.issued, now)
        return certificate

    def issued(self) -> Sequence[Issued]:
        """List the certificates that have not expired, the first to expire first."""
        return self._ledger.valid(self._clock())

    def begin_rotation(self, new: Authority) -> None:
        """Have every proxy trust a new authority beside the current one. Raises `ConfigRejected`."""
        self._move_to(self._rotation.begin(new))

    def begin_own_rotation(self, key: Key) -> None:
        """Begin to rotate to a new self-signed root with this key."""
        self.begin_rotation(authority.self_signed(self._rotation.domain.name, key, self._clock(), self._serials()))

    def advance_rotation(self, proofs: Proofs) -> None:
        """Take the next step; raises `Unavailable` while a proxy does not prove the step before."""
        self._move_to(self._rotation.advance(proofs))

    def abort_rotation(self) -> None:
        """Go back to the old authority. Raises `ConfigRejected` when no rotation is under way."""
        self._move_to(self._rotation.abort())

    def lacks(self, proofs: Proofs) -> tuple[Lack, ...]:
        """List the proxies that the current step has not reached."""
        return self._rotation.lacks(proofs)

    def trust(self, domain: TrustDomain, foreign: tuple[Root, ...]) -> None:
        """Take other aliases, and other trust domains' roots, as the mesh's settings say now."""
        self._show(replace(self._rotation, domain=domain, foreign=foreign))

    def _move_to(self, moved: Rotation) -> None:
        self._store.save_rotation(stored.stored_rotation(moved))
        self._show(moved)

    def _show(self, moved: Rotation) -> None:
        before = (self._bundle, self._signer)
        self._rotation, self._bundle, self._signer = moved, moved.bundle, moved.signer.fingerprint
        if before != (self._bundle, self._signer):
            for callback in self._callbacks:
                callback()


def resumed(
    store: AuthorityStore,
    domain: TrustDomain,
    first: Callable[[], Authority],
    plugged_in: Authority | None = None,
    foreign: tuple[Root, ...] = (),
) -> Rotation:
    """Return the rotation that was kept, in whichever stage it was; at the very first start, one of a new authority.

    `first` makes the self-signed one and is asked only where nothing is kept and nothing `plugged_in`. What is plugged
    in later may be a new signer under the same root; raises `ConfigRejected` for one of another root.
    """
    kept = store.load_rotation()
    if kept is None:
        found = rotation.Rotation(domain, plugged_in or first(), foreign=foreign)
    else:
        found = stored.read_rotation(kept, domain, foreign)
        if plugged_in is not None:
            found = found.plug_in(plugged_in)
    store.save_rotation(stored.stored_rotation(found))
    return found
