"""Expressions in CEL over what a proxy knows of a call when it has ended."""

from collections.abc import Iterator
from typing import Annotated, Final, TypeGuard

from pydantic import AfterValidator

from lateen.api.expressions import cel
from lateen.api.expressions.cel_functions import ENVOY_ROOTS
from lateen.api.expressions.faults import BadExpression
from lateen.api.expressions.tree import Attribute, Call, Constant, ConstantKind, Node, walk
from lateen.api.parsing import near

_FIELDS: Final = {
    "request": frozenset(
        {
            *("path", "url_path", "host", "scheme", "method", "headers", "referer", "useragent", "time", "id"),
            *("protocol", "query", "duration", "size", "total_size", "headers_bytes"),
        }
    ),
    "response": frozenset(
        {
            *("code", "code_details", "flags", "grpc_status", "headers", "trailers", "size", "total_size"),
            "backend_latency",
        }
    ),
    "source": frozenset({"address", "port"}),
    "destination": frozenset({"address", "port"}),
    "connection": frozenset(
        {
            *("id", "mtls", "requested_server_name", "tls_version", "termination_details", "transport_failure_reason"),
            *("subject_local_certificate", "subject_peer_certificate", "dns_san_local_certificate"),
            *("dns_san_peer_certificate", "uri_san_local_certificate", "uri_san_peer_certificate"),
            *("sha256_peer_certificate_digest",),
        }
    ),
    "upstream": frozenset(
        {
            *("address", "port", "tls_version", "subject_local_certificate", "subject_peer_certificate"),
            *("dns_san_local_certificate", "dns_san_peer_certificate", "uri_san_local_certificate"),
            *("uri_san_peer_certificate", "sha256_peer_certificate_digest", "local_address", "locality"),
            *("transport_failure_reason", "request_attempt_count", "cx_pool_ready_duration"),
        }
    ),
    "xds": frozenset(
        {
            *("node", "cluster_name", "cluster_metadata", "listener_direction", "listener_metadata", "route_name"),
            *("route_metadata", "virtual_host_name", "virtual_host_metadata", "upstream_host_metadata"),
            *("filter_chain_name", "upstream_host_locality_metadata"),
        }
    ),
}
"""What Envoy knows under each name; `metadata` and the filter state have whatever filters put there."""


def check_attributes(text: str) -> str:
    """Return a text in one line if Envoy can evaluate all parts of it and knows all that they ask for."""
    root = _parsed(text)
    faults = [fault for part in parts(root) for fault in (*map(str, cel.check(cel.render(part))), *_unknown(part))]
    if faults:
        raise ValueError(f"must be an expression in CEL that a proxy can evaluate: {'; '.join(faults)}")
    said = cel.render(root)
    if ")%" in said:
        raise ValueError(f"must not have )% in a text: {said}")
    return said


def parts(root: Node) -> tuple[Node, ...]:
    """Return the parts whose values stand beside each other in the text that an expression comes to.

    There is one unless texts are joined by `+`, which Envoy itself cannot do. What `string()` makes a text is one
    anyway in the end.
    """
    joined = tuple(_joined(root))
    if not any(_is_text(part) for part in joined):
        return (root,)
    return tuple(part.arguments[0] if _is_conversion(part) else part for part in joined)


def _joined(node: Node) -> Iterator[Node]:
    if isinstance(node, Call) and node.function == "+" and node.receiver is None:
        for part in node.arguments:
            yield from _joined(part)
    else:
        yield node


def _is_text(node: Node) -> bool:
    return _is_conversion(node) or (isinstance(node, Constant) and node.kind is ConstantKind.STRING)


def _is_conversion(node: Node) -> TypeGuard[Call]:
    if not isinstance(node, Call) or node.receiver is not None:
        return False
    return node.function == "string" and len(node.arguments) == 1


def check_condition(text: str) -> str:
    """Return the text of a condition; what is surely no yes or no is refused."""
    root = _parsed(text)
    if isinstance(root, Constant) and root.kind is not ConstantKind.BOOL:
        raise ValueError(f"must be true or false of a call, such as response.code >= 400, not always {text}")
    return check_attributes(text)


AttributeText = Annotated[str, AfterValidator(check_attributes)]
"""An expression with a value for each call."""

ConditionText = Annotated[str, AfterValidator(check_condition)]
"""An expression that is true of some calls."""


def _parsed(text: str) -> Node:
    try:
        return cel.parse(text)
    except BadExpression as bad:
        raise ValueError(f"must be an expression in CEL: {bad.fault}") from None


def _unknown(root: Node) -> Iterator[str]:
    """Yield what is asked for that no proxy knows."""
    libraries = {id(node.receiver) for node in walk(root) if isinstance(node, Call)}
    for node in walk(root):
        if isinstance(node, Attribute) and not (node.name == "re" and id(node) in libraries):
            yield from _unknown_name(node)


def _unknown_name(node: Attribute) -> Iterator[str]:
    first, _, rest = node.name.partition(".")
    field = rest.partition(".")[0]
    at = f"(at character {node.position + 1})"
    if first not in ENVOY_ROOTS:
        yield f"{first} is nothing that a proxy knows{near(first, sorted(ENVOY_ROOTS))} {at}"
    elif first in _FIELDS and field and field not in _FIELDS[first]:
        yield f"{first} has no {field}{near(field, sorted(_FIELDS[first]))} {at}"
