"""Who may call: AuthorizationPolicies in the plan's words."""

from collections.abc import Iterable, Iterator
from typing import Final

from lateen.api.mesh.mesh_config import MeshConfig
from lateen.api.objects import ConfigObject
from lateen.api.security.authorization_policy import (
    DRY_RUN,
    AuthorizationPolicy,
    Condition,
    Operation,
    PeerSource,
    PolicyAction,
    Rule,
)
from lateen.api.security.condition_keys import Subject, parse_key
from lateen.plan import authorizers
from lateen.plan.diagnostics import Doubt, Notes, below
from lateen.plan.directory import Directory
from lateen.plan.types import (
    Access,
    AccessCondition,
    AccessRule,
    Attribute,
    Authorizer,
    Comparison,
    CustomCheck,
    Origin,
    Pattern,
)

Policies = Iterable[ConfigObject[AuthorizationPolicy]]

HTTP_ONLY: Final = frozenset(
    {
        Attribute.HOST,
        Attribute.METHOD,
        Attribute.PATH,
        Attribute.HEADER,
        Attribute.REQUEST_PRINCIPAL,
        Attribute.AUDIENCES,
        Attribute.PRESENTER,
        Attribute.CLAIM,
    }
)
"""What a connection that is not HTTP does not have."""

TOKEN_ATTRIBUTES: Final = frozenset(
    {Attribute.REQUEST_PRINCIPAL, Attribute.AUDIENCES, Attribute.PRESENTER, Attribute.CLAIM}
)
_ADDRESSES: Final = frozenset({Attribute.SOURCE_IP, Attribute.REMOTE_IP, Attribute.DESTINATION_IP})
_SOURCES: Final = (
    ("principals", Attribute.PRINCIPAL),
    ("request_principals", Attribute.REQUEST_PRINCIPAL),
    ("namespaces", Attribute.NAMESPACE),
    ("service_accounts", Attribute.ACCOUNT),
    ("trust_domains", Attribute.TRUST_DOMAIN),
    ("ip_blocks", Attribute.SOURCE_IP),
    ("remote_ip_blocks", Attribute.REMOTE_IP),
)
_OPERATIONS: Final = (
    ("hosts", Attribute.HOST),
    ("ports", Attribute.DESTINATION_PORT),
    ("methods", Attribute.METHOD),
    ("paths", Attribute.PATH),
)
LOCAL_DOMAIN: Final = "cluster.local"
"""The trust domain that in policies stands for the mesh's own, whatever its name is."""


def access(policies: Policies, directory: Directory, notes: Notes) -> Access:
    """Put together what the policies of a proxy say, each in its place in the order."""
    found: dict[PolicyAction, list[ConfigObject[AuthorizationPolicy]]] = {action: [] for action in PolicyAction}
    tried: dict[PolicyAction, list[ConfigObject[AuthorizationPolicy]]] = {action: [] for action in PolicyAction}
    for policy in policies:
        (tried if _is_tried(policy, notes) else found)[policy.spec.action].append(policy)
        _note_emptiness(policy, notes)
    custom, refused = _custom(found[PolicyAction.CUSTOM], directory, notes)
    allow, tried_allow = found[PolicyAction.ALLOW], tried[PolicyAction.ALLOW]
    return Access(
        custom=custom,
        deny=(*refused, *_rules(found[PolicyAction.DENY], directory)),
        allow=_rules(allow, directory) if allow else None,
        audit=_rules(found[PolicyAction.AUDIT], directory),
        tried_deny=_rules(tried[PolicyAction.DENY], directory),
        tried_allow=_rules(tried_allow, directory) if tried_allow else None,
    )


def for_connections(rules: Iterable[AccessRule], *, widens: bool) -> tuple[AccessRule, ...]:
    """Return what rules mean for connections that are not HTTP.

    Rules that grant (`widens` false) never match where they ask for something of HTTP. Rules that refuse, and those
    that ask an authorizer, are held to what is left of them: what cannot be seen may be what they are about.
    """
    adapted = (_for_connections(rule, widens) for rule in rules)
    return tuple(rule for rule in adapted if rule is not None)


def connection_access(access: Access) -> Access:
    """Return what a proxy's rules mean for connections that are not HTTP.

    An authorizer that is asked with HTTP requests cannot be asked about them: what it would be asked about is denied.
    """
    custom = [CustomCheck(check.authorizer, for_connections(check.rules, widens=True)) for check in access.custom]
    unasked = tuple(rule for check in custom if not check.authorizer.grpc for rule in check.rules)
    return Access(
        custom=tuple(check for check in custom if check.authorizer.grpc),
        deny=(*unasked, *for_connections(access.deny, widens=True)),
        allow=None if access.allow is None else for_connections(access.allow, widens=False),
        audit=for_connections(access.audit, widens=False),
        tried_deny=for_connections(access.tried_deny, widens=True),
        tried_allow=None if access.tried_allow is None else for_connections(access.tried_allow, widens=False),
    )


def asks_for_http(rule: AccessRule) -> bool:
    """Tell whether a rule looks at anything that only HTTP requests have."""
    return any(condition.attribute in HTTP_ONLY for condition in conditions_of(rule))


def conditions_of(rule: AccessRule) -> Iterator[AccessCondition]:
    """Yield every condition of a rule, of whatever alternative."""
    for alternative in (*rule.sources, *rule.operations):
        yield from alternative
    yield from rule.conditions


def rule_name(namespace: str, policy: str, position: int) -> str:
    """Compose the name under which proxies report a rule."""
    return f"ns[{namespace}]-policy[{policy}]-rule[{position}]"


def _for_connections(rule: AccessRule, widens: bool) -> AccessRule | None:
    if not asks_for_http(rule):
        return rule
    if widens:
        return AccessRule(
            rule.name,
            rule.origin,
            tuple(_without_http(alternative) for alternative in rule.sources),
            tuple(_without_http(alternative) for alternative in rule.operations),
            _without_http(rule.conditions),
        )
    sources = tuple(alternative for alternative in rule.sources if _without_http(alternative) == alternative)
    operations = tuple(alternative for alternative in rule.operations if _without_http(alternative) == alternative)
    is_lost = (rule.sources and not sources) or (rule.operations and not operations)
    if is_lost or _without_http(rule.conditions) != rule.conditions:
        return None
    return AccessRule(rule.name, rule.origin, sources, operations, rule.conditions)


def _without_http(conditions: tuple[AccessCondition, ...]) -> tuple[AccessCondition, ...]:
    return tuple(condition for condition in conditions if condition.attribute not in HTTP_ONLY)


def _is_tried(policy: ConfigObject[AuthorizationPolicy], notes: Notes) -> bool:
    """Tell whether a policy is in dry-run; only ALLOW and DENY can be."""
    written = policy.metadata.annotations.get(DRY_RUN, "")
    origin = Origin(policy.key, f"metadata.annotations.{DRY_RUN}")
    if written not in ("", "true", "false"):
        notes.add(origin, f'counts as false: write "true" or "false", not {written!r}')
    if written == "true" and policy.spec.action not in (PolicyAction.ALLOW, PolicyAction.DENY):
        notes.add(origin, f"has no effect: a policy with action {policy.spec.action} cannot be tried")
        return False
    return written == "true"


def _note_emptiness(policy: ConfigObject[AuthorizationPolicy], notes: Notes) -> None:
    """Tell what a policy without rules does, unless it is the usual way to deny everything."""
    if policy.spec.rules:
        return
    origin = Origin(policy.key, "spec.rules")
    if policy.spec.action is not PolicyAction.ALLOW:
        notes.add(origin, f"matches no request, so {policy.spec.action} never acts; `rules: [{{}}]` matches all")
    elif "rules" in policy.spec.model_fields_set:
        notes.add(
            origin, "matches no request, so what no other ALLOW policy lets pass is denied; `rules: [{}]` matches all"
        )


def _rules(policies: Policies, directory: Directory) -> tuple[AccessRule, ...]:
    return tuple(rule for policy in policies for rule in _rules_of(policy, directory))


def _rules_of(policy: ConfigObject[AuthorizationPolicy], directory: Directory) -> tuple[AccessRule, ...]:
    """Return a policy's rules; the same objects while it does not change."""
    domains = own_domains(directory.view.mesh)
    return directory.cache.recall("access", (policy,), (domains,), lambda: _translate(policy, domains))


def _translate(policy: ConfigObject[AuthorizationPolicy], domains: tuple[str, ...]) -> tuple[AccessRule, ...]:
    return tuple(_rule(policy, position, rule, domains) for position, rule in enumerate(policy.spec.rules))


def _rule(policy: ConfigObject[AuthorizationPolicy], position: int, rule: Rule, domains: tuple[str, ...]) -> AccessRule:
    reader = _Reader(policy.namespace, domains)
    return AccessRule(
        rule_name(policy.namespace, policy.name, position),
        Origin(policy.key, f"spec.rules[{position}]"),
        tuple(reader.fields(one.source, _SOURCES) for one in rule.from_),
        tuple(reader.fields(one.operation, _OPERATIONS) for one in rule.to),
        tuple(condition for one in rule.when for condition in reader.when(one)),
    )


class _Reader:
    """Reads the texts of a policy, which mean what they mean in its namespace and trust domain."""

    def __init__(self, namespace: str, domains: tuple[str, ...]) -> None:
        self._namespace = namespace
        self._domains = domains

    def fields(
        self, written: PeerSource | Operation, known: Iterable[tuple[str, Attribute]]
    ) -> tuple[AccessCondition, ...]:
        """Return a condition for each field that is set, and for each that is set in its `not` form."""
        found = []
        for name, attribute in known:
            for field, inverted in ((name, False), (f"not_{name}", True)):
                if values := getattr(written, field):
                    found.append(AccessCondition(attribute, self._patterns(attribute, values), inverted))
        return tuple(found)

    def when(self, written: Condition) -> Iterator[AccessCondition]:
        """Yield what a `when` asks: any of the values, none of the notValues."""
        key = parse_key(written.key)
        if key is None:
            raise AssertionError(f"an unknown key has come through the door: {written.key}")
        attribute = _ATTRIBUTES[key.subject]
        for values, inverted in ((written.values, False), (written.not_values, True)):
            if values:
                yield AccessCondition(attribute, self._patterns(attribute, values), inverted, key.names)

    def _patterns(self, attribute: Attribute, values: Iterable[str]) -> tuple[Pattern, ...]:
        texts = (text for value in values for text in self._meant(attribute, value))
        return tuple(dict.fromkeys(_pattern(attribute, text) for text in texts))

    def _meant(self, attribute: Attribute, value: str) -> Iterator[str]:
        """Yield what a text stands for: accounts with their namespace, own identities in each of the mesh's domains."""
        if attribute is Attribute.ACCOUNT:
            yield value if "/" in value or "*" in value else f"{self._namespace}/{value}"
        elif attribute in (Attribute.PRINCIPAL, Attribute.TRUST_DOMAIN):
            yield from meant_identities(value, self._domains, whole=attribute is Attribute.PRINCIPAL)
        else:
            yield value


def meant_identities(value: str, domains: tuple[str, ...], *, whole: bool = True) -> Iterator[str]:
    """Yield what an identity stands for: one of the mesh's own is that account in each of the mesh's trust domains.

    Without `whole` the value is a trust domain alone.
    """
    domain, slash, rest = value.partition("/")
    is_own = domain in (LOCAL_DOMAIN, *domains) and (bool(slash) or not whole)
    for name in domains if is_own else (domain,):
        yield f"{name}{slash}{rest}"


def _pattern(attribute: Attribute, text: str) -> Pattern:
    if attribute in _ADDRESSES:
        return Pattern(Comparison.RANGE, text)
    if attribute is Attribute.PATH and "{" in text:
        return Pattern(Comparison.TEMPLATE, text)
    if attribute is Attribute.HOST:
        return host_pattern(text.lower())
    return wildcard(text)


def path_pattern(text: str) -> Pattern:
    """Read a path, which may be a template."""
    return _pattern(Attribute.PATH, text)


def host_pattern(text: str) -> Pattern:
    """Read a host; `host:*` is the host with any port, which a host without port stands for as well."""
    return wildcard(text.removesuffix(":*"))


def wildcard(text: str) -> Pattern:
    """Read a text that may have a `*` at one of its ends."""
    if text == "*":
        return Pattern(Comparison.PRESENT)
    if text.endswith("*"):
        return Pattern(Comparison.PREFIX, text[:-1])
    if text.startswith("*"):
        return Pattern(Comparison.SUFFIX, text[1:])
    return Pattern(Comparison.EXACT, text)


def own_domains(mesh: MeshConfig) -> tuple[str, ...]:
    """List the trust domains that are the mesh's own."""
    return tuple(dict.fromkeys((mesh.trust_domain, *mesh.trust_domain_aliases)))


_ATTRIBUTES: Final = {
    Subject.SOURCE_IP: Attribute.SOURCE_IP,
    Subject.REMOTE_IP: Attribute.REMOTE_IP,
    Subject.SOURCE_NAMESPACE: Attribute.NAMESPACE,
    Subject.SOURCE_ACCOUNT: Attribute.ACCOUNT,
    Subject.SOURCE_TRUST_DOMAIN: Attribute.TRUST_DOMAIN,
    Subject.SOURCE_PRINCIPAL: Attribute.PRINCIPAL,
    Subject.REQUEST_PRINCIPAL: Attribute.REQUEST_PRINCIPAL,
    Subject.AUDIENCES: Attribute.AUDIENCES,
    Subject.PRESENTER: Attribute.PRESENTER,
    Subject.CLAIM: Attribute.CLAIM,
    Subject.HEADER: Attribute.HEADER,
    Subject.DESTINATION_IP: Attribute.DESTINATION_IP,
    Subject.DESTINATION_PORT: Attribute.DESTINATION_PORT,
    Subject.SNI: Attribute.SNI,
    Subject.FILTER_METADATA: Attribute.FILTER_METADATA,
}


def _custom(
    policies: Policies, directory: Directory, notes: Notes
) -> tuple[tuple[CustomCheck, ...], tuple[AccessRule, ...]]:
    """Return the authorizers with the rules that ask them, and the rules that refuse because theirs is not there."""
    asked: dict[Authorizer, list[AccessRule]] = {}
    refused: list[AccessRule] = []
    for policy in policies:
        name = policy.spec.provider.name if policy.spec.provider else ""
        found = authorizers.find(name, directory)
        rules = _rules_of(policy, directory)
        if isinstance(found, Authorizer):
            asked.setdefault(found, []).extend(rules)
        else:
            refused += rules
            notes.add(
                below(Origin(policy.key, "spec.provider"), "name"),
                f"{found}: what its rules match is denied",
                Doubt.DENIES,
            )
    return tuple(CustomCheck(one, tuple(rules)) for one, rules in asked.items()), tuple(refused)
