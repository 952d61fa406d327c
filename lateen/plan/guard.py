"""What stands before a workload's ports, policies of all kinds together."""

from collections.abc import Iterable
from dataclasses import replace

from lateen.api.objects import ConfigObject, ObjectKey
from lateen.api.security.attachment import Attached
from lateen.model import policies
from lateen.plan import access, api_keys, audit, authentication, processors, rate_limits
from lateen.plan.diagnostics import Doubt, Notes, below
from lateen.plan.directory import Directory
from lateen.plan.logins import NO_LOGINS, Logins
from lateen.plan.types import (
    AccessCondition,
    AccessRule,
    Attribute,
    Guard,
    Guards,
    InboundPort,
    Origin,
    TcpChain,
)


def guards(directory: Directory, notes: Notes, known: Logins = NO_LOGINS) -> Guards:
    """Put together the guards of a class of proxies; `known` are the logins of a gateway."""
    attached = directory.view.key.policies
    view = directory.view
    for item in (*view.authorization, *view.authentication, *view.limits, *view.processors, *view.api_keys):
        _note_targets(item, notes)
    everywhere = _guard({one.policy for one in attached if one.ports is None}, directory, notes, known)
    special = sorted({port for one in attached for port in one.ports or ()})
    return Guards(
        everywhere,
        tuple(
            (port, _guard({one.policy for one in attached if one.ports is None or port in one.ports}, directory, notes))
            for port in special
        ),
    )


def note_connections(found: Guards, ports: Iterable[InboundPort], notes: Notes) -> None:
    """Tell which rules ask for HTTP on ports that carry something else, and what they come to there."""
    for port in ports:
        if isinstance(port.chain, TcpChain):
            _note_http_only(found.at(port.port), port.port, notes)
            rules = found.at(port.port).access
            for rule in rules.allow or ():
                if _cannot_see(rule, port.port):
                    notes.add(rule.origin, f"allows nothing on port {port.port}, which is not HTTP: it asks for HTTP")
            for rule in rules.deny:
                if _cannot_see(rule, port.port):
                    notes.add(
                        rule.origin, f"denies on port {port.port}, which is not HTTP, whatever its other fields match"
                    )


def _note_http_only(guard: Guard, port: int, notes: Notes) -> None:
    """Tell what has no effect on a port, because there are no requests."""
    origins = [*(one.origin for one in guard.limits), *(one.origin for one in guard.processors)]
    for origin in origins:
        if origin is not None:
            notes.add(origin, f"has no effect on port {port}, which is not HTTP", Doubt.POLICY_WITHOUT_EFFECT)
    for check in guard.api_keys:
        if check.origin is not None:
            notes.add(check.origin, f"asks for no key on port {port}, which is not HTTP: whoever connects is let in")


def _cannot_see(rule: AccessRule, port: int) -> bool:
    """Tell whether a rule asks for HTTP and may be about a port."""
    return access.asks_for_http(rule) and (
        not rule.operations
        or any(
            all(
                condition.attribute is not Attribute.DESTINATION_PORT
                or condition.inverted
                or any(pattern.value == str(port) for pattern in condition.patterns)
                for condition in alternative
            )
            for alternative in rule.operations
        )
    )


def _guard(chosen: set[ObjectKey], directory: Directory, notes: Notes, known: Logins = NO_LOGINS) -> Guard:
    view = directory.view
    issuers = authentication.issuers((one for one in view.authentication if one.key in chosen), directory, notes)
    issuers = (*issuers, *known.issuers)
    rules = access.access((one for one in view.authorization if one.key in chosen), directory, notes)
    if not issuers:
        for rule in (*(rules.allow or ()), *rules.deny):
            if _needs_token(rule):
                notes.add(rule.origin, "never matches here: it asks for a token, and no RequestAuthentication applies")
    rules = replace(rules, deny=(*known.refused, *rules.deny)) if known.refused else rules
    origin = next((Origin(key, "metadata.name") for key in sorted(chosen)), None)
    found = audit.audited(Guard(issuers, rules, known.logins), origin, directory, notes)
    return directory.cache.intern(_with_care(found, chosen, directory, notes))


def _with_care(found: Guard, chosen: set[ObjectKey], directory: Directory, notes: Notes) -> Guard:
    """Add what is done about the requests that are let in: keys, limits and processors."""
    view = directory.view
    limits = rate_limits.rate_limits((one for one in view.limits if one.key in chosen), directory, notes)
    if not found.issuers:
        rate_limits.note_tokens(limits, notes)
    return replace(
        found,
        api_keys=tuple(api_keys.key_checks((one for one in view.api_keys if one.key in chosen), directory, notes)),
        limits=limits,
        processors=tuple(
            processors.processors((one for one in view.processors if one.key in chosen), directory, notes)
        ),
    )


def _needs_token(rule: AccessRule) -> bool:
    """Tell whether every way to match a rule asks for a token."""

    def needs(conditions: Iterable[AccessCondition]) -> bool:
        return any(one.attribute in access.TOKEN_ATTRIBUTES and not one.inverted for one in conditions)

    return needs(rule.conditions) or (bool(rule.sources) and all(needs(alternative) for alternative in rule.sources))


def _note_targets(item: ConfigObject[Attached], notes: Notes) -> None:
    for position, target in enumerate(item.spec.targets):
        if not policies.is_known(target):
            field = "targetRef" if item.spec.target_ref is not None else f"targetRefs[{position}]"
            kind = f"{target.kind} of {target.group}" if target.group else target.kind
            notes.add(
                below(Origin(item.key, "spec"), field),
                f"has no effect: policies attach to a Gateway, a Service or a ServiceEntry, not to a {kind}",
            )
