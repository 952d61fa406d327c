"""ApiKeyAuthentication: only clients that show a key of theirs are let in."""

from collections.abc import Iterator

from lateen.api.fields import Bool, NonEmpty
from lateen.api.policy.answers import OwnHeader
from lateen.api.security.attachment import Attached
from lateen.api.security.explicit import Explicit
from lateen.api.structs import Problem, Struct, exactly_one


class KeySource(Explicit):
    """Where a key is looked for; `header` may be `Authorization`, where it stands behind `Bearer`."""

    header: OwnHeader | None = None
    query: NonEmpty | None = None
    cookie: NonEmpty | None = None

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "header", "query", "cookie")


class KeySecret(Struct):
    """A Secret in the namespace of the workload: each entry is named for a client and contains the client's key."""

    name: NonEmpty


class ApiKeyAuthentication(Attached):
    """Requests without a key of one of the clients are answered with 401; the first place that has a key counts.

    The application is told the client in `clientHeader`, and sees the key only with `forwardKey`.
    """

    secret: KeySecret
    from_: tuple[KeySource, ...] = (KeySource(header="x-api-key"),)
    client_header: OwnHeader = "x-api-client"
    forward_key: Bool = False

    @classmethod
    def advice(cls, name: str) -> str:
        if name == "from":
            return "leave it out to look at the header x-api-key"
        return super().advice(name)

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        for position, source in enumerate(self.from_):
            if source.header is not None and source.header.lower() == self.client_header.lower():
                yield Problem("must be another header than clientHeader", f"from[{position}].header")
