"""When a certificate is renewed."""

from datetime import datetime
from enum import IntEnum
from typing import Final

from lateen.auth.certificate import Issued

_LIFE_SHARE: Final = 0.5
_JITTER_SHARE: Final = 0.05


class Urgency(IntEnum):
    """How soon a certificate is to be renewed; the more urgent, the greater."""

    NONE = 0
    DUE = 1
    SIGNER_CHANGED = 2
    EXPIRED = 3


def renew_at(issued: Issued, jitter: float) -> datetime:
    """Say when half of a certificate's life is over, give or take a twentieth of it, as `jitter` (-1 to 1) says.

    Jitter keeps workloads that were started together from coming back together.
    """
    life = issued.not_after - issued.not_before
    return issued.not_before + life * (_LIFE_SHARE + _JITTER_SHARE * max(-1.0, min(1.0, jitter)))


def urgency(issued: Issued, now: datetime, signer: str, jitter: float) -> Urgency:
    """Say whether to renew now. `signer` is the fingerprint of the certificate that signs new ones.

    A certificate of another signer is still good, but must be replaced before a rotation can go on.
    """
    if now >= issued.not_after:
        return Urgency.EXPIRED
    if issued.signer != signer:
        return Urgency.SIGNER_CHANGED
    return Urgency.DUE if now >= renew_at(issued, jitter) else Urgency.NONE
