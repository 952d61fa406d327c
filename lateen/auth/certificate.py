"""What the authority hands out, and what it remembers of it."""

from dataclasses import dataclass
from datetime import datetime

from lateen.names import Identity


@dataclass(frozen=True, slots=True)
class Issued:
    """One certificate: who got it, for how long, and the fingerprint of the certificate that signed it.

    `workload` is `name.namespace`, or empty for a holder that is no workload.
    """

    serial: int
    identity: Identity
    workload: str
    not_before: datetime
    not_after: datetime
    signer: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with everything above it, each in PEM: the leaf first, then intermediates, the root last."""

    chain: tuple[str, ...]
    issued: Issued

    @property
    def leaf_and_intermediates(self) -> str:
        """What its holder presents: all but the root, which the other side has."""
        return "".join(self.chain[:-1])

    @property
    def root(self) -> str:
        """The root that it leads to."""
        return self.chain[-1]
