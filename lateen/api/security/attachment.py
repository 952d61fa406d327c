"""What a policy is attached to: workloads by their labels, or objects by reference."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from lateen.api.networking.selectors import TargetReference, TypedSelector
from lateen.api.security.explicit import Explicit
from lateen.api.structs import Problem, at_most_one

MAX_TARGETS = 16


class Attached(Explicit):
    """A policy for the workloads that `selector` picks, or for what `targetRefs` name, or for its whole namespace.

    In the root namespace, a policy without targets reaches over all namespaces.
    """

    selector: TypedSelector | None = None
    target_ref: TargetReference | None = None
    target_refs: Annotated[tuple[TargetReference, ...], Field(max_length=MAX_TARGETS)] = ()

    @property
    def targets(self) -> tuple[TargetReference, ...]:
        """The objects that the policy is attached to."""
        return (self.target_ref, *self.target_refs) if self.target_ref is not None else self.target_refs

    def problems(self) -> Iterator[Problem]:
        yield from at_most_one(self, "selector", "target_ref", "target_refs")
        for position, target in enumerate(self.target_refs):
            if target.namespace:
                at = f"targetRefs[{position}].namespace"
                yield Problem("must not be set: targets are in the policy's own namespace", at)
