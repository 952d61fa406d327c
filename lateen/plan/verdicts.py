"""What a proxy's rules say to one call: the same plan that Envoy is told, read without Envoy."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address, ip_interface
from typing import Any, Final

from lateen import names
from lateen.plan.access import connection_access
from lateen.plan.types import Access, AccessCondition, AccessRule, Attribute, Authorizer, Comparison, Pattern

Claims = Mapping[str, Any]
_PORT: Final = re.compile(r":[0-9]*$")
_WRITTEN_PORT: Final = re.compile(r":[0-9]+$")
_LISTS: Final = ("permission", "scope")


@dataclass(frozen=True, slots=True)
class Call:
    """What a server's proxy knows of a request, or of a connection that is not HTTP.

    `principal` is the SPIFFE id that the client's certificate proves, empty without one. `path` is as it stands after
    normalization. Header names are lower case; of one that comes several times each value is compared, so that none can
    hide behind another. `claims` are those of a token that was verified, None without one. `peer` is what the client's
    certificate attests beside its identity, None where nobody knows it.
    """

    principal: str = ""
    source_ip: str = "10.244.0.1"
    remote_ip: str = ""
    destination_ip: str = "10.244.0.1"
    destination_port: int = 80
    sni: str = ""
    is_http: bool = True
    host: str = ""
    method: str = "GET"
    path: str = "/"
    headers: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    claims: Claims | None = None
    space_delimited_claims: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    peer: names.PeerName | None = None


class Reason(StrEnum):
    """Why a call is allowed or denied."""

    DENIED = "a DENY rule matches"
    ALLOWED = "an ALLOW rule matches"
    NOT_ALLOWED = "no ALLOW rule matches"
    NO_POLICY = "no ALLOW policy applies"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a call. `rule` is the one that decided, None where none did.

    `asked` are the authorizers that have to agree as well; with any, `allowed` is what holds if they do. `audited` is
    the AUDIT rule that matches; `tried` is what would be decided if the policies in dry-run counted, None without any.
    """

    allowed: bool
    reason: Reason
    rule: AccessRule | None = None
    asked: tuple[tuple[Authorizer, AccessRule], ...] = ()
    audited: AccessRule | None = None
    tried: "Verdict | None" = None


def judge(access: Access, call: Call) -> Verdict:
    """Return what the rules of a workload's port say to a call."""
    if not call.is_http:
        access = connection_access(access)
    asked = tuple(
        (check.authorizer, rule) for check in access.custom if (rule := first_match(check.rules, call)) is not None
    )
    decided = _decide(access.deny, access.allow, call)
    tried = None
    if access.tried_deny or access.tried_allow is not None:
        allow = (
            None
            if access.allow is None and access.tried_allow is None
            else (*(access.allow or ()), *(access.tried_allow or ()))
        )
        tried = _decide((*access.deny, *access.tried_deny), allow, call)
    return Verdict(decided.allowed, decided.reason, decided.rule, asked, first_match(access.audit, call), tried)


def first_match(rules: Iterable[AccessRule], call: Call) -> AccessRule | None:
    """Return the rule that a proxy reports: of those that match, the first by name."""
    return next((rule for rule in sorted(rules, key=lambda rule: rule.name) if matches(rule, call)), None)


def matches(rule: AccessRule, call: Call) -> bool:
    """Tell whether a rule matches a call."""
    return (
        _any_alternative(rule.sources, call)
        and _any_alternative(rule.operations, call)
        and all(holds(condition, call) for condition in rule.conditions)
    )


def holds(condition: AccessCondition, call: Call) -> bool:
    """Tell whether a condition holds for a call."""
    fits = _FITS.get(condition.attribute, _fits_text)
    found = list(values(condition, call))
    return any(fits(pattern, value) for pattern in condition.patterns for value in found) is not condition.inverted


def _decide(deny: Iterable[AccessRule], allow: tuple[AccessRule, ...] | None, call: Call) -> Verdict:
    if (rule := first_match(deny, call)) is not None:
        return Verdict(False, Reason.DENIED, rule)
    if allow is None:
        return Verdict(True, Reason.NO_POLICY)
    rule = first_match(allow, call)
    return Verdict(rule is not None, Reason.ALLOWED if rule else Reason.NOT_ALLOWED, rule)


def _any_alternative(alternatives: tuple[tuple[AccessCondition, ...], ...], call: Call) -> bool:
    return not alternatives or any(all(holds(one, call) for one in alternative) for alternative in alternatives)


def values(condition: AccessCondition, call: Call) -> Iterator[str]:
    """Yield what a call has of an attribute: nothing, one text, or the texts of a list."""
    match condition.attribute:
        case Attribute.HEADER:
            name = condition.names[0]
            known = {":method": call.method, ":path": call.path, ":authority": call.host, **call.headers}
            found = known.get(name, ())
            yield from (found,) if isinstance(found, str) else found
        case Attribute.CLAIM:
            yield from _claim(condition.names, call)
        case Attribute.AUDIENCES:
            yield from _claim(("aud",), call)
        case Attribute.PRESENTER:
            yield from _claim(("azp",), call)
        case Attribute.FILTER_METADATA:
            yield from _texts(_inside(call.metadata, condition.names))
        case _:
            text = _ATTRIBUTES[condition.attribute](call)
            if text:
                yield text


def _claim(path: tuple[str, ...], call: Call) -> Iterator[str]:
    found = _inside(call.claims or {}, path)
    if isinstance(found, str) and len(path) == 1 and path[0] in (*_LISTS, *call.space_delimited_claims):
        yield from found.split(" ")
    else:
        yield from _texts(found)


def _inside(value: Any, path: Iterable[str]) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _texts(value: Any) -> Iterator[str]:
    """Yield a text, or the texts of a list; numbers and everything else match nothing."""
    for one in value if isinstance(value, list | tuple) else (value,):
        if isinstance(one, str):
            yield one


def _request_principal(call: Call) -> str:
    issuer, subject = (call.claims or {}).get("iss"), (call.claims or {}).get("sub")
    return f"{issuer}/{subject}" if isinstance(issuer, str) and isinstance(subject, str) and issuer and subject else ""


def _identity(say: Callable[[names.Identity], str]) -> Callable[[Call], str]:
    def of(call: Call) -> str:
        identity = names.parse_identity(call.principal)
        return say(identity) if identity is not None else ""

    return of


_ATTRIBUTES: Final[Mapping[Attribute, Callable[[Call], str]]] = {
    Attribute.PRINCIPAL: lambda call: call.principal.removeprefix("spiffe://"),
    Attribute.NAMESPACE: _identity(lambda identity: identity.namespace),
    Attribute.ACCOUNT: _identity(lambda identity: f"{identity.namespace}/{identity.service_account}"),
    Attribute.TRUST_DOMAIN: _identity(lambda identity: identity.trust_domain),
    Attribute.SOURCE_IP: lambda call: call.source_ip,
    Attribute.REMOTE_IP: lambda call: call.remote_ip or call.source_ip,
    Attribute.DESTINATION_IP: lambda call: call.destination_ip,
    Attribute.DESTINATION_PORT: lambda call: str(call.destination_port),
    Attribute.SNI: lambda call: call.sni,
    Attribute.HOST: lambda call: call.host.lower(),
    Attribute.METHOD: lambda call: call.method,
    Attribute.PATH: lambda call: re.split(r"[?#]", call.path, maxsplit=1)[0],
    Attribute.REQUEST_PRINCIPAL: _request_principal,
}


def _fits_text(pattern: Pattern, text: str) -> bool:
    match pattern.comparison:
        case Comparison.EXACT:
            return text == pattern.value
        case Comparison.PREFIX:
            return text.startswith(pattern.value)
        case Comparison.SUFFIX:
            return text.endswith(pattern.value)
        case Comparison.TEMPLATE:
            return _fits_template(pattern.value, text)
        case _:
            return bool(text)


def _fits_template(template: str, path: str) -> bool:
    parts = re.split(r"(\{\*\*?\})", template)
    forms = {"{*}": "[^/]+", "{**}": ".*"}
    return re.fullmatch("".join(forms.get(part, re.escape(part)) for part in parts), path) is not None


def _fits_host(pattern: Pattern, host: str) -> bool:
    """Compare a host; one that is written without a port counts with every port."""
    if _fits_text(pattern, host):
        return True
    names_end = pattern.comparison in (Comparison.EXACT, Comparison.SUFFIX)
    return names_end and not _WRITTEN_PORT.search(pattern.value) and _fits_text(pattern, _PORT.sub("", host))


def _fits_range(pattern: Pattern, address: str) -> bool:
    return ip_address(address) in ip_interface(pattern.value).network


_FITS: Final[Mapping[Attribute, Callable[[Pattern, str], bool]]] = {
    Attribute.HOST: _fits_host,
    Attribute.SOURCE_IP: _fits_range,
    Attribute.REMOTE_IP: _fits_range,
    Attribute.DESTINATION_IP: _fits_range,
}
