"""What is known where a rule is decided, before any request comes: the workload, its service, its callers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lateen.api.fields import EMPTY_MAP
from lateen.model.callers import Caller

Fact = str | int | bool


@dataclass(frozen=True, slots=True)
class Place:
    """One side of the calls of a workload: of those to it, or with `is_outbound` of those that it makes.

    `facts` are attributes that are the same for all calls; `absent` names those that no call has there. `labels` are
    those of the workload itself. With `at_end`, what is known only of calls that are over is known too.
    """

    facts: Mapping[str, Fact] = field(default_factory=dict)
    labels: Mapping[str, str] = EMPTY_MAP
    absent: frozenset[str] = frozenset()
    callers: tuple[Caller, ...] = ()
    is_http: bool = True
    is_outbound: bool = False
    at_end: bool = False


ANYWHERE: Final = Place()
