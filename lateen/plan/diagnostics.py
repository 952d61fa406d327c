"""What a plan's maker noticed on the way: configuration that is legal but does not do what it seems to say."""

from collections.abc import Iterable

from lateen.plan.types import Diagnostic, Origin


class Notes:
    """Collects diagnostics, each once, in the order in which they were noticed."""

    def __init__(self) -> None:
        self._found: dict[Diagnostic, None] = {}

    def add(self, origin: Origin, message: str) -> None:
        """Note that a part of an object is doubtful; the message says what happens, in the user's words."""
        self._found[Diagnostic(origin, message)] = None

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
