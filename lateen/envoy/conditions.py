"""Conditions in the words of Envoy's rules: principals, which can say any combination, and expressions beside them."""

from collections.abc import Iterator
from ipaddress import ip_interface
from itertools import product
from typing import Any, Final

from envoy.config.core.v3 import address_pb2
from envoy.config.rbac.v3 import rbac_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.type.matcher.v3 import filter_state_pb2, path_pb2

from lateen.api.expressions.tree import Call
from lateen.envoy.cel import syntax_tree
from lateen.envoy.matching import string_matcher
from lateen.names import peer_state
from lateen.plan.condition_expressions import expression
from lateen.plan.conditions import (
    NEVER,
    AddressIn,
    AllOf,
    AnyOf,
    Condition,
    HeaderFits,
    Not,
    PathFits,
    PeerFits,
    PeerIs,
    Says,
    all_of,
    negated,
)
from lateen.plan.types import MatchKind, TextMatch

_ANYBODY: Final = rbac_pb2.Principal(any=True)


def policies(condition: Condition) -> Iterator[Any]:
    """Yield policies of which one fits what a condition fits; none for one that never holds.

    A policy has an expression only beside everything else that it asks for: what mixes expressions with other things
    is taken apart, or said as one expression.
    """
    for alternative in _alternatives(condition):
        parts = alternative.parts if isinstance(alternative, AllOf) else (alternative,)
        native = [part for part in parts if not has_expression(part)]
        spoken = [expression(part) for part in parts if has_expression(part)]
        policy = rbac_pb2.Policy(permissions=[rbac_pb2.Permission(any=True)], principals=[principal(all_of(native))])
        if spoken:
            policy.condition.CopyFrom(syntax_tree(spoken[0] if len(spoken) == 1 else Call("&&", tuple(spoken))))
            policy.cel_config.enable_string_concat = True
            policy.cel_config.enable_string_functions = True
        yield policy


def principal(condition: Condition) -> Any:
    """Say a condition without expressions."""
    match condition:
        case AllOf(()):
            return _ANYBODY
        case AnyOf(()):
            return rbac_pb2.Principal(not_id=_ANYBODY)
        case AllOf(parts):
            return rbac_pb2.Principal(and_ids={"ids": map(principal, parts)})
        case AnyOf(parts):
            return rbac_pb2.Principal(or_ids={"ids": map(principal, parts)})
        case Not(part):
            return rbac_pb2.Principal(not_id=principal(part))
        case HeaderFits(name, text):
            return rbac_pb2.Principal(header=_header(name, text))
        case PathFits(text):
            return rbac_pb2.Principal(url_path=path_pb2.PathMatcher(path=string_matcher(text)))
        case PeerFits(text):
            return rbac_pb2.Principal(authenticated=_authenticated(text))
        case PeerIs(fact, text):
            return rbac_pb2.Principal(filter_state=_state(fact, text))
        case AddressIn(block, forwarded):
            return rbac_pb2.Principal(**{"remote_ip" if forwarded else "direct_remote_ip": _cidr(block)})
        case Says():
            raise ValueError("an expression stands beside principals, not among them")


def has_expression(condition: Condition) -> bool:
    """Tell whether a condition asks for more than what is compared natively."""
    match condition:
        case AllOf(parts) | AnyOf(parts):
            return any(map(has_expression, parts))
        case Not(part):
            return has_expression(part)
        case _:
            return isinstance(condition, Says)


def _alternatives(condition: Condition) -> Iterator[Condition]:
    """Take apart what joins expressions with other things by `or`."""
    if not has_expression(condition):
        if condition != NEVER:
            yield condition
        return
    match condition:
        case Not(AllOf(parts)):
            yield from _alternatives(AnyOf(tuple(map(negated, parts))))
        case Not(AnyOf(parts)):
            yield from _alternatives(AllOf(tuple(map(negated, parts))))
        case AnyOf(parts):
            for part in parts:
                yield from _alternatives(part)
        case AllOf(parts):
            yield from map(all_of, product(*map(_alternatives, parts)))
        case _:
            yield condition


def _header(name: str, text: TextMatch) -> Any:
    if text.kind is MatchKind.PRESENT:
        return route_components_pb2.HeaderMatcher(name=name, present_match=True)
    return route_components_pb2.HeaderMatcher(name=name, string_match=string_matcher(text))


def _authenticated(text: TextMatch) -> Any:
    if text.kind is MatchKind.PRESENT:
        return rbac_pb2.Principal.Authenticated()
    return rbac_pb2.Principal.Authenticated(principal_name=string_matcher(text))


def _state(fact: str, text: TextMatch) -> Any:
    return filter_state_pb2.FilterStateMatcher(key=peer_state(fact), string_match=string_matcher(text))


def _cidr(block: str) -> Any:
    network = ip_interface(block).network
    message = address_pb2.CidrRange(address_prefix=str(network.network_address))
    message.prefix_len.value = network.prefixlen
    return message
