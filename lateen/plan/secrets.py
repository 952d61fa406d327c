"""The certificates and authorities in Secrets: found by name, and looked at before any proxy is given them.

A Secret that is missing or wrong is never replaced by anything weaker: what needs it refuses its connections.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

from lateen import names
from lateen.api.core.secret import Secret as SecretSpec
from lateen.api.objects import ConfigObject
from lateen.api.security.pem import UNREADABLE
from lateen.model.proxy import Role
from lateen.plan.diagnostics import Doubt, Notes
from lateen.plan.directory import Directory
from lateen.plan.types import Cluster, Diagnostic, Origin, OriginatedTls, Secret, ServedCertificate, TrustedAuthorities

_CERTIFICATE_KEYS: Final = (("tls.crt", "tls.key"), ("cert", "key"))
_AUTHORITY_KEYS: Final = ("ca.crt", "cacert")
_REVOCATION_KEYS: Final = ("ca.crl", "crl")
_SMALLEST_RSA_BITS: Final = 2048
_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")
_LIST: Final = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a Secret is of no use. `origin` is the place in it that is wrong; None where there is no such Secret."""

    reason: str
    origin: Origin | None = None


class _Content(NamedTuple):
    """The entries of a Secret, and where it was written."""

    entries: Mapping[str, bytes]
    item: ConfigObject[SecretSpec]

    def at(self, entry: str) -> Origin:
        field = "stringData" if entry in self.item.spec.string_data else "data"
        return Origin(self.item.key, f"{field}.{entry}")

    def first(self, keys: Iterable[str]) -> str:
        """Return the first of these entries that is there; empty when none is."""
        return next((key for key in keys if key in self.entries), "")


class Keyring:
    """The Secrets that a proxy may use, as what they are used for. Each is read once, and again when it changes."""

    def __init__(self, directory: Directory) -> None:
        self._cache = directory.cache
        self._namespace = directory.view.namespace
        self._role = directory.view.role
        self._secrets = {item.name: item for item in directory.view.secrets}

    def certificate(self, credential: str) -> ServedCertificate | Fault:
        """Find the certificate and key of a `credentialName`."""
        item = self._secrets.get(names.secret_of_credential(credential))
        if item is None:
            return self._missing(credential)
        name = names.credential(credential)
        return self._cache.recall("certificate", (item,), (name,), lambda: _certificate(name, _content(item)))

    def authorities(self, credential: str) -> TrustedAuthorities | Fault:
        """Find the authorities of a `credentialName`: in the Secret NAME-cacert, else in the Secret itself."""
        own = names.secret_of_credential(credential)
        item = self._secrets.get(f"{own}{names.AUTHORITY_SUFFIX}") or self._secrets.get(own)
        if item is None:
            return self._missing(credential)
        name = names.credential_authority(credential)
        return self._cache.recall("authorities", (item,), (name,), lambda: _authorities(name, _content(item)))

    def _missing(self, credential: str) -> Fault:
        name = names.secret_of_credential(credential)
        reason = f"there is no Secret {name} in namespace {self._namespace}, where the proxy runs"
        if self._role is Role.SIDECAR:
            reason += ", or it is not for this workload: sidecars use Secrets only by rules with a workloadSelector"
        return Fault(reason)


def certificate_fault(item: ConfigObject[SecretSpec]) -> str:
    """Say why a Secret is of no use as a server's certificate; nothing when it is."""
    made = _certificate(item.name, _content(item))
    return made.reason if isinstance(made, Fault) else ""


def note(
    fault: Fault,
    origin: Origin,
    notes: Notes,
    consequence: str = "connections are refused",
    code: Doubt = Doubt.UNUSABLE,
) -> None:
    """Note what is wrong with a Secret where it is wrong, and what that means where it is used."""
    if fault.origin is None:
        notes.add(origin, f"{consequence}: {fault.reason}", Doubt.MISSING)
    else:
        notes.add(fault.origin, fault.reason, Doubt.UNUSABLE)
        notes.add(origin, f"{consequence}: {fault.origin.key} is of no use", code)


def of_clusters(clusters: Iterable[Cluster], keyring: Keyring, notes: Notes) -> Iterator[Secret]:
    """Yield what the clusters' own TLS needs; a cluster whose Secret is of no use connects to nobody."""
    for cluster in clusters:
        tls = cluster.tls
        if isinstance(tls, OriginatedTls) and tls.credential:
            found: list[Secret | Fault] = []
            if tls.presents_certificate:
                found.append(keyring.certificate(tls.credential))
            if tls.verifies:
                found.append(keyring.authorities(tls.credential))
            for secret in found:
                if not isinstance(secret, Fault):
                    yield secret
                elif cluster.origin is not None:
                    note(secret, cluster.origin, notes)


def untimely(found: Iterable[Secret], now: datetime) -> Iterator[Diagnostic]:
    """Yield which certificates are not valid at this time."""
    for secret in found:
        if isinstance(secret, ServedCertificate) and secret.valid and secret.origin:
            start, end = secret.valid
            if now < start:
                yield Diagnostic(
                    secret.origin, f"is not valid before {start:%Y-%m-%d %H:%M} UTC: clients refuse it", Doubt.UNUSABLE
                )
            if now > end:
                yield Diagnostic(
                    secret.origin, f"expired on {end:%Y-%m-%d %H:%M} UTC: clients refuse it", Doubt.UNUSABLE
                )


def _content(item: ConfigObject[SecretSpec]) -> _Content:
    return _Content(item.spec.contents(), item)


def _certificate(name: str, content: _Content) -> ServedCertificate | Fault:
    for chain_entry, key_entry in _CERTIFICATE_KEYS:
        if chain_entry in content.entries and key_entry in content.entries:
            return _checked(name, content, chain_entry, key_entry)
    for pair in _CERTIFICATE_KEYS:
        present = content.first(pair)
        if present:
            missing = next(entry for entry in pair if entry != present)
            return Fault(f"has {present} without {missing}", content.at(present))
    return Fault("has no certificate: it needs tls.crt and tls.key, or cert and key", Origin(content.item.key, "data"))


def _checked(name: str, content: _Content, chain_entry: str, key_entry: str) -> ServedCertificate | Fault:
    """Return a certificate whose key is its own, and which proxies can use."""
    certificates = _read_certificates(content, chain_entry)
    if isinstance(certificates, Fault):
        return certificates
    try:
        key = serialization.load_pem_private_key(content.entries[key_entry], None)
    except (TypeError, *UNREADABLE):
        return Fault("is no private key in PEM without a password", content.at(key_entry))
    if reason := _unusable(key):
        return Fault(reason, content.at(key_entry))
    places = [_spki(each.public_key()) for each in certificates]
    if _spki(key.public_key()) not in places:
        return Fault(f"is not the key of {chain_entry}", content.at(key_entry))
    if places[0] != _spki(key.public_key()):
        return Fault(
            "must start with the certificate of the key; the ones that vouch for it follow", content.at(chain_entry)
        )
    leaf = certificates[0]
    return ServedCertificate(
        name,
        content.entries[chain_entry],
        content.entries[key_entry],
        (leaf.not_valid_before_utc, leaf.not_valid_after_utc),
        content.at(chain_entry),
    )


def _authorities(name: str, content: _Content) -> TrustedAuthorities | Fault:
    entry = content.first(_AUTHORITY_KEYS)
    if not entry:
        return Fault(
            "has no authorities to verify others with: it needs ca.crt or cacert", Origin(content.item.key, "data")
        )
    certificates = _read_certificates(content, entry)
    if isinstance(certificates, Fault):
        return certificates
    revocation_entry = content.first(_REVOCATION_KEYS)
    if revocation_entry and not _are_lists(content.entries[revocation_entry]):
        return Fault("is no certificate revocation list in PEM", content.at(revocation_entry))
    revocations = content.entries[revocation_entry] if revocation_entry else b""
    return TrustedAuthorities(name, content.entries[entry], revocations, content.at(entry))


def _read_certificates(content: _Content, entry: str) -> list[x509.Certificate] | Fault:
    try:
        found = x509.load_pem_x509_certificates(content.entries[entry])
        for each in found:
            each.public_key()
    except UNREADABLE:
        return Fault("is no certificate in PEM", content.at(entry))
    return found


def _are_lists(pem: bytes) -> bool:
    found = _LIST.findall(pem)
    try:
        return bool(found) and all(x509.load_pem_x509_crl(one) for one in found)
    except UNREADABLE:
        return False


def _unusable(key: PrivateKeyTypes) -> str:
    """Say why a proxy would not take a key; nothing when it would."""
    if isinstance(key, rsa.RSAPrivateKey):
        return "" if key.key_size >= _SMALLEST_RSA_BITS else f"is an RSA key of {key.key_size} bits: it needs 2048"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return "" if key.curve.name in _CURVES else f"is a key on {key.curve.name}: use P-256, P-384 or P-521"
    return "is neither an RSA nor an ECDSA key: proxies take no other"


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
