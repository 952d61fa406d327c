"""PeerAuthentication: whether a workload takes connections with the mesh's mutual TLS, without, or both."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator

from lateen.api.fields import EMPTY_MAP, FROZEN
from lateen.api.networking.selectors import TypedSelector
from lateen.api.security.explicit import Explicit
from lateen.api.structs import Problem


class MutualTlsMode(StrEnum):
    """Which connections are taken; UNSET leaves it to what is written for a wider scope."""

    UNSET = "UNSET"
    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


class MutualTls(Explicit):
    """Which connections are taken."""

    mode: MutualTlsMode = MutualTlsMode.UNSET


def _port(key: Any) -> int:
    """Read a port that is the key of a map: documents have all keys as text."""
    text = str(key)
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise ValueError(f"must be a port number, from 1 to 65535, not {text[:60]!r}")
    return int(text)


PortModes = Annotated[Mapping[Annotated[int, BeforeValidator(_port)], MutualTls], FROZEN]


class PeerAuthentication(Explicit):
    """The mode of the selected workloads, of a namespace, or in the root namespace of the mesh.

    The narrower scope counts, and of several objects of one scope the oldest. Ports are those of the workload.
    """

    selector: TypedSelector | None = None
    mtls: MutualTls | None = None
    port_level_mtls: PortModes = EMPTY_MAP

    @property
    def selects(self) -> bool:
        """Tell whether single workloads are meant, rather than a whole namespace or the mesh."""
        return self.selector is not None and bool(self.selector.match_labels)

    @property
    def mode(self) -> MutualTlsMode:
        """What is written for all ports."""
        return self.mtls.mode if self.mtls else MutualTlsMode.UNSET

    def problems(self) -> Iterator[Problem]:
        if self.port_level_mtls and not self.selects:
            yield Problem("must come with a selector: ports are those of single workloads", "portLevelMtls")
