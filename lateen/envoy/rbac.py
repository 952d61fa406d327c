"""Rules about who may call, in the words of Envoy's RBAC: shared by requests and connections."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Any, Final

from envoy.config.core.v3 import address_pb2
from envoy.config.rbac.v3 import rbac_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.type.matcher.v3 import metadata_pb2, path_pb2, string_pb2, value_pb2

from lateen.envoy.matching import PAYLOAD, TOKENS, regex
from lateen.plan.types import Access, AccessCondition, AccessRule, Attribute, Authorizer, Comparison, Pattern

AUDIT_PREFIX: Final = "lateen_audit_"
"""Before the metadata that tells which AUDIT rule a request matched, in the namespace of the RBAC filter."""

TRIED_DENY_PREFIX: Final = "istio_dry_run_deny_"
TRIED_ALLOW_PREFIX: Final = "istio_dry_run_allow_"
MATCHED_RULE: Final = "shadow_effective_policy_id"
"""Behind a prefix, the metadata with the name of the rule that matched."""

_CLAIMS: Final = {Attribute.AUDIENCES: ("aud",), Attribute.PRESENTER: ("azp",)}
_PART: Final = "[^/]"


@dataclass(frozen=True, slots=True)
class Step:
    """One RBAC filter: rules that are held to, and rules whose verdict is only noted."""

    rules: Any | None = None
    shadow_rules: Any | None = None
    shadow_prefix: str = ""


def steps(access: Access) -> Iterator[Step]:
    """Yield the filters that rules come to, in order; none for actions without rules."""
    if access.audit:
        yield Step(None, denying(access.audit), AUDIT_PREFIX)
    if access.deny or access.tried_deny:
        tried = denying(access.tried_deny) if access.tried_deny else None
        yield Step(denying(access.deny) if access.deny else None, tried, TRIED_DENY_PREFIX if tried else "")
    if access.allow is not None or access.tried_allow is not None:
        tried = None if access.tried_allow is None else allowing(access.tried_allow)
        rules = None if access.allow is None else allowing(access.allow)
        yield Step(rules, tried, TRIED_ALLOW_PREFIX if tried else "")


def denying(rules: Iterable[AccessRule]) -> Any:
    """Say rules of which none may match."""
    return rbac_pb2.RBAC(action="DENY", policies={rule.name: policy(rule) for rule in rules})


def allowing(rules: Iterable[AccessRule]) -> Any:
    """Say rules of which one must match; without rules nothing passes."""
    return rbac_pb2.RBAC(action="ALLOW", policies={rule.name: policy(rule) for rule in rules})


def gate_prefix(authorizer: Authorizer) -> str:
    """Compose what stands before the metadata that tells whether an authorizer is to be asked."""
    return f"istio_ext_authz_{authorizer.name}_"


def passed_gate(authorizer: Authorizer, gates: str) -> Any:
    """Say what holds for the requests or connections that an authorizer is to be asked about."""
    return _metadata(gates, (gate_prefix(authorizer) + MATCHED_RULE,), string_pb2.StringMatcher(prefix="ns["))


def policy(rule: AccessRule) -> Any:
    """Say a rule: any of its operations, by any of its sources, and all its conditions."""
    about_source = [one for one in rule.conditions if one.attribute not in _PERMISSIONS]
    about_target = [one for one in rule.conditions if one.attribute in _PERMISSIONS]
    return rbac_pb2.Policy(
        permissions=[_all_permissions([*one, *about_target]) for one in rule.operations or ((),)],
        principals=[_all_principals([*one, *about_source]) for one in rule.sources or ((),)],
    )


def _all_permissions(conditions: list[AccessCondition]) -> Any:
    if not conditions:
        return rbac_pb2.Permission(any=True)
    return _joined([_permission(one) for one in conditions], "and_rules", rbac_pb2.Permission)


def _all_principals(conditions: list[AccessCondition]) -> Any:
    if not conditions:
        return rbac_pb2.Principal(any=True)
    return _joined([_principal(one) for one in conditions], "and_ids", rbac_pb2.Principal)


def _permission(condition: AccessCondition) -> Any:
    say = _PERMISSIONS[condition.attribute]
    asked = _joined([say(pattern) for pattern in condition.patterns], "or_rules", rbac_pb2.Permission)
    return rbac_pb2.Permission(not_rule=asked) if condition.inverted else asked


def _principal(condition: AccessCondition) -> Any:
    found = [one for pattern in condition.patterns for one in _principals(condition, pattern)]
    asked = _joined(found, "or_ids", rbac_pb2.Principal)
    return rbac_pb2.Principal(not_id=asked) if condition.inverted else asked


def _joined(parts: list[Any], how: str, message: Any) -> Any:
    if len(parts) == 1:
        return parts[0]
    field = "rules" if message is rbac_pb2.Permission else "ids"
    return message(**{how: {field: parts}})


def _principals(condition: AccessCondition, pattern: Pattern) -> Iterator[Any]:
    """Yield the ways in which a source can be what a pattern says."""
    principal = rbac_pb2.Principal
    match condition.attribute:
        case Attribute.SOURCE_IP:
            yield principal(direct_remote_ip=_cidr(pattern.value))
        case Attribute.REMOTE_IP:
            yield principal(remote_ip=_cidr(pattern.value))
        case Attribute.HEADER:
            yield principal(header=_header(condition.names[0], _text(pattern)))
        case Attribute.REQUEST_PRINCIPAL:
            yield from _request_principals(pattern)
        case Attribute.AUDIENCES | Attribute.PRESENTER:
            yield principal(sourced_metadata=_claim(_CLAIMS[condition.attribute], _text(pattern)))
        case Attribute.CLAIM:
            yield principal(sourced_metadata=_claim(condition.names, _text(pattern)))
        case Attribute.FILTER_METADATA:
            filter_name, *path = condition.names
            yield principal(sourced_metadata=_sourced(filter_name, path, _text(pattern)))
        case _:
            yield _identity(_IDENTITIES[condition.attribute](pattern))


def _identity(matcher: Any) -> Any:
    return rbac_pb2.Principal(authenticated=rbac_pb2.Principal.Authenticated(principal_name=matcher))


def _principal_name(pattern: Pattern) -> Any:
    """Say a SPIFFE id; the end of one is compared without its beginning."""
    if pattern.comparison is Comparison.SUFFIX:
        return _regex(f"spiffe://.*{re.escape(pattern.value)}")
    if pattern.comparison is Comparison.EXACT:
        return string_pb2.StringMatcher(exact=f"spiffe://{pattern.value}")
    return string_pb2.StringMatcher(prefix=f"spiffe://{pattern.value}")


def _namespace(pattern: Pattern) -> Any:
    return _regex(f"spiffe://{_PART}+/ns/{_in_part(pattern)}/sa/{_PART}+")


def _account(pattern: Pattern) -> Any:
    """Say a service account as `namespace/name`; a wildcard may reach over the slash."""
    if pattern.comparison is Comparison.EXACT:
        namespace, _, name = pattern.value.partition("/")
        return _regex(f"spiffe://{_PART}+/ns/{re.escape(namespace)}/sa/{re.escape(name)}")
    namespace, slash, name = pattern.value.partition("/")
    if pattern.comparison is Comparison.PREFIX:
        rest = f"{re.escape(namespace)}/sa/{re.escape(name)}{_PART}*"
        return _regex(f"spiffe://{_PART}+/ns/" + (rest if slash else f"{re.escape(namespace)}{_PART}*/sa/{_PART}+"))
    if pattern.comparison is Comparison.SUFFIX:
        rest = f"{_PART}*{re.escape(namespace)}/sa/{re.escape(name)}"
        return _regex(f"spiffe://{_PART}+/ns/" + (rest if slash else f"{_PART}+/sa/{_PART}*{re.escape(namespace)}"))
    return _regex(f"spiffe://{_PART}+/ns/{_PART}+/sa/{_PART}+")


def _trust_domain(pattern: Pattern) -> Any:
    return _regex(f"spiffe://{_in_part(pattern)}/.*")


_IDENTITIES: Final = {
    Attribute.PRINCIPAL: _principal_name,
    Attribute.NAMESPACE: _namespace,
    Attribute.ACCOUNT: _account,
    Attribute.TRUST_DOMAIN: _trust_domain,
}


def _in_part(pattern: Pattern) -> str:
    """Return an expression for a part of a SPIFFE id, which has no slash."""
    return {
        Comparison.EXACT: re.escape(pattern.value),
        Comparison.PREFIX: f"{re.escape(pattern.value)}{_PART}*",
        Comparison.SUFFIX: f"{_PART}*{re.escape(pattern.value)}",
    }.get(pattern.comparison, f"{_PART}+")


def _request_principals(pattern: Pattern) -> Iterator[Any]:
    """Yield the ways in which `issuer/subject` can fit: either of them may have slashes of its own."""
    text = pattern.value
    splits = [(text[: found.start()], text[found.end() :]) for found in re.finditer("/", text)]
    exact, present = Comparison.EXACT, Pattern(Comparison.PRESENT)
    if pattern.comparison is Comparison.PRESENT:
        yield _issued(present, present)
    elif pattern.comparison is Comparison.EXACT:
        for issuer, subject in splits:
            yield _issued(Pattern(exact, issuer), Pattern(exact, subject))
    elif pattern.comparison is Comparison.PREFIX:
        yield _issued(Pattern(Comparison.PREFIX, text), present)
        for issuer, subject in splits:
            yield _issued(Pattern(exact, issuer), Pattern(Comparison.PREFIX, subject) if subject else present)
    else:
        yield _issued(present, Pattern(Comparison.SUFFIX, text))
        for issuer, subject in splits:
            yield _issued(Pattern(Comparison.SUFFIX, issuer) if issuer else present, Pattern(exact, subject))
    if pattern.comparison is Comparison.EXACT and not splits:
        yield rbac_pb2.Principal(not_id=rbac_pb2.Principal(any=True))


def _issued(issuer: Pattern, subject: Pattern) -> Any:
    """Say a token's issuer and subject; claims that are lists do not count here."""
    both = [
        rbac_pb2.Principal(sourced_metadata=_sourced(TOKENS, (PAYLOAD, name), _text(one), in_lists=False))
        for name, one in (("iss", issuer), ("sub", subject))
    ]
    return rbac_pb2.Principal(and_ids={"ids": both})


def _claim(path: Iterable[str], text: Any) -> Any:
    return _sourced(TOKENS, (PAYLOAD, *path), text)


def _sourced(filter_name: str, path: Iterable[str], text: Any, *, in_lists: bool = True) -> Any:
    """Say what stands in a request's own metadata."""
    matcher = _metadata(filter_name, path, text, in_lists=in_lists)
    return rbac_pb2.SourcedMetadata(metadata_matcher=matcher, metadata_source="DYNAMIC")


def _metadata(filter_name: str, path: Iterable[str], text: Any, *, in_lists: bool = True) -> Any:
    """Say a text, or one of a list of texts, that a filter before has left."""
    alone = value_pb2.ValueMatcher(string_match=text)
    if in_lists:
        listed = value_pb2.ValueMatcher(list_match=value_pb2.ListMatcher(one_of=alone))
        alone = value_pb2.ValueMatcher(or_match=value_pb2.OrMatcher(value_matchers=[alone, listed]))
    segments = [metadata_pb2.MetadataMatcher.PathSegment(key=key) for key in path]
    return metadata_pb2.MetadataMatcher(filter=filter_name, path=segments, value=alone)


def _host(pattern: Pattern) -> Any:
    """Say a host in any case; one that is written without a port counts with every port."""
    if pattern.comparison is Comparison.PRESENT:
        return rbac_pb2.Permission(header=_header(":authority", _text(pattern)))
    return rbac_pb2.Permission(header=_header(":authority", _regex(host_expression(pattern))))


def host_expression(pattern: Pattern) -> str:
    """Return a regular expression for a host in any case; one without a port fits with every port."""
    port = "" if re.search(r":[0-9]+$", pattern.value) else "(:[0-9]*)?"
    text = {
        Comparison.EXACT: f"{re.escape(pattern.value)}{port}",
        Comparison.PREFIX: f"{re.escape(pattern.value)}.*",
        Comparison.SUFFIX: f".*{re.escape(pattern.value)}{port}",
    }[pattern.comparison]
    return f"(?i){text}"


def _path(pattern: Pattern) -> Any:
    text = _template(pattern.value) if pattern.comparison is Comparison.TEMPLATE else _text(pattern)
    return rbac_pb2.Permission(url_path=path_pb2.PathMatcher(path=text))


def _template(path: str) -> Any:
    """Say a path template.

    An expression and not Envoy's own matcher for templates, which fits no path with rarer characters.
    """
    return _regex(template_expression(path))


def template_expression(path: str, letter: str = ".", letter_in_segment: str = _PART) -> str:
    """Return a regular expression for a path template: `{*}` is one segment, `{**}` any number of them."""
    wild = {"{*}": f"{letter_in_segment}+", "{**}": f"{letter}*"}
    return "".join(wild.get(part, re.escape(part)) for part in re.split(r"(\{\*\*?\})", path))


_PERMISSIONS: Final[Mapping[Attribute, Callable[[Pattern], Any]]] = {
    Attribute.HOST: _host,
    Attribute.METHOD: lambda pattern: rbac_pb2.Permission(header=_header(":method", _text(pattern))),
    Attribute.PATH: _path,
    Attribute.DESTINATION_IP: lambda pattern: rbac_pb2.Permission(destination_ip=_cidr(pattern.value)),
    Attribute.DESTINATION_PORT: lambda pattern: rbac_pb2.Permission(destination_port=int(pattern.value)),
    Attribute.SNI: lambda pattern: rbac_pb2.Permission(requested_server_name=_text(pattern)),
}
"""What RBAC asks of the target; everything else is asked of the source."""


def _header(name: str, text: Any) -> Any:
    return route_components_pb2.HeaderMatcher(name=name, string_match=text)


def _text(pattern: Pattern) -> Any:
    """Say how a text is compared; a text that is there but empty counts as missing."""
    match pattern.comparison:
        case Comparison.EXACT:
            return string_pb2.StringMatcher(exact=pattern.value)
        case Comparison.PREFIX:
            return string_pb2.StringMatcher(prefix=pattern.value)
        case Comparison.SUFFIX:
            return string_pb2.StringMatcher(suffix=pattern.value)
        case _:
            return _regex(".+")


def _regex(expression: str) -> Any:
    return string_pb2.StringMatcher(safe_regex=regex(expression))


def _cidr(text: str) -> Any:
    network = ip_interface(text).network
    message = address_pb2.CidrRange(address_prefix=str(network.network_address))
    message.prefix_len.value = network.prefixlen
    return message
