"""The certificate authority's part of the API: what there is, what was issued, and the steps of a rotation."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from aiohttp import web
from cryptography import x509

from lateen.auth import keys, trust
from lateen.auth.authority import Authority, Lifetimes
from lateen.auth.certificate import Issued
from lateen.auth.keys import Key, KeyKind
from lateen.auth.rotation import Lack, Proofs, Rotation
from lateen.auth.trust import Root, TrustBundle
from lateen.errors import ProtocolError
from lateen.serving import requests

Json = dict[str, Any]
_KINDS: Final = ", ".join(KeyKind)


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
    acknowledged, and handshakes that are under way end with the one before.
    """

    authority: CertificateAuthority
    proofs: Callable[[], Proofs]
    read_authority: Callable[[Path], Authority]
    settling_seconds: float = 1.0

    def table(self) -> Sequence[web.RouteDef]:
        """List the routes."""
        return (
            web.get("/v1/ca", self._show),
            web.get("/v1/ca/issued", self._issued),
            web.get("/v1/ca/roots", self._roots),
            web.post("/v1/ca/rotate", self._rotate),
            web.post("/v1/ca/advance", self._advance),
            web.post("/v1/ca/abort", self._abort),
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
        if not self.authority.lacks(self.proofs()):
            await asyncio.sleep(self.settling_seconds)
        self.authority.advance_rotation(self.proofs())
        return web.json_response(self._told())

    async def _abort(self, _: web.Request) -> web.Response:
        self.authority.abort_rotation()
        return web.json_response(self._told())

    def _told(self) -> Json:
        rotation, proofs = self.authority.rotation, self.proofs()
        return {
            "trust_domain": rotation.domain.name,
            "trust_domain_aliases": list(rotation.domain.aliases),
            "stage": str(rotation.stage),
            "signer": _authority(rotation.signer),
            "current": _authority(rotation.current),
            "next": _authority(rotation.next) if rotation.next is not None else None,
            "roots": [_root(each) for each in self.authority.bundle.roots],
            "bundle": self.authority.bundle.digest,
            "lifetime_seconds": self.authority.limits.default.total_seconds(),
            "issued": len(self.authority.issued()),
            "proxies": len(proofs),
            "lacks": [{"proxy": each.proxy, "lack": each.lack} for each in self.authority.lacks(proofs)],
        }


def _kind(word: object) -> KeyKind:
    try:
        return KeyKind.EC_P256 if word is None else KeyKind(str(word))
    except ValueError:
        raise ProtocolError(f"there is no kind of key '{word}'; there are {_KINDS}") from None


def _authority(authority: Authority) -> Json:
    return {
        **_certificate(authority.certificate),
        "key": keys.kind_of(authority.key.public_key()),
        "is_self_signed": authority.certificate == authority.root,
        "root": authority.root.subject.rfc4514_string(),
        "chain_not_after": _seconds(authority.not_after),
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
