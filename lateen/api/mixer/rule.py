"""Rule: which instances go to which handlers, and when."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from lateen.api.expressions.types import ValueType
from lateen.api.fields import HeaderName, NonEmpty
from lateen.api.mixer.expression_fields import TextExpression, Wants, check_expression
from lateen.api.mixer.structs import MixerStruct, NumberedEnum
from lateen.api.structs import Problem


class Action(MixerStruct):
    """Makes these instances and gives them to this handler; `name` is how header operations call its output."""

    handler: NonEmpty
    instances: tuple[NonEmpty, ...] = ()
    name: str = ""


class Operation(NumberedEnum):
    """What is done to a header."""

    REPLACE = "REPLACE"
    REMOVE = "REMOVE"
    APPEND = "APPEND"


def _check_lower_case(name: str) -> str:
    if name != name.lower():
        raise ValueError(f"must be in lower case: {name.lower()}, not {name}")
    return name


class HeaderOperation(MixerStruct):
    """A header that is set, added to or removed; values that are absent or empty are left out."""

    name: Annotated[HeaderName, AfterValidator(_check_lower_case)]
    values: tuple[TextExpression, ...] = ()
    operation: Operation = Operation.REPLACE

    def problems(self) -> Iterator[Problem]:
        if self.operation is Operation.REMOVE and self.values:
            yield Problem("must be left out where the operation is REMOVE", "values")
        if self.operation is not Operation.REMOVE and not self.values:
            yield Problem("must have at least 1 entry", "values")


def _check_match(text: str) -> str:
    return check_expression(text) if text else text


class Rule(MixerStruct):
    """When `match` holds, the actions are taken and, if all checks agree, headers changed.

    Without `match` it always holds. Rules in the mesh's root namespace concern all traffic, others what their
    namespace receives and, where `context.reporter.kind` is `outbound`, what it sends.
    """

    match: Annotated[str, AfterValidator(_check_match), Wants((ValueType.BOOL,))] = ""
    actions: tuple[Action, ...] = ()
    request_header_operations: tuple[HeaderOperation, ...] = ()
    response_header_operations: tuple[HeaderOperation, ...] = ()

    def problems(self) -> Iterator[Problem]:
        known: set[str] = set()
        for position, action in enumerate(self.actions):
            if action.name and action.name in known:
                yield Problem("must be another name than that of an earlier action", f"actions[{position}].name")
            known.add(action.name)
