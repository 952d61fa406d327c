"""What of a request goes into its description for whoever counts it."""

from collections.abc import Iterator
from typing import Any, Final

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2

from lateen.api.policy.dimensions import Aspect, Dimension
from lateen.envoy import matching
from lateen.envoy.request_matchers import header_matchers
from lateen.plan.rate_limit_types import CountedLimit, RateLimits
from lateen.plan.request_description import CONDITION, HOLDS, LIMIT, QUERY, shown

_FORMATS: Final = {
    Aspect.PRINCIPAL: "%DOWNSTREAM_PEER_URI_SAN%",
    Aspect.SOURCE_IP: "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
    Aspect.REMOTE_IP: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    Aspect.PATH: "%PATH(NQ:PATH)%",
    Aspect.METHOD: "%REQ(:METHOD)%",
    Aspect.HOST: "%REQ(:AUTHORITY)%",
}


def rate_limit(plan: CountedLimit) -> Any:
    """Say what of a request goes into its description; a request that does not match gets none."""
    message = route_components_pb2.RateLimit(actions=_actions(plan))
    if plan.cost != 1:
        message.hits_addend.number.value = plan.cost
    return message


def text_format(dimension: Dimension) -> str:
    """Say a dimension as a format of Envoy's."""
    match dimension.aspect:
        case Aspect.HEADER:
            return f"%REQ({dimension.names[0]})%"
        case Aspect.QUERY:
            return f"%QUERY_PARAM({dimension.names[0]})%"
        case Aspect.CLAIM:
            return _claim(*dimension.names)
        case Aspect.REQUEST_PRINCIPAL:
            return f"{_claim('iss')}/{_claim('sub')}"
        case Aspect.EXPRESSION:
            return f"%CEL({dimension.names[0]})%"
        case _:
            return _FORMATS[dimension.aspect]


def stat_prefix(plan: RateLimits) -> str:
    """Name an object's statistics; dots would end the name."""
    return plan.name.replace(".", "_")


def response_headers(plan: RateLimits) -> list[Any]:
    """Say what refused clients are told."""
    return [
        base_pb2.HeaderValueOption(
            header=base_pb2.HeaderValue(key=name, value=value.replace("%", "%%")),
            append_action="OVERWRITE_IF_EXISTS_OR_ADD",
        )
        for name, value in plan.response_headers
    ]


def _actions(plan: CountedLimit) -> Iterator[Any]:
    headers = list(header_matchers(plan.requests))
    if headers:
        match = {"descriptor_key": LIMIT, "descriptor_value": plan.name, "headers": headers}
        yield route_components_pb2.RateLimit.Action(header_value_match=match)
    else:
        yield _text(LIMIT, plan.name)
    if plan.requests.query:
        parameters = [matching.query_parameter_matcher(one) for one in plan.requests.query]
        match = {"descriptor_key": QUERY, "descriptor_value": HOLDS, "query_parameters": parameters}
        yield route_components_pb2.RateLimit.Action(query_parameter_value_match=match)
    if plan.requests.condition:
        yield _text(CONDITION, f"%CEL({plan.requests.condition})%")
    for position, dimension in enumerate(plan.dimensions):
        yield _text(str(position), shown(text_format(dimension)))


def _text(key: str, value: str) -> Any:
    return route_components_pb2.RateLimit.Action(generic_key={"descriptor_key": key, "descriptor_value": value})


def _claim(*path: str) -> str:
    return f"%DYNAMIC_METADATA({':'.join((matching.TOKENS, matching.PAYLOAD, *path))})%"
