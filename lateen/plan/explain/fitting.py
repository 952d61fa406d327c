"""Whether conditions fit a call, as far as it is known: yes, no, or None where nobody knows it beforehand."""

from collections.abc import Iterable
from ipaddress import ip_address, ip_interface
from typing import Final
from urllib.parse import parse_qsl

from lateen import names
from lateen.api.expressions import cel
from lateen.api.policy.dimensions import Aspect, Dimension
from lateen.plan import verdicts
from lateen.plan.conditions import AddressIn, AllOf, AnyOf, Condition, HeaderFits, Not, PathFits, PeerFits, PeerIs, Says
from lateen.plan.explain import expressions, matching
from lateen.plan.rate_limit_types import CountedRequests
from lateen.plan.types import AccessCondition, Attribute, MatchKind, Pattern, TextMatch
from lateen.plan.verdicts import Call

_SPIFFE: Final = "spiffe://"


def fits(condition: Condition, call: Call) -> bool | None:
    """Tell whether a condition of a proxy's rules fits a call."""
    match condition:
        case AllOf(parts):
            return every(fits(part, call) for part in parts)
        case AnyOf(parts):
            return negated(every(negated(fits(part, call)) for part in parts))
        case Not(part):
            return negated(fits(part, call))
        case HeaderFits(name, text):
            return matching.holds(text, expressions.headers(call).get(name))
        case PathFits(text):
            return matching.holds(text, call.path.partition("?")[0])
        case PeerFits(text):
            return _peer_fits(text, call)
        case PeerIs(fact, text):
            return _fact_fits(fact, text, call)
        case AddressIn(block, forwarded):
            address = (call.remote_ip or call.source_ip) if forwarded else call.source_ip
            return ip_address(address) in ip_interface(block).network
        case Says(expression):
            return expressions.holds(expression, call)


def counts(requests: CountedRequests, call: Call) -> bool | None:
    """Tell whether a policy that is about some requests is about this one."""
    query = dict(reversed(parse_qsl(call.path.partition("?")[2], keep_blank_values=True)))
    known = expressions.headers(call)
    return every(
        (
            _any(requests.hosts, Attribute.HOST, call),
            _any(requests.methods, Attribute.METHOD, call),
            _any(requests.paths, Attribute.PATH, call),
            all(matching.holds(one.match, known.get(one.name)) for one in requests.headers),
            all(matching.holds(one.match, query.get(one.name)) for one in requests.query),
            not requests.condition or expressions.holds(cel.parse(requests.condition), call),
        )
    )


def told_apart_by(dimension: Dimension, call: Call) -> str | None:
    """Return what a request is counted by; empty where it has no such thing, None where nobody knows it."""
    match dimension.aspect:
        case Aspect.PRINCIPAL:
            return call.principal
        case Aspect.SOURCE_IP:
            return call.source_ip
        case Aspect.REMOTE_IP:
            return call.remote_ip or call.source_ip
        case Aspect.PATH:
            return call.path.partition("?")[0]
        case Aspect.METHOD:
            return call.method
        case Aspect.HOST:
            return call.host
        case Aspect.HEADER:
            return expressions.headers(call).get(dimension.names[0], "")
        case Aspect.QUERY:
            query = parse_qsl(call.path.partition("?")[2], keep_blank_values=True)
            return dict(reversed(query)).get(dimension.names[0], "")
        case Aspect.CLAIM | Aspect.REQUEST_PRINCIPAL:
            return _of_token(dimension, call)
        case Aspect.EXPRESSION:
            found = expressions.value(cel.parse(dimension.names[0]), call)
            return found if isinstance(found, str) else None


def every(parts: Iterable[bool | None]) -> bool | None:
    """Join conditions that all have to hold: one that does not decides, whatever is not known."""
    found = list(parts)
    if False in found:
        return False
    return None if None in found else True


def negated(found: bool | None) -> bool | None:
    """Say the opposite of what is known."""
    return None if found is None else not found


def _any(patterns: tuple[Pattern, ...], attribute: Attribute, call: Call) -> bool:
    return not patterns or verdicts.holds(AccessCondition(attribute, patterns), call)


def _of_token(dimension: Dimension, call: Call) -> str:
    attribute = Attribute.CLAIM if dimension.aspect is Aspect.CLAIM else Attribute.REQUEST_PRINCIPAL
    found = verdicts.values(AccessCondition(attribute, (), names=dimension.names), call)
    return next(iter(found), "")


def _peer_fits(text: TextMatch, call: Call) -> bool | None:
    """Compare the names in the caller's certificate: its identity, what is attested of it, and its instance."""
    if not call.principal:
        return False
    if text.kind is MatchKind.PRESENT or matching.holds(text, call.principal):
        return True
    if text.value.startswith(_SPIFFE):
        return False
    if call.peer is None or call.peer.instance == names.UNKNOWN:
        return None
    instance = names.instance_name(call.peer.instance, _namespace(call))
    return matching.holds(text, str(call.peer)) or matching.holds(text, instance)


def _fact_fits(fact: str, text: TextMatch, call: Call) -> bool | None:
    if not call.principal:
        return False
    if fact == "namespace":
        return matching.holds(text, _namespace(call))
    if call.peer is None:
        return None
    return matching.holds(text, names.peer_text(str(getattr(call.peer, fact))))


def _namespace(call: Call) -> str:
    identity = names.parse_identity(call.principal)
    return identity.namespace if identity is not None else ""
