"""A request as its sender makes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from typing import Any, Final

USUAL_PORTS: Final = {"http": 80, "https": 443}


class Secured(StrEnum):
    """How a connection arrives at a server's proxy."""

    PLAIN = "plain traffic"
    MESH = "the mesh's TLS"
    OWN_TLS = "TLS of the application"


@dataclass(frozen=True, slots=True)
class Request:
    """A request, or a bare connection when `is_http` is false.

    `host` is what the client calls; `authority` is what it writes into the request when that is something else.
    `address` is where it connects to, when that is not what the plan's DNS says. Over TLS it asks for `server_name`,
    which is the host unless it says otherwise. `claims` are those of its token. In `namespace` short names are found.
    """

    host: str
    port: int
    path: str = "/"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    authority: str = ""
    address: str = ""
    scheme: str = "http"
    is_http: bool = True
    secured: Secured = Secured.PLAIN
    server_name: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict)
    namespace: str = ""

    @property
    def is_encrypted(self) -> bool:
        """Tell whether the client speaks TLS of its own."""
        return self.scheme == "https" or self.secured is Secured.OWN_TLS

    @property
    def written_authority(self) -> str:
        """The authority in the request: without a port where that is the scheme's own, unless another is written."""
        if self.authority:
            return self.authority
        return self.host if self.port == USUAL_PORTS.get(self.scheme) else f"{self.host}:{self.port}"


def is_address(text: str) -> bool:
    """Tell whether a host is an IP address, in brackets or not."""
    try:
        ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True
