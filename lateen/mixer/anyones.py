"""A place of nobody in particular: what can be said there, every proxy can say of itself."""

from collections.abc import Iterator
from typing import Final

from lateen.api.expressions.tree import Call, Node, attribute_names
from lateen.mixer import conditions
from lateen.mixer.attributes import VOCABULARY
from lateen.mixer.origins import Keeper
from lateen.mixer.places import Place
from lateen.plan.conditions import NEVER

_ALIKE: Final = frozenset({"context.reporter.kind", "context.protocol"})
"""The attributes that are the same wherever one looks from the same side."""


class _AnyLabels(dict[str, str]):
    """Has every label: for a workload that is not known yet."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> str:
        return "any"


def some_place(*, is_outbound: bool) -> Place:
    """Return a place of nobody in particular, which knows all of itself that any proxy knows."""
    origins = {entry.name: entry.client if is_outbound else entry.server for entry in VOCABULARY}
    own = {
        name: "any"
        for name, origin in origins.items()
        if origin.keeper is Keeper.OWN or (origin.keeper is Keeper.SERVICE and not is_outbound)
    }
    instances = {f"{side}.{fact}" for side in ("source", "destination") for fact in ("uid", "name", "ip", "labels")}
    facts = {name: value for name, value in own.items() if name not in instances and "container" not in name}
    facts["context.reporter.kind"] = "outbound" if is_outbound else "inbound"
    return Place(facts=facts, labels=_AnyLabels(), is_outbound=is_outbound, at_end=True)


INBOUND: Final = some_place(is_outbound=False)
SIDES: Final = (INBOUND, some_place(is_outbound=True))


def may_concern(match: Node, place: Place) -> bool:
    """Tell whether a rule may concern any place on this side: not if it asks for another side or protocol."""
    parts = match.arguments if isinstance(match, Call) and match.function == "&&" else (match,)
    return not any(set(attribute_names(part)) <= _ALIKE and conditions.holds(part, place) == NEVER for part in parts)


def leaves(match: Node) -> Iterator[Node]:
    """Yield what a match joins, so that none is left out because another one decides."""
    match match:
        case Call("&&" | "||" | "!", parts):
            for part in parts:
                yield from leaves(part)
        case _:
            yield match
