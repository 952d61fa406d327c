"""What is found wrong while objects are resolved, one object at a time."""

from dataclasses import dataclass, field
from typing import Any

from lateen.api.objects import ConfigObject
from lateen.api.violations import Violation


@dataclass(frozen=True, slots=True)
class Faulty:
    """An object that is there, but cannot be used."""


FAULTY = Faulty()


@dataclass(slots=True)
class Faults:
    """Collects violations: faults of what is there, and names of what is not."""

    violations: list[Violation] = field(default_factory=list)
    unresolved: list[Violation] = field(default_factory=list)

    def refuse(self, item: ConfigObject[Any], path: str, message: str) -> None:
        """Note that something is wrong at a path of an object."""
        self.violations.append(Violation(path, message, source=item.source, subject=str(item.key)))

    def miss(self, item: ConfigObject[Any], path: str, message: str) -> None:
        """Note that an object names at a path what is not there."""
        self.unresolved.append(Violation(path, message, source=item.source, subject=str(item.key)))

    @property
    def count(self) -> int:
        """How much was noted."""
        return len(self.violations) + len(self.unresolved)
