"""From what decoding, planning and the analysis have noticed to findings."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from lateen.api.objects import ConfigObject, ObjectKey
from lateen.api.structs import Struct
from lateen.api.violations import Severity, Violation
from lateen.plan.analysis import codes
from lateen.plan.analysis.findings import SUPPRESS, Finding, is_suppressed
from lateen.plan.types import Diagnostic


class Objects(Protocol):
    """Objects by key: a ConfigSet, or a mapping."""

    def get(self, key: ObjectKey, /) -> ConfigObject[Struct] | None:
        """Return an object, or None."""
        ...


def of_violations(violations: Iterable[Violation]) -> Iterator[Finding]:
    """Yield what is wrong with documents."""
    for violation in violations:
        code = codes.of(codes.SCHEMA_ERROR if violation.severity is Severity.ERROR else codes.SCHEMA_WARNING)
        kind, _, whole = violation.subject.partition(" ")
        namespace, _, name = whole.rpartition("/")
        known = (kind, namespace, name) if whole else ("", "", "")
        yield Finding(code.code, code.level, violation.message, *known, violation.path, violation.place)


def of_diagnostics(found: Iterable[Diagnostic], objects: Objects) -> Iterator[Finding]:
    """Yield what is doubtful about objects, without what their annotations suppress; in a stable order."""
    for one in found:
        item = objects.get(one.origin.key)
        if item is not None and is_suppressed(item.metadata.annotations.get(SUPPRESS, ""), one.code):
            continue
        key, row = one.origin.key, codes.of(one.code)
        source = item.source.place(one.origin.path) if item is not None else ""
        yield Finding(row.code, row.level, one.message, key.kind, key.namespace, key.name, one.origin.path, source)
