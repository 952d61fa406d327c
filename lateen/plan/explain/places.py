"""Where the parts of a plan are written."""

from collections.abc import Iterator, Mapping

from lateen.api.objects import FieldLines, ObjectKey, parent_path
from lateen.api.traffic.expansion import EXPANDED_FROM
from lateen.model.snapshot import Snapshot
from lateen.plan.access_check import Place
from lateen.plan.types import Origin


class Places:
    """Finds the file and line of fields; the lines of an object are looked up once."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._config = snapshot.config
        self._lines: dict[ObjectKey, Mapping[str, int]] = {}

    def of(self, origin: Origin | None) -> Place | None:
        """Return where a part of the plan was written, nothing where no object says it."""
        if origin is None:
            return None
        return Place(str(origin.key), origin.path, self._at(origin))

    def expansions(self) -> Iterator[str]:
        """Say which of the objects that were asked for were not written, but stand in for an Egress."""
        for key in self._lines:
            item = self._config.get(key)
            if item is not None and (egress := item.metadata.annotations.get(EXPANDED_FROM)):
                yield f"{key} stands in for a part of Egress {key.namespace}/{egress}"

    def is_written(self, origin: Origin) -> bool:
        """Tell whether an object says a field itself; true also where its text is not known."""
        lines = self._lines_of(origin.key)
        return not lines or origin.path in lines

    def of_object(self, key: ObjectKey) -> Place:
        """Return where an object was written."""
        return Place(str(key), "", self._at(Origin(key)))

    def _at(self, origin: Origin) -> str:
        item = self._config.get(origin.key)
        if item is None or not item.source.file:
            return ""
        lines, path = self._lines_of(origin.key), origin.path
        while path and path not in lines:
            path = parent_path(path)
        return f"{item.source.file}:{lines.get(path, item.source.line)}"

    def _lines_of(self, key: ObjectKey) -> Mapping[str, int]:
        if key not in self._lines:
            item = self._config.get(key)
            lines = item.source.lines if item is not None else {}
            self._lines[key] = lines.by_path() if isinstance(lines, FieldLines) else lines
        return self._lines[key]
