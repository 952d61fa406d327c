"""ConfigMap: texts that containers read as environment variables or files."""

from collections.abc import Iterator

from lateen.api.fields import EMPTY_MAP, Bool, StringMap
from lateen.api.structs import Checked, Problem


class ConfigMap(Checked):
    """Named texts, and named bytes written as base64."""

    data: StringMap = EMPTY_MAP
    binary_data: StringMap = EMPTY_MAP
    immutable: Bool = False

    def problems(self) -> Iterator[Problem]:
        for key in self.data.keys() & self.binary_data.keys():
            yield Problem("must not be in data too", f"binaryData.{key}")
