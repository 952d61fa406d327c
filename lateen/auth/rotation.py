"""The change from one root to another without a failed request, as a state machine.

    steady ──begin──▶ both trusted ──advance──▶ new signs ──advance──▶ steady (with the new authority)
                           │ abort                  │ abort
                           ▼                        ▼
                        steady ◀──advance──── withdrawing      (with the old authority)

`advance` is taken only with proof from every proxy that the step before has reached it, so that at any moment each
proxy trusts whatever any other proxy may show.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from lateen.auth import trust
from lateen.auth.authority import Authority
from lateen.auth.trust import Root, TrustBundle, TrustDomain
from lateen.errors import ConfigRejected, Unavailable


class Stage(StrEnum):
    """Where a rotation stands."""

    STEADY = "steady"
    BOTH_TRUSTED = "both-trusted"
    NEW_SIGNS = "new-signs"
    WITHDRAWING = "withdrawing"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a proxy has for certain: the digest of the bundle that it acknowledged, and who signed its certificate.

    Empty: it has acknowledged nothing yet, or shows no certificate.
    """

    bundle: str = ""
    signer: str = ""


Proofs = Mapping[str, Proof]
"""Proxy (`workload.namespace`) → what it has; every proxy of the mesh must be there."""


@dataclass(frozen=True, slots=True)
class Lack:
    """A proxy that holds up the next step, and what it lacks."""

    proxy: str
    lack: str

    def __str__(self) -> str:
        return f"{self.proxy} {self.lack}"


@dataclass(frozen=True, slots=True)
class Rotation:
    """The authorities of a mesh and the stage of their exchange. `foreign` are roots of other trust domains.

    A value: each step returns the next one, which is to be kept before anybody sees its effect.
    """

    domain: TrustDomain
    current: Authority
    next: Authority | None = None
    stage: Stage = Stage.STEADY
    foreign: tuple[Root, ...] = ()

    @property
    def signer(self) -> Authority:
        """Who signs now."""
        return self.next if self.stage is Stage.NEW_SIGNS and self.next is not None else self.current

    @property
    def bundle(self) -> TrustBundle:
        """Whom every proxy is to trust now."""
        authorities = (self.current,) if self.next is None else (self.current, self.next)
        own = {trust.certificate_pem(root) for authority in authorities for root in authority.roots}
        names = (self.domain.name, *self.domain.aliases)
        return trust.bundle(self.domain.name, (*(Root(name, pem) for name in names for pem in own), *self.foreign))

    def begin(self, new: Authority) -> "Rotation":
        """Trust a new authority beside the current one. Raises `ConfigRejected` if it is none, or one is under way."""
        if self.stage is not Stage.STEADY:
            raise ConfigRejected(f"a rotation is under way ({self.stage}): let it end, or abort it")
        if new.certificate == self.current.certificate:
            raise ConfigRejected("the new certificate authority is the one in use; bring another")
        return replace(self, next=new, stage=Stage.BOTH_TRUSTED)

    def lacks(self, proofs: Proofs) -> tuple[Lack, ...]:
        """List the proxies that the current stage has not reached, and why."""
        digest, signer = self.bundle.digest, self.signer.fingerprint
        needs_signer = self.stage is not Stage.BOTH_TRUSTED
        found = []
        for proxy, proof in sorted(proofs.items()):
            if proof.bundle != digest:
                found.append(Lack(proxy, "has not acknowledged the roots that are to be trusted now"))
            elif needs_signer and proof.signer != signer:
                found.append(Lack(proxy, "has no certificate of the authority that signs now"))
        return tuple(found)

    def advance(self, proofs: Proofs) -> "Rotation":
        """Take the next step. Raises `Unavailable`, naming proxies, while one does not prove the step before."""
        if self.stage is Stage.STEADY:
            raise ConfigRejected("no rotation is under way; begin one with `lateen ca rotate`")
        if lacks := self.lacks(proofs):
            others = f" (and {len(lacks) - 1} others)" if len(lacks) > 1 else ""
            raise Unavailable(f"the rotation cannot go on: {lacks[0]}{others}")
        match self.stage:
            case Stage.BOTH_TRUSTED:
                return replace(self, stage=Stage.NEW_SIGNS)
            case Stage.NEW_SIGNS:
                return replace(self, current=self.signer, next=None, stage=Stage.STEADY)
            case _:
                return replace(self, next=None, stage=Stage.STEADY)

    def abort(self) -> "Rotation":
        """Go back to the old authority. Once the new one has signed, its root stays trusted until nobody needs it."""
        match self.stage:
            case Stage.BOTH_TRUSTED:
                return replace(self, next=None, stage=Stage.STEADY)
            case Stage.NEW_SIGNS:
                return replace(self, stage=Stage.WITHDRAWING)
            case Stage.WITHDRAWING:
                return self
            case _:
                raise ConfigRejected("no rotation is under way, so there is nothing to abort")

    def plug_in(self, given: Authority) -> "Rotation":
        """Go on with an authority that the user gave again, perhaps with a renewed intermediate under the same root.

        Raises `ConfigRejected` for one of another root: that would cut off everybody, and needs a rotation.
        """
        if self.next is not None and given.root == self.next.root:
            return replace(self, next=given)
        if given.root == self.current.root:
            return replace(self, current=given)
        raise ConfigRejected(
            "the plugged-in certificate authority has another root than the mesh: bring it in with"
            " `lateen ca rotate --ca-dir DIR`, which fails no request"
        )
