"""Changes of headers, of requests before they reach the workload and of responses before they leave it."""

from collections.abc import Iterator
from typing import Any, Final

from envoy.config.common.mutation_rules.v3 import mutation_rules_pb2
from envoy.config.core.v3 import base_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2

from lateen.envoy.side import Side
from lateen.plan.processing_types import HeaderAction, HeaderChange, HeaderChanges
from lateen.plan.types import Guard, Route

NAME: Final = "envoy.filters.http.header_mutation"
SLEEPS: Final = False

_APPENDING: Final = {
    HeaderAction.REPLACE: "OVERWRITE_IF_EXISTS_OR_ADD",
    HeaderAction.APPEND: "APPEND_IF_EXISTS_OR_ADD",
}


def http_filters(side: Side, guard: Guard) -> Iterator[Any]:
    """Stand once for each object that changes headers."""
    if side is not Side.OUTBOUND:
        yield from map(header_mutation, guard.headers)


def route_config(route: Route) -> None:
    """Say nothing: what routes change is said in them."""


def header_mutation(plan: HeaderChanges) -> Any:
    """Say the changes of requests and of responses, in order."""
    message = header_mutation_pb2.HeaderMutation()
    message.mutations.request_mutations.extend(map(_mutation, plan.request))
    message.mutations.response_mutations.extend(map(_mutation, plan.response))
    return message


def _mutation(change: HeaderChange) -> Any:
    if change.action is HeaderAction.REMOVE:
        return mutation_rules_pb2.HeaderMutation(remove=change.name)
    header = base_pb2.HeaderValue(key=change.name, value=change.value)
    option = base_pb2.HeaderValueOption(header=header, append_action=_APPENDING[change.action])
    return mutation_rules_pb2.HeaderMutation(append=option)
