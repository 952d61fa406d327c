"""Which requests a policy is about."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from lateen.api.fields import EMPTY_MAP, FROZEN, HeaderName, NonEmpty
from lateen.api.networking.virtual_service import StringMatch
from lateen.api.policy.celtext import Expression
from lateen.api.security.explicit import Explicit
from lateen.api.security.patterns import HostPattern, MethodPattern, PathPattern
from lateen.api.structs import Problem


class RequestMatch(Explicit):
    """Which requests are meant: all fields that are given must hold, each by any of its values. Paths have no query."""

    hosts: tuple[HostPattern, ...] = ()
    methods: tuple[MethodPattern, ...] = ()
    paths: tuple[PathPattern, ...] = ()
    headers: Annotated[Mapping[HeaderName, StringMatch], FROZEN] = EMPTY_MAP
    query_params: Annotated[Mapping[NonEmpty, StringMatch], FROZEN] = EMPTY_MAP
    when: Expression | None = None

    @classmethod
    def advice(cls, name: str) -> str:
        return f"leave {name} out to mean whatever it is"

    def problems(self) -> Iterator[Problem]:
        if not self.model_fields_set:
            yield Problem("must have at least one field: leave `match` out to mean every request")
