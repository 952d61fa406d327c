"""Credentials for tests of the doors: of this moment, from an authority of the test's own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from lateen import names
from lateen.auth import keys, trust
from lateen.auth.attestation import Attested
from lateen.auth.authority import Authority
from lateen.auth.credentials import Credentials
from lateen.auth.trust import Root
from lateen.names import Identity
from lateen.platforms.local.owner_files import OwnerFiles
from tests.auth.authorities import certify, own

CONTROL_PLANE = Attested(Identity("cluster.local", "istio-system", "istiod"), hosts=(names.CONTROL_PLANE_HOST,))
OWNER = Attested(Identity("cluster.local", "istio-system", "lateen-owner"), hosts=(names.OWNER_HOST,))


def authority(trust_domain: str = "cluster.local") -> Authority:
    """Make an authority that is valid now."""
    return own(trust_domain, datetime.now(UTC) - timedelta(hours=1), x509.random_serial_number())


def credentials(by: Authority, attested: Attested, *others: Authority, seconds: float = 3600) -> Credentials:
    """Certify somebody who believes the authority, and others besides."""
    key = keys.make_key()
    certificate = certify(by, attested, key=key, now=datetime.now(UTC), lifetime=timedelta(seconds=seconds))
    roots = (Root("cluster.local", trust.certificate_pem(each.root)) for each in (by, *others))
    return Credentials(certificate, keys.key_pem(key), trust.bundle("cluster.local", roots))


def let_owner_in(run_directory: Path, by: Authority) -> None:
    """Write the files by which the command line is let in."""
    OwnerFiles(run_directory).take(credentials(by, OWNER))
