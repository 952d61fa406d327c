"""What one holder of an identity needs for TLS."""

from dataclasses import dataclass, field

from lateen.auth.certificate import Certificate
from lateen.auth.trust import TrustBundle


@dataclass(frozen=True, slots=True)
class Credentials:
    """A certificate with its private key, and whom its holder is to believe. The key (PEM) is in no `repr`."""

    certificate: Certificate
    key_pem: bytes = field(repr=False)
    bundle: TrustBundle

    @property
    def chain_pem(self) -> str:
        """What the holder shows: its certificate first, then those above it but the root."""
        return self.certificate.leaf_and_intermediates
