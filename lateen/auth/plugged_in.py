"""An authority of the user's own: four PEM files with Istio's names, checked at the door as a whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from lateen.api.security.pem import UNREADABLE
from lateen.auth import keys
from lateen.auth.authority import Authority
from lateen.auth.keys import Key
from lateen.errors import ConfigRejected

CERTIFICATE_FILE: Final = "ca-cert.pem"
KEY_FILE: Final = "ca-key.pem"
ROOT_FILE: Final = "root-cert.pem"
CHAIN_FILE: Final = "cert-chain.pem"


@dataclass(frozen=True, slots=True)
class AuthorityFiles:
    """The content of the files. The chain may be empty where the root has signed the authority's certificate itself."""

    ca_cert: bytes
    ca_key: bytes = field(repr=False)
    root_cert: bytes
    cert_chain: bytes = b""


def plugged_in(files: AuthorityFiles, now: datetime) -> Authority:
    """Return the authority in the files. Raises `ConfigRejected` with everything that is wrong with them."""
    faults: list[str] = []
    found = _certificates(CERTIFICATE_FILE, files.ca_cert, faults)
    roots = _certificates(ROOT_FILE, files.root_cert, faults)
    above = _certificates(CHAIN_FILE, files.cert_chain, faults) if files.cert_chain.strip() else []
    key = _key(files.ca_key, faults)
    if len(found) > 1:
        faults.append(
            f"{CERTIFICATE_FILE} holds {len(found)} certificates; write those above the first in {CHAIN_FILE}"
        )
    _refuse(faults)
    assert key is not None
    chain = _chain(found[0], above, roots, faults)
    faults += _key_faults(found[0], key)
    for depth, certificate in enumerate(chain):
        faults += _authority_faults(certificate, depth, now)
    _refuse(faults)
    first = chain[-1]
    others = tuple(root for root in roots if root != first)
    return Authority(key, found[0], tuple(chain[1:-1]), (first, *others))


def _refuse(faults: Sequence[str]) -> None:
    if faults:
        raise ConfigRejected(f"the plugged-in certificate authority is not usable: {'; '.join(faults)}", faults)


def _certificates(file: str, pem: bytes, faults: list[str]) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(pem)
        for each in found:
            keys.examine(each)
    except UNREADABLE:
        faults.append(f"{file} holds no certificates in PEM")
        return []
    return found


def _key(pem: bytes, faults: list[str]) -> Key | None:
    try:
        return keys.read_key(pem)
    except ConfigRejected as error:
        faults.append(f"{KEY_FILE}: {error}")
        return None


def _key_faults(certificate: x509.Certificate, key: Key) -> list[str]:
    if certificate.public_key() == key.public_key():
        return []
    return [f"{KEY_FILE} is not the key of {CERTIFICATE_FILE}"]


def _chain(
    certificate: x509.Certificate,
    above: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    faults: list[str],
) -> list[x509.Certificate]:
    """Walk from the authority's certificate up to a root; adds what is missing or left over to `faults`."""
    chain = [certificate]
    rest = [each for each in above if each != certificate and each not in roots]
    while chain[-1] not in roots:
        if (root := _issuer(chain[-1], roots)) is not None:
            chain.append(root)
        elif (issuer := _issuer(chain[-1], rest)) is not None:
            rest.remove(issuer)
            chain.append(issuer)
        else:
            faults.append(_broken(chain[-1]))
            return chain
    faults += [f"{CHAIN_FILE}: {_named(each)} is no part of the chain; leave it out" for each in rest]
    if _issuer(chain[-1], chain[-1:]) is None:
        faults.append(f"{ROOT_FILE}: {_named(chain[-1])} is not self-signed; write the root there")
    return chain


def _issuer(certificate: x509.Certificate, among: Sequence[x509.Certificate]) -> x509.Certificate | None:
    return next((each for each in among if _has_issued(each, certificate)), None)


def _has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _broken(last: x509.Certificate) -> str:
    if last.issuer == last.subject:
        return f"{ROOT_FILE} does not hold the root {_named(last)}, to which the chain leads"
    files = f"{CHAIN_FILE} nor in {ROOT_FILE}"
    return f"{_named(last)} is signed by {_name(last.issuer)}, whose certificate is neither in {files}"


def _authority_faults(certificate: x509.Certificate, depth: int, now: datetime) -> list[str]:
    """List why a certificate cannot stand at `depth` above the one that signs leaves."""
    checks: tuple[Callable[[], str | None], ...] = (
        lambda: (
            keys.weakness_of(certificate.public_key()) and f"its key is {keys.weakness_of(certificate.public_key())}"
        ),
        lambda: None if certificate.subject.rdns else "has no subject",
        lambda: _time_fault(certificate, now),
        lambda: _constraint_fault(certificate, depth),
        lambda: _usage_fault(certificate),
    )
    return [f"{_named(certificate)} {fault}" for check in checks if (fault := check())]


def _time_fault(certificate: x509.Certificate, now: datetime) -> str | None:
    if now >= certificate.not_valid_after_utc:
        return f"has expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC"
    if now < certificate.not_valid_before_utc:
        return f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M:%S} UTC"
    return None


def _constraint_fault(certificate: x509.Certificate, depth: int) -> str | None:
    try:
        found = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return "is no authority: it needs the basic constraint CA:TRUE"
    if not found.ca:
        return "is no authority: it needs the basic constraint CA:TRUE, and says CA:FALSE"
    if found.path_length is not None and found.path_length < depth:
        return f"allows {found.path_length} authorities below it and there are {depth}: its path length is too short"
    return None


def _usage_fault(certificate: x509.Certificate) -> str | None:
    try:
        found = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None
    return None if found.key_cert_sign else "may not sign certificates: its key usage lacks keyCertSign"


def _named(certificate: x509.Certificate) -> str:
    return _name(certificate.subject)


def _name(name: x509.Name) -> str:
    return f"'{name.rfc4514_string()}'"
