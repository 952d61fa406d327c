"""The certificate authority of a local mesh, and everything on this machine that it vouches for."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509

from lateen import names
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.auth import authority, issuer, keys
from lateen.auth.attestation import Attested, CertificateAttestor, LocalAttestor, TokenAttestor
from lateen.auth.authority import Authority
from lateen.auth.credentials import Credentials
from lateen.auth.issuer import Issuer
from lateen.auth.ledger import Ledger
from lateen.auth.minting import TokenMint
from lateen.auth.plugged_in import plugged_in
from lateen.auth.rotation import Rotation
from lateen.auth.tokens import SharedSecret, SpentTokens, TokenVerifier
from lateen.auth.trust import TrustDomain
from lateen.errors import ConfigRejected
from lateen.names import Identity
from lateen.platforms.local.ca_files import CaFiles, read_authority_files
from lateen.platforms.local.identities import Identities, SecretDoor, Take
from lateen.platforms.local.mesh_identity import foreign_roots_of, lifetime_of, trust_domain_of
from lateen.platforms.local.owner_files import OwnerFiles
from lateen.platforms.local.token_secret import token_secret

DIRECTORY: Final = "ca"
# Names of holders that no workload can have: those are `name.namespace`.
_CONTROL_PLANE: Final = "control-plane"
_OWNER: Final = "owner"
_Setting = TypeVar("_Setting")


class LocalTrust:
    """The authority with its state in `ca/` of the run directory, and the identities that it issues for.

    `given` is a directory with the user's own authority. `door` makes the place where one proxy asks for its secrets.
    Raises `ConfigRejected` for an authority that is not usable, `Unavailable` when nothing can be kept.
    """

    def __init__(
        self,
        run_directory: Path,
        mesh: MeshConfig,
        given: Path | None,
        door: Callable[[Path], SecretDoor],
        tell: Callable[[str], None],
    ) -> None:
        self._run_directory = run_directory
        self._tell = tell
        self._mesh = mesh
        self._lifetime = self._read(lifetime_of, None)
        files = CaFiles(run_directory / DIRECTORY)
        rotation = _resumed(files, self._read(trust_domain_of, TrustDomain()), given, tell)
        rotation = replace(rotation, foreign=self._read(foreign_roots_of, ()))
        self.issuer = Issuer(rotation, files, Ledger(files), _now, x509.random_serial_number)
        self.identities = Identities(self.issuer, door, tell, lambda: self._lifetime)
        secret = SharedSecret(token_secret(run_directory / DIRECTORY))
        self.mint = TokenMint(secret, files, lambda: self.issuer.bundle.domain, _now, lambda: secrets.token_hex(8))
        self._believe(files, secret)

    def take(self, mesh: MeshConfig) -> None:
        """Follow the mesh's settings: what they say differently, everybody gets a certificate for."""
        if mesh == self._mesh:
            return
        self._mesh = mesh
        self._lifetime = self._read(lifetime_of, self._lifetime)
        now = self.issuer.rotation
        self.issuer.trust(self._read(trust_domain_of, now.domain), self._read(foreign_roots_of, now.foreign))
        self.identities.look_again()

    def lifetime(self) -> timedelta | None:
        """Say how long the mesh's settings let certificates live; None where the authority decides."""
        return self._lifetime

    async def control_plane(self) -> Credentials:
        """Return what the control plane shows at its doors."""
        return await self.identities.hold(_CONTROL_PLANE, _control_plane)

    def follow_control_plane(self, take: Take) -> None:
        """Have `take` called whenever the control plane is to show something else."""
        self.identities.follow(_CONTROL_PLANE, take)

    async def let_owner_in(self) -> None:
        """Give the mesh's owner a certificate, in files of the run directory, and keep it good."""
        files = OwnerFiles(self._run_directory)
        files.take(await self.identities.hold(_OWNER, _owner))
        self.identities.follow(_OWNER, files.take)

    def _believe(self, files: CaFiles, secret: SharedSecret) -> None:
        tokens = TokenAttestor(lambda: self.issuer.bundle.domain, TokenVerifier(secret), SpentTokens(files))
        by_certificate = CertificateAttestor(lambda: self.issuer.bundle)
        self.issuer.believe((LocalAttestor(self.identities.started), by_certificate, tokens))

    def _read(self, read: Callable[[MeshConfig], _Setting], otherwise: _Setting) -> _Setting:
        try:
            return read(self._mesh)
        except ConfigRejected as rejected:
            self._tell(f"MeshConfig: {rejected}; it has no effect")
            return otherwise


def read_authority(directory: Path) -> Authority:
    """Read a user's own authority; raises `ConfigRejected` with everything that is wrong with it."""
    return plugged_in(read_authority_files(directory), _now())


def _resumed(files: CaFiles, domain: TrustDomain, given: Path | None, tell: Callable[[str], None]) -> Rotation:
    """Take up the authority that was kept, or begin with the user's own or a new one.

    What the user gave at the start is no obstacle later: he may have rotated to another, or put the files away.
    """

    def first() -> Authority:
        return authority.self_signed(domain.name, keys.make_key(), _now(), x509.random_serial_number())

    try:
        return issuer.resumed(files, domain, first, read_authority(given) if given is not None else None)
    except ConfigRejected as rejected:
        if files.load_rotation() is None:
            raise
        tell(f"going on with the certificate authority of before: {rejected}")
        return issuer.resumed(files, domain, first)


def _control_plane(trust_domain: str) -> Attested:
    identity = Identity(trust_domain, names.CONTROL_PLANE_NAMESPACE, names.CONTROL_PLANE_ACCOUNT)
    return Attested(identity, hosts=(names.CONTROL_PLANE_HOST,))


def _owner(trust_domain: str) -> Attested:
    identity = Identity(trust_domain, names.CONTROL_PLANE_NAMESPACE, names.OWNER_ACCOUNT)
    return Attested(identity, hosts=(names.OWNER_HOST,))


def _now() -> datetime:
    return datetime.now(UTC)
