"""Authorities and rotations as the texts that a store keeps, and back."""

from cryptography import x509

from lateen.auth import keys, trust
from lateen.auth.authority import Authority
from lateen.auth.ports import StoredAuthority, StoredRotation
from lateen.auth.rotation import Rotation, Stage
from lateen.auth.trust import Root, TrustDomain
from lateen.errors import LateenError, Unavailable


def stored_rotation(rotation: Rotation) -> StoredRotation:
    """Write a rotation down, with the keys."""
    return StoredRotation(
        str(rotation.stage),
        _stored(rotation.current),
        None if rotation.next is None else _stored(rotation.next),
    )


def read_rotation(stored: StoredRotation, domain: TrustDomain, foreign: tuple[Root, ...] = ()) -> Rotation:
    """Read what was written, for a trust domain that is settled elsewhere. Raises `Unavailable` if it is damaged."""
    try:
        return Rotation(
            domain,
            _read(stored.current),
            None if stored.next is None else _read(stored.next),
            Stage(stored.stage),
            foreign,
        )
    except (ValueError, LateenError) as error:
        raise Unavailable(f"the kept certificate authority is damaged ({error})") from None


def _stored(authority: Authority) -> StoredAuthority:
    return StoredAuthority(
        trust.certificate_pem(authority.certificate),
        keys.key_pem(authority.key).decode(),
        tuple(map(trust.certificate_pem, authority.intermediates)),
        tuple(map(trust.certificate_pem, authority.roots)),
    )


def _read(stored: StoredAuthority) -> Authority:
    return Authority(
        keys.read_key(stored.key.encode()),
        _certificate(stored.certificate),
        tuple(map(_certificate, stored.intermediates)),
        tuple(map(_certificate, stored.roots)),
    )


def _certificate(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())
