"""What is wrong with what a user wrote, where, and what would be right."""

from dataclasses import dataclass, field
from enum import StrEnum

from lateen.api.objects import NOWHERE, Source


class Severity(StrEnum):
    """An error keeps an object out; a warning lets it in; an info is only worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Violation:
    """One fault of one document: its path inside the document, and a message that says what would be right.

    `subject` names the object, as far as it is known; `source` knows file and line. `code` is that of a finding about
    the mesh as a whole. As text:
    `reviews.yaml:12: VirtualService default/reviews: spec.http[0].route[1].weight: must be …`.
    """

    path: str
    message: str
    severity: Severity = Severity.ERROR
    source: Source = field(default=NOWHERE, compare=False)
    subject: str = ""
    code: str = ""

    @property
    def line(self) -> int:
        """The line of the field, or of the nearest one around it that is there; 0 where no file is known."""
        return self.source.line_of(self.path)

    @property
    def place(self) -> str:
        """File and line as `file:line`, with the column where only that is known; empty without a file."""
        if not self.source.file:
            return ""
        column = f":{self.source.column}" if self.source.column else ""
        return f"{self.source.file}:{self.line}{column}"

    def __str__(self) -> str:
        severity = "" if self.severity is Severity.ERROR else self.severity.value
        return ": ".join(part for part in (self.place, severity, self.subject, self.path, self.message) if part)
