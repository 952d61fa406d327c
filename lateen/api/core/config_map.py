"""ConfigMap: texts that containers read as environment variables or files."""

import base64
import binascii
from collections.abc import Iterator, Mapping

from lateen.api.fields import EMPTY_MAP, Bool, FrozenMap, StringMap, is_entry_name
from lateen.api.structs import Checked, Problem


class ConfigMap(Checked):
    """Named texts, and named bytes written as base64."""

    data: StringMap = EMPTY_MAP
    binary_data: StringMap = EMPTY_MAP
    immutable: Bool = False

    def problems(self) -> Iterator[Problem]:
        for field, entries in (("data", self.data), ("binaryData", self.binary_data)):
            for key in entries:
                if not is_entry_name(key):
                    yield Problem(f"must be named with letters, digits, -, _ and . only, not {key!r}", field)
        for key in self.data.keys() & self.binary_data.keys():
            yield Problem("must not be in data too", f"binaryData.{key}")
        for key, text in self.binary_data.items():
            try:
                base64.b64decode("".join(text.split()), validate=True)
            except (binascii.Error, ValueError):
                yield Problem("must be base64: use data for plain text", f"binaryData.{key}")

    def contents(self) -> Mapping[str, bytes]:
        """Return every entry as bytes."""
        decoded = {key: base64.b64decode(text) for key, text in self.binary_data.items()}
        return FrozenMap(decoded | {key: text.encode() for key, text in self.data.items()})
