"""Secret: confidential data that containers and gateways read."""

import base64
import binascii
from collections.abc import Iterator, Mapping

from pydantic import Field

from lateen.api.fields import EMPTY_MAP, Bool, FrozenMap, StringMap, is_entry_name
from lateen.api.structs import Checked, Problem


class Secret(Checked):
    """Named bytes written as base64, and named texts written plainly, which win over bytes of the same name."""

    data: StringMap = Field(EMPTY_MAP, repr=False)
    string_data: StringMap = Field(EMPTY_MAP, repr=False)
    type: str = "Opaque"
    immutable: Bool = False

    def problems(self) -> Iterator[Problem]:
        for field, entries in (("data", self.data), ("stringData", self.string_data)):
            for key in entries:
                if not is_entry_name(key):
                    yield Problem(f"must be named with letters, digits, -, _ and . only, not {key!r}", field)
        for key, text in self.data.items():
            try:
                base64.b64decode("".join(text.split()), validate=True)
            except (binascii.Error, ValueError):
                yield Problem("must be base64: use stringData for plain text", f"data.{key}")

    def contents(self) -> Mapping[str, bytes]:
        """Return every entry as bytes."""
        decoded = {key: base64.b64decode(text) for key, text in self.data.items()}
        return FrozenMap(decoded | {key: text.encode() for key, text in self.string_data.items()})
