"""SessionPersistence: requests of one session stay with the endpoint, and the version, that answered the first."""

from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import Field

from lateen.api.fields import Bool, ExportScope, HeaderName, PositiveDuration, WildcardHost
from lateen.api.structs import Checked, Problem, Struct, exactly_one

_COOKIE_NAME: Final = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"


class SessionCookie(Struct):
    """The cookie that a session is known by; without `ttl` it ends with the browser."""

    name: Annotated[str, Field(pattern=_COOKIE_NAME)] = "lateen-session"
    path: Annotated[str, Field(pattern="^/")] = "/"
    ttl: PositiveDuration | None = None


class SessionPersistence(Checked):
    """How a host's sessions are known: by a cookie that the client's proxy sets, or by a header that clients keep.

    A session goes elsewhere when its endpoint is gone; with `strict` it is answered with 503 instead. With a cookie
    it stays with its version of the service too, whatever the weights of a split become, until that has no share.
    """

    host: WildcardHost
    cookie: SessionCookie | None = None
    header: HeaderName | None = None
    strict: Bool = False
    export_to: tuple[ExportScope, ...] = ()

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "cookie", "header")
