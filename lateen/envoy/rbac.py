"""Rules about who may call, in the words of Envoy's RBAC: shared by requests and connections.

A filter that refuses, or notes, must tell by which rule: there each rule is a policy of its own. Where only the verdict
counts, many rules are told with few (`merged_rules`), and refusals can be guarded by such a screen.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_interface
from typing import Any, Final

from envoy.config.core.v3 import address_pb2
from envoy.config.rbac.v3 import rbac_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.type.matcher.v3 import metadata_pb2, path_pb2, string_pb2, value_pb2

from lateen.envoy import access_texts, merged_rules
from lateen.envoy.matching import PAYLOAD, TOKENS
from lateen.plan.types import Access, AccessCondition, AccessRule, Attribute, Authorizer, Comparison, Pattern

AUDIT_PREFIX: Final = "lateen_audit_"
"""Before the metadata that tells which AUDIT rule a request matched, in the namespace of the RBAC filter."""

TRIED_DENY_PREFIX: Final = "istio_dry_run_deny_"
TRIED_ALLOW_PREFIX: Final = "istio_dry_run_allow_"
SCREEN_PREFIX: Final = "lateen_screen_"
"""Before the metadata that tells whether any rule of the filter behind matches: one screen after another uses it."""

MATCHED_RULE: Final = "shadow_effective_policy_id"
"""Behind a prefix, the metadata with the name of the rule that matched."""

VERDICT: Final = "shadow_engine_result"
"""Behind a prefix, the metadata with the verdict of rules that are only noted: `NOTHING_MATCHED` or its opposite."""

NOTHING_MATCHED: Final = "allowed"

_MANY: Final = 8
"""From so many rules on, it pays to ask whether any of them matches before it is asked which one."""


@dataclass(frozen=True, slots=True)
class Step:
    """One RBAC filter: rules that are held to, and rules whose verdict is only noted.

    With a screen, the filter has nothing to do for a request that the screen's rules, which refuse nothing, let pass.
    """

    rules: Any | None = None
    shadow_rules: Any | None = None
    shadow_prefix: str = ""
    screen: Any | None = None


@dataclass(frozen=True, slots=True)
class _Tongue:
    """The names of the same things among Envoy's permissions and among its principals."""

    message: Any
    all_of: str
    any_of: str
    members: str
    negation: str

    def every(self, parts: Sequence[Any]) -> Any:
        """Say that all of it holds."""
        return self._joined(parts, self.all_of) if parts else self.message(any=True)

    def some(self, parts: Sequence[Any]) -> Any:
        """Say that any of it holds."""
        return self._joined(parts, self.any_of)

    def _joined(self, parts: Sequence[Any], how: str) -> Any:
        return parts[0] if len(parts) == 1 else self.message(**{how: {self.members: parts}})

    def unless(self, part: Any) -> Any:
        """Say that it does not hold."""
        return self.message(**{self.negation: part})


_TARGET: Final = _Tongue(rbac_pb2.Permission, "and_rules", "or_rules", "rules", "not_rule")
_SOURCE: Final = _Tongue(rbac_pb2.Principal, "and_ids", "or_ids", "ids", "not_id")


def steps(access: Access) -> Iterator[Step]:
    """Yield the filters that rules come to, in order; none for actions without rules."""
    if access.audit:
        yield Step(None, denying(access.audit), AUDIT_PREFIX, _screen(access.audit))
    if access.deny or access.tried_deny:
        tried = denying(access.tried_deny) if access.tried_deny else None
        yield Step(
            denying(access.deny) if access.deny else None,
            tried,
            TRIED_DENY_PREFIX if tried else "",
            # What is tried is counted also for requests that none of it matches.
            None if tried else _screen(access.deny),
        )
    if access.allow is not None or access.tried_allow is not None:
        tried = None if access.tried_allow is None else allowing(access.tried_allow)
        rules = None if access.allow is None else allowing(access.allow)
        yield Step(rules, tried, TRIED_ALLOW_PREFIX if tried else "")


def denying(rules: Iterable[AccessRule]) -> Any:
    """Say rules of which none may match, each by its name."""
    return rbac_pb2.RBAC(action="DENY", policies={rule.name: policy(rule) for rule in rules})


def allowing(rules: Sequence[AccessRule]) -> Any:
    """Say rules of which one must match; without rules nothing passes."""
    named = len(rules) < _MANY
    return rbac_pb2.RBAC(
        action="ALLOW", policies={rule.name: policy(rule) for rule in rules} if named else _any_of(rules)
    )


def _screen(rules: Sequence[AccessRule]) -> Any | None:
    """Say many rules of which none may match without their names; None for few."""
    return rbac_pb2.RBAC(action="DENY", policies=_any_of(rules)) if len(rules) >= _MANY else None


def _any_of(rules: Iterable[AccessRule]) -> Mapping[str, Any]:
    """Say that any of many rules matches, in policies whose names tell nothing."""
    few = merged_rules.fewer(rules)
    rooted = [rule for rule in few if _is_about_target_only(rule)]
    others = tuple(rule for rule in few if not _is_about_target_only(rule))
    policies = [policy(rule) for rule in rooted]
    if others:
        anything = rbac_pb2.Permission(any=True)
        policies.append(rbac_pb2.Policy(permissions=[anything], principals=[_tree(others)]))
    return {f"any[{position}]": each for position, each in enumerate(policies)}


def _is_about_target_only(rule: AccessRule) -> bool:
    """Tell whether a rule asks something that Envoy's principals have no words for."""
    conditions = (one for each in (rule.conditions, *rule.operations) for one in each)
    return any(one.attribute in _ONLY_PERMISSIONS for one in conditions)


def _tree(rules: tuple[AccessRule, ...]) -> Any:
    """Say that any of the rules matches, so that a glance is enough for most of them."""
    branches, others = merged_rules.branches(rules)
    grown = [_SOURCE.every([_said(branch.glance, _SOURCE), _tree(branch.rules)]) for branch in branches]
    return _SOURCE.some([*grown, *map(_as_principal, others)])


def _as_principal(rule: AccessRule) -> Any:
    parts = [_alternatives(each, _SOURCE) for each in (rule.operations, rule.sources) if each]
    return _SOURCE.every([*parts, *(_said(each, _SOURCE) for each in rule.conditions)])


def _alternatives(alternatives: Iterable[Iterable[AccessCondition]], tongue: _Tongue) -> Any:
    return tongue.some([tongue.every([_said(one, tongue) for one in each]) for each in alternatives])


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
        permissions=[_every([*one, *about_target], _TARGET) for one in rule.operations or ((),)],
        principals=[_every([*one, *about_source], _SOURCE) for one in rule.sources or ((),)],
    )


def _every(conditions: Iterable[AccessCondition], tongue: _Tongue) -> Any:
    return tongue.every([_said(one, tongue) for one in conditions])


def _said(condition: AccessCondition, tongue: _Tongue) -> Any:
    asked = tongue.some(list(_ways(condition, tongue.message)))
    return tongue.unless(asked) if condition.inverted else asked


def _ways(condition: AccessCondition, message: Any) -> Iterator[Any]:
    """Yield the ways in which a condition can be met."""
    if (compared := _TEXTS.get(condition.attribute)) is not None:
        read, said = compared
        for text in access_texts.any_of([read(pattern) for pattern in condition.patterns]):
            yield said(message, condition.names, text)
    else:
        for pattern in condition.patterns:
            yield from _OTHERS[condition.attribute](message, pattern)


def _request_principals(_: Any, pattern: Pattern) -> Iterator[Any]:
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
        rbac_pb2.Principal(sourced_metadata=_sourced(TOKENS, (PAYLOAD, name), access_texts.text(one), in_lists=False))
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


def _address(field: str, message: Any, pattern: Pattern) -> Iterator[Any]:
    network = ip_interface(pattern.value).network
    block = address_pb2.CidrRange(address_prefix=str(network.network_address))
    block.prefix_len.value = network.prefixlen
    yield message(**{field: block})


def _port(message: Any, pattern: Pattern) -> Iterator[Any]:
    yield message(destination_port=int(pattern.value))


def _header(name: str, message: Any, names: Sequence[str], text: Any) -> Any:
    return message(header=route_components_pb2.HeaderMatcher(name=name or names[0], string_match=text))


def _identity(message: Any, _: Sequence[str], text: Any) -> Any:
    return message(authenticated=rbac_pb2.Principal.Authenticated(principal_name=text))


def _path(message: Any, _: Sequence[str], text: Any) -> Any:
    return message(url_path=path_pb2.PathMatcher(path=text))


def _server_name(message: Any, _: Sequence[str], text: Any) -> Any:
    return message(requested_server_name=text)


def _in_token(path: Sequence[str], message: Any, names: Sequence[str], text: Any) -> Any:
    return message(sourced_metadata=_claim(path or names, text))


def _filter_metadata(message: Any, names: Sequence[str], text: Any) -> Any:
    filter_name, *path = names
    return message(sourced_metadata=_sourced(filter_name, path, text))


_TEXTS: Final[Mapping[Attribute, tuple[Callable[[Pattern], Any], Callable[[Any, Sequence[str], Any], Any]]]] = {
    **{each: (partial(access_texts.identity, each), _identity) for each in access_texts.IDENTITIES},
    Attribute.AUDIENCES: (access_texts.text, partial(_in_token, ("aud",))),
    Attribute.PRESENTER: (access_texts.text, partial(_in_token, ("azp",))),
    Attribute.CLAIM: (access_texts.text, partial(_in_token, ())),
    Attribute.FILTER_METADATA: (access_texts.text, _filter_metadata),
    Attribute.HEADER: (access_texts.text, partial(_header, "")),
    Attribute.HOST: (access_texts.host, partial(_header, ":authority")),
    Attribute.METHOD: (access_texts.text, partial(_header, ":method")),
    Attribute.PATH: (access_texts.path, _path),
    Attribute.SNI: (access_texts.text, _server_name),
}
"""How a text of each attribute is read, and what is said of it: many of them are compared at once."""

_OTHERS: Final[Mapping[Attribute, Callable[[Any, Pattern], Iterator[Any]]]] = {
    Attribute.SOURCE_IP: partial(_address, "direct_remote_ip"),
    Attribute.REMOTE_IP: partial(_address, "remote_ip"),
    Attribute.REQUEST_PRINCIPAL: _request_principals,
    Attribute.DESTINATION_IP: partial(_address, "destination_ip"),
    Attribute.DESTINATION_PORT: _port,
}

_ONLY_PERMISSIONS: Final = frozenset({Attribute.DESTINATION_IP, Attribute.DESTINATION_PORT, Attribute.SNI})
_PERMISSIONS: Final = _ONLY_PERMISSIONS | {Attribute.HOST, Attribute.METHOD, Attribute.PATH}
"""What RBAC is asked of the target; everything else is asked of the source."""
