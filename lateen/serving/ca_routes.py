"""The certificate authority's part of the API: what there is, what was issued, and the steps of a rotation."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from aiohttp import web
from cryptography import x509

from lateen.auth import keys, trust
from lateen.auth.authority import Authority, Lifetimes
from lateen.auth.certificate import Issued
from lateen.auth.keys import Key, KeyKind
from lateen.auth.minting import DEFAULT_LIFETIME, Newcomer, TokenMint
from lateen.auth.rotation import Lack, Proofs, Rotation
from lateen.auth.trust import Root, TrustBundle
from lateen.errors import ProtocolError
from lateen.serving import requests

Json = dict[str, Any]
_log = logging.getLogger(__name__)
_KINDS: Final = ", ".join(KeyKind)
_DEFAULT_ACCOUNT: Final = "default"
_MOST_SECONDS: Final = 1e9


class Outlook(Protocol):
    """How the renewal of certificates goes."""

    @property
    def first_expiry(self) -> datetime | None:
        """When the first certificate ends, unless it is renewed."""

    @property
    def failing(self) -> int:
        """How many could not be renewed when that was last tried."""

    @property
    def problem(self) -> str:
        """Why; empty when none fails."""

    @property
    def since(self) -> datetime | None:
        """Since when; None when none fails."""


class CertificateAuthority(Protocol):
    """The authority of the mesh."""

    @property
    def limits(self) -> Lifetimes:
        """How long certificates live."""

    @property
    def bundle(self) -> TrustBundle:
        """Whom every proxy is to trust now."""

    @property
    def rotation(self) -> Rotation:
        """The authorities, and where their exchange stands."""

    def issued(self) -> Sequence[Issued]:
        """List the certificates that have not expired."""

    def lacks(self, proofs: Proofs) -> tuple[Lack, ...]:
        """List the proxies that the current step has not reached."""

    def begin_rotation(self, new: Authority) -> None:
        """Have every proxy trust a new authority beside the current one. Raises `ConfigRejected`."""

    def begin_own_rotation(self, key: Key) -> None:
        """Begin to rotate to a new self-signed root with this key. Raises `ConfigRejected`."""

    def advance_rotation(self, proofs: Proofs) -> None:
        """Take the next step. Raises `Unavailable` while a proxy does not prove the step before."""

    def abort_rotation(self) -> None:
        """Go back to the old authority. Raises `ConfigRejected` when no rotation is under way."""


@dataclass(frozen=True, slots=True)
class CaRoutes:
    """What is asked and told about the authority.

    `proofs` says what each proxy has at this moment; `read_authority` reads a user's own one from a directory. A step
    is taken `settling_seconds` after the last proof: a proxy's threads take up a secret a moment after it was
    acknowledged, and handshakes that are under way end with the one before. `own_proofs` is the same for those who are
    no proxies, the control plane and the mesh's owner: a root goes only when they need it no more. `mint` makes
    bootstrap tokens. `lifetime` is what the mesh's settings say of certificates, None where the authority decides;
    `outlook` says how their renewal goes.
    """

    authority: CertificateAuthority
    proofs: Callable[[], Proofs]
    read_authority: Callable[[Path], Authority]
    settling_seconds: float = 1.0
    own_proofs: Callable[[], Proofs] = dict
    mint: TokenMint | None = None
    lifetime: Callable[[], timedelta | None] = lambda: None
    outlook: Callable[[], Outlook | None] = lambda: None

    def table(self) -> Sequence[web.RouteDef]:
        """List the routes."""
        return (
            web.get("/v1/ca", self._show),
            web.get("/v1/ca/issued", self._issued),
            web.get("/v1/ca/roots", self._roots),
            web.post("/v1/ca/rotate", self._rotate),
            web.post("/v1/ca/advance", self._advance),
            web.post("/v1/ca/abort", self._abort),
            web.post("/v1/ca/token", self._token),
        )

    async def _show(self, _: web.Request) -> web.Response:
        return web.json_response(self._told())

    async def _issued(self, request: web.Request) -> web.Response:
        namespace = request.query.get("namespace")
        found = [each for each in self.authority.issued() if namespace in (None, each.identity.namespace)]
        return web.json_response({"issued": [_issued(each) for each in found]})

    async def _roots(self, _: web.Request) -> web.Response:
        return web.json_response({"pem": self.authority.bundle.pem})

    async def _rotate(self, request: web.Request) -> web.Response:
        body = await requests.body_of(request)
        if (directory := body.get("directory")) is not None:
            new = await asyncio.to_thread(self.read_authority, Path(str(directory)))
            self.authority.begin_rotation(new)
        else:
            self.authority.begin_own_rotation(await asyncio.to_thread(keys.make_key, _kind(body.get("key"))))
        return web.json_response(self._told())

    async def _advance(self, _: web.Request) -> web.Response:
        if not self.authority.lacks(self._all_proofs()):
            await asyncio.sleep(self.settling_seconds)
        self.authority.advance_rotation(self._all_proofs())
        return web.json_response(self._told())

    async def _abort(self, _: web.Request) -> web.Response:
        self.authority.abort_rotation()
        return web.json_response(self._told())

    async def _token(self, request: web.Request) -> web.Response:
        body = await requests.body_of(request)
        if self.mint is None:
            raise requests.Refusal(404, "this mesh makes no bootstrap tokens")
        newcomer = Newcomer(
            requests.text(body, "namespace"),
            str(body.get("service_account") or _DEFAULT_ACCOUNT),
            requests.text(body, "workload"),
            str(body.get("app") or ""),
            str(body.get("version") or ""),
        )
        token, claims = self.mint.mint(newcomer, _lifetime(body.get("seconds")))
        _log.info("bootstrap token %s for %s, workload %s", claims.token_id, claims.identity, claims.workload)
        told = {"id": claims.token_id, "identity": str(claims.identity), "workload": claims.workload}
        return web.json_response({"token": token, **told, "expires": _seconds(claims.expires)})

    def _lifetime_now(self) -> timedelta:
        """Return how long a certificate lives that is asked for now."""
        limits = self.authority.limits
        return max(limits.shortest, min(self.lifetime() or limits.default, limits.longest))

    def _all_proofs(self) -> Proofs:
        return {**self.proofs(), **self.own_proofs()}

    def _told(self) -> Json:
        rotation, proofs = self.authority.rotation, self.proofs()
        lacks = self.authority.lacks({**proofs, **self.own_proofs()})
        return {
            "trust_domain": rotation.domain.name,
            "trust_domain_aliases": list(rotation.domain.aliases),
            "stage": str(rotation.stage),
            "signer": _authority(rotation.signer),
            "current": _authority(rotation.current),
            "next": _authority(rotation.next) if rotation.next is not None else None,
            "roots": [_root(each) for each in self.authority.bundle.roots],
            "bundle": self.authority.bundle.digest,
            "lifetime_seconds": self._lifetime_now().total_seconds(),
            "renewal": _outlook(self.outlook()),
            "issued": len(self.authority.issued()),
            "proxies": len(proofs),
            "lacks": [{"proxy": each.proxy, "lack": each.lack} for each in lacks],
        }


def _kind(word: object) -> KeyKind:
    try:
        return KeyKind.EC_P256 if word is None else KeyKind(str(word))
    except ValueError:
        raise ProtocolError(f"there is no kind of key '{word}'; there are {_KINDS}") from None


def _lifetime(seconds: object) -> timedelta:
    if seconds is None:
        return DEFAULT_LIFETIME
    if not isinstance(seconds, int | float) or not 0 < seconds < _MOST_SECONDS:
        raise ProtocolError(f"seconds is {seconds!r}; it must be a number, more than 0")
    return timedelta(seconds=seconds)


def _authority(authority: Authority) -> Json:
    return {
        **_certificate(authority.certificate),
        "key": keys.kind_of(authority.key.public_key()),
        "is_self_signed": authority.certificate == authority.root,
        "root": authority.root.subject.rfc4514_string(),
        "chain_not_after": _seconds(authority.not_after),
    }


def _outlook(found: Outlook | None) -> Json | None:
    if found is None:
        return None
    return {
        "first_expiry": _seconds(found.first_expiry) if found.first_expiry is not None else None,
        "failing": found.failing,
        "problem": found.problem,
        "since": _seconds(found.since) if found.since is not None else None,
    }


def _root(root: Root) -> Json:
    return {"trust_domain": root.trust_domain, **_certificate(root.certificate)}


def _certificate(certificate: x509.Certificate) -> Json:
    return {
        "subject": certificate.subject.rfc4514_string(),
        "fingerprint": trust.fingerprint(certificate),
        "serial": f"{certificate.serial_number:x}",
        "not_before": _seconds(certificate.not_valid_before_utc),
        "not_after": _seconds(certificate.not_valid_after_utc),
    }


def _issued(issued: Issued) -> Json:
    return {
        "serial": f"{issued.serial:x}",
        "identity": str(issued.identity),
        "workload": issued.workload,
        "not_before": _seconds(issued.not_before),
        "not_after": _seconds(issued.not_after),
        "signer": issued.signer,
    }


def _seconds(moment: datetime) -> float:
    return moment.timestamp()
