"""What a plan's maker noticed on the way: configuration that is legal but does not do what it seems to say."""

from collections.abc import Iterable
from enum import StrEnum

from lateen.plan.types import Diagnostic, Origin


class Doubt(StrEnum):
    """The codes of what planning notices: Istio's where it has one for it, else Lateen's own."""

    MISSING = "IST0101"
    PORT_LEFT_OUT = "IST0112"
    CREDENTIAL = "IST0161"
    POLICY_WITHOUT_EFFECT = "IST0167"
    OTHER = "LAT0001"
    NO_EFFECT_YET = "LAT0002"
    NEVER_MATCHES = "LAT0003"
    OVERRULED = "LAT0004"
    NOT_OPEN = "LAT0005"
    DENIES = "LAT0006"
    NO_KEYS = "LAT0007"
    UNUSABLE = "LAT0008"
    NEVER_ACTS = "LAT0009"


class Notes:
    """Collects diagnostics, each once, in the order in which they were noticed."""

    def __init__(self) -> None:
        self._found: dict[Diagnostic, None] = {}

    def add(self, origin: Origin, message: str, code: Doubt = Doubt.OTHER) -> None:
        """Note that a part of an object is doubtful; the message says what happens, in the user's words."""
        self._found[Diagnostic(origin, message, code.value)] = None

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Take over what was noticed elsewhere."""
        self._found.update(dict.fromkeys(diagnostics))

    @property
    def all(self) -> tuple[Diagnostic, ...]:
        """Everything that was noticed."""
        return tuple(self._found)


def below(origin: Origin, path: str) -> Origin:
    """Name a field below an origin's."""
    return Origin(origin.key, f"{origin.path}.{path}" if origin.path else path)
