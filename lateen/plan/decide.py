"""What a workload's proxy does with a call, and why: the plan's guards read step by step, without Envoy.

The steps are the proxy's: is the connection taken, is the token good, then the rules in their order. Every rule that
was asked is told, with the first of its conditions that did not hold.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from lateen.model.peers import PeerMode
from lateen.plan import access, paths, verdicts
from lateen.plan.types import (
    Access,
    AccessCondition,
    AccessRule,
    Alternatives,
    Comparison,
    Guard,
    HttpChain,
    Pattern,
    ProxyPlan,
    SniffedChain,
    TokenIssuer,
)
from lateen.plan.verdicts import Call, Reason, Verdict

_RULE_NAME: Final = re.compile(r"ns\[(?P<namespace>[^\]]*)\]-policy\[(?P<policy>[^\]]*)\]-rule\[(?P<position>[0-9]+)\]")


class Stage(StrEnum):
    """What a rule is asked for."""

    CUSTOM = "CUSTOM"
    AUDIT = "AUDIT"
    DENY = "DENY"
    ALLOW = "ALLOW"


class Outcome(StrEnum):
    """What the caller gets."""

    ALLOWED = "allow"
    DENIED = "deny"
    BAD_REQUEST = "bad request"
    UNAUTHENTICATED = "unauthorized"
    NO_CONNECTION = "refused"


@dataclass(frozen=True, slots=True)
class Asked:
    """A rule that was asked. `failed` is the first condition that did not hold, empty where the rule matched."""

    stage: Stage
    rule: AccessRule
    failed: str = ""

    @property
    def matched(self) -> bool:
        """Tell whether the rule matched the call."""
        return not self.failed


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a call. `verdict` is what the rules say, None where the call did not get as far.

    `status` is the HTTP status that the proxy answers by itself, 0 where it is none of its business or the connection
    ends. `call` is the call as the proxy saw it; `asked` are the rules that were asked, in order.
    """

    outcome: Outcome
    reason: str
    call: Call
    status: int = 0
    verdict: Verdict | None = None
    asked: tuple[Asked, ...] = ()

    @property
    def rule(self) -> AccessRule | None:
        """The rule that decided; None where none did."""
        return self.verdict.rule if self.verdict else None


@dataclass(frozen=True, slots=True)
class RuleName:
    """The parts of the name under which a proxy reports a rule."""

    namespace: str
    policy: str
    position: int


def decide(plan: ProxyPlan, call: Call) -> Decision:
    """Follow a call to a port of a workload through the guards of its proxy.

    `call.path` is as the client wrote it, `call.claims` are those of a token that is signed as it should be.
    """
    mode = _mode(plan, call.destination_port)
    if mode is PeerMode.STRICT and not call.principal:
        why = "the port takes the mesh's mutual TLS only (STRICT), and the caller does not speak it"
        return Decision(Outcome.NO_CONNECTION, why, call)
    if mode is PeerMode.DISABLE:
        call = replace(call, principal="", sni="")
    if not (call.is_http and _reads_http(plan, call.destination_port)):
        return ruled(plan.guards.at(call.destination_port).access, replace(call, is_http=False, claims=None))
    path = paths.read(plan.manner.paths, call.path)
    if path is None:
        return Decision(Outcome.BAD_REQUEST, f"the path {call.path!r} is none", call, 400)
    return _authenticated(plan.guards.at(call.destination_port), replace(call, path=path))


def ruled(rules: Access, call: Call) -> Decision:
    """Say what rules make of a call whose token, if it had one, was good."""
    verdict = verdicts.judge(rules, call)
    asked = tuple(_asked(rules, call))
    if verdict.allowed:
        return Decision(Outcome.ALLOWED, _said(verdict), call, 0, verdict, asked)
    return Decision(Outcome.DENIED, _said(verdict), call, 403 if call.is_http else 0, verdict, asked)


def failed_condition(rule: AccessRule, call: Call) -> str:
    """Return the first condition of a rule that a call does not meet, in words; nothing when the rule matches."""
    return (
        _failed_alternatives(rule.sources, call)
        or _failed_alternatives(rule.operations, call)
        or _failed(rule.conditions, call)
    )


def parse_rule_name(text: str) -> RuleName | None:
    """Find the name of a rule, `ns[a]-policy[b]-rule[0]`, in what a proxy logs."""
    found = _RULE_NAME.search(text)
    return RuleName(found["namespace"], found["policy"], int(found["position"])) if found else None


def _mode(plan: ProxyPlan, port: int) -> PeerMode:
    if plan.gateway:
        return PeerMode.PERMISSIVE
    return next((known.mode for known in plan.inbound if known.port == port), plan.inbound_mode)


def _reads_http(plan: ProxyPlan, port: int) -> bool:
    """Tell whether the proxy sees requests on a port, rather than bytes."""
    inbound = [known.chain for known in plan.inbound if known.port == port]
    gateway = [known for known in plan.gateway if known.port == port]
    named = [one.chain for known in gateway for one in known.named]
    chains = (*inbound, *(known.chain for known in gateway), *named)
    return any(isinstance(chain, HttpChain | SniffedChain) for chain in chains)


def _authenticated(guard: Guard, call: Call) -> Decision:
    """Look at the token, as far as it can be judged by its claims, and go on to the rules."""
    if not guard.issuers or call.claims is None:
        return ruled(guard.access, replace(call, claims=None))
    name = call.claims.get("iss")
    trusted = [issuer for issuer in guard.issuers if issuer.issuer == name]
    if not trusted:
        why = f"the token is of issuer {name!r}, and no RequestAuthentication here believes it"
        return Decision(Outcome.UNAUTHENTICATED, why, call, 401)
    fitting = [issuer for issuer in trusted if _is_for(issuer, call)]
    if not fitting:
        return Decision(Outcome.UNAUTHENTICATED, f"the token of {name!r} is not for any of the audiences", call, 403)
    return ruled(guard.access, replace(call, space_delimited_claims=fitting[0].space_delimited_claims))


def _is_for(issuer: TokenIssuer, call: Call) -> bool:
    written = (call.claims or {}).get("aud", ())
    audiences = (written,) if isinstance(written, str) else written
    return not issuer.audiences or any(audience in issuer.audiences for audience in audiences)


def _asked(rules: Access, call: Call) -> Iterator[Asked]:
    """Yield the rules in the order in which the proxy asks them, up to the one that decides."""
    if not call.is_http:
        rules = access.connection_access(rules)
    for check in rules.custom:
        yield from _until_match(Stage.CUSTOM, check.rules, call)
    yield from _until_match(Stage.AUDIT, rules.audit, call)
    denying = tuple(_until_match(Stage.DENY, rules.deny, call))
    yield from denying
    if not any(one.matched for one in denying):
        yield from _until_match(Stage.ALLOW, rules.allow or (), call)


def _until_match(stage: Stage, rules: Iterable[AccessRule], call: Call) -> Iterator[Asked]:
    for rule in sorted(rules, key=lambda rule: rule.name):
        asked = Asked(stage, rule, failed_condition(rule, call))
        yield asked
        if asked.matched:
            return


def _said(verdict: Verdict) -> str:
    if verdict.reason is Reason.NOT_ALLOWED:
        return "no rule of an ALLOW policy matches, and where one applies a call has to match"
    if verdict.reason is Reason.NO_POLICY:
        return "no policy refuses it, and no ALLOW policy applies"
    return verdict.reason.value


def _failed_alternatives(alternatives: Alternatives, call: Call) -> str:
    """Say why none of the alternatives holds: the first by its condition, the rest by their number."""
    failures = [_failed(alternative, call) for alternative in alternatives]
    if not failures or not all(failures):
        return ""
    rest = len(failures) - 1
    return failures[0] + (f" (nor does any of {rest} further alternatives hold)" if rest else "")


def _failed(conditions: Iterable[AccessCondition], call: Call) -> str:
    return next((_unmet(condition, call) for condition in conditions if not verdicts.holds(condition, call)), "")


def _unmet(condition: AccessCondition, call: Call) -> str:
    found = ", ".join(verdicts.values(condition, call)) or "missing"
    wanted = ", ".join(map(_written, condition.patterns))
    subject = condition.attribute.value + "".join(f"[{name}]" for name in condition.names)
    return f"{subject} is {found}, {'which is among' if condition.inverted else 'which is none of'} {wanted}"


def _written(pattern: Pattern) -> str:
    """Return a pattern as users write it."""
    match pattern.comparison:
        case Comparison.PREFIX:
            return f"{pattern.value}*"
        case Comparison.SUFFIX:
            return f"*{pattern.value}"
        case Comparison.PRESENT:
            return "*"
        case _:
            return pattern.value
