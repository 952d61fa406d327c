"""AuthorizationPolicy: who may call what."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from lateen.api.fields import NonEmpty, check_cidr
from lateen.api.parsing import near
from lateen.api.security.attachment import Attached
from lateen.api.security.condition_keys import Subject, known_keys, parse_key
from lateen.api.security.explicit import Explicit
from lateen.api.security.patterns import (
    AccountName,
    HostPattern,
    MethodPattern,
    PathPattern,
    PortText,
    PrincipalPattern,
    Range,
    Wildcard,
    check_port,
    check_principal,
    check_wildcard,
)
from lateen.api.structs import Problem, Struct, alias

DRY_RUN: str = "istio.io/dry-run"
"""The annotation with which a policy is only tried: `"true"`."""

MAX_RULES = 512
MAX_ACCOUNTS = 16


class PolicyAction(StrEnum):
    """What becomes of the requests that a rule matches."""

    ALLOW = "ALLOW"
    DENY = "DENY"
    AUDIT = "AUDIT"
    CUSTOM = "CUSTOM"


class PeerSource(Explicit):
    """Where a request comes from: all fields that are given must hold, each by any of its values."""

    principals: tuple[PrincipalPattern, ...] = ()
    not_principals: tuple[PrincipalPattern, ...] = ()
    request_principals: tuple[Wildcard, ...] = ()
    not_request_principals: tuple[Wildcard, ...] = ()
    namespaces: tuple[Wildcard, ...] = ()
    not_namespaces: tuple[Wildcard, ...] = ()
    service_accounts: Annotated[tuple[AccountName, ...], Field(max_length=MAX_ACCOUNTS)] = ()
    not_service_accounts: Annotated[tuple[AccountName, ...], Field(max_length=MAX_ACCOUNTS)] = ()
    trust_domains: tuple[Wildcard, ...] = ()
    not_trust_domains: tuple[Wildcard, ...] = ()
    ip_blocks: tuple[Range, ...] = ()
    not_ip_blocks: tuple[Range, ...] = ()
    remote_ip_blocks: tuple[Range, ...] = ()
    not_remote_ip_blocks: tuple[Range, ...] = ()

    @classmethod
    def advice(cls, name: str) -> str:
        return f"leave {name} out to match every source, or write * to match each that has one"

    def problems(self) -> Iterator[Problem]:
        if not self.model_fields_set:
            yield Problem("must have at least one field: leave `from` out to match every source")
        accounts = self.service_accounts or self.not_service_accounts
        others = self.principals or self.not_principals or self.namespaces or self.not_namespaces
        if accounts and others:
            yield Problem("must not come together with principals or namespaces: they say the same", "serviceAccounts")


class From(Explicit):
    """One alternative of where requests come from."""

    source: PeerSource


class Operation(Explicit):
    """What is called: all fields that are given must hold, each by any of its values."""

    hosts: tuple[HostPattern, ...] = ()
    not_hosts: tuple[HostPattern, ...] = ()
    ports: tuple[PortText, ...] = ()
    not_ports: tuple[PortText, ...] = ()
    methods: tuple[MethodPattern, ...] = ()
    not_methods: tuple[MethodPattern, ...] = ()
    paths: tuple[PathPattern, ...] = ()
    not_paths: tuple[PathPattern, ...] = ()

    @classmethod
    def advice(cls, name: str) -> str:
        return f"leave {name} out to match every operation"

    def problems(self) -> Iterator[Problem]:
        if not self.model_fields_set:
            yield Problem("must have at least one field: leave `to` out to match every operation")


class To(Explicit):
    """One alternative of what is called."""

    operation: Operation


class Condition(Explicit):
    """A further condition: what `key` names is one of `values`, and none of `notValues`."""

    key: NonEmpty
    values: tuple[NonEmpty, ...] = ()
    not_values: tuple[NonEmpty, ...] = ()

    def problems(self) -> Iterator[Problem]:
        key = parse_key(self.key)
        if key is None:
            yield Problem(f"must be a known key, not {self.key!r}{near(self.key, list(known_keys()))}", "key")
            return
        if not self.values and not self.not_values:
            yield Problem("must have values or notValues")
        for name in ("values", "not_values"):
            for position, value in enumerate(getattr(self, name)):
                if fault := _fault(key.subject, value):
                    yield Problem(fault, f"{alias(name)}[{position}]")


class Rule(Explicit):
    """Matches requests that come from any of `from`, to any of `to`, when all of `when` hold; `{}` matches all."""

    from_: tuple[From, ...] = ()
    to: tuple[To, ...] = ()
    when: tuple[Condition, ...] = ()

    @classmethod
    def advice(cls, name: str) -> str:
        return f"leave {name} out to ask nothing of it, or list what it has to be"


class Provider(Struct):
    """The external authorizer that a CUSTOM policy asks: the name of one of MeshConfig's extensionProviders."""

    name: NonEmpty


class AuthorizationPolicy(Attached):
    """Rules for requests to workloads.

    CUSTOM policies are asked first, then DENY, then ALLOW. Where any ALLOW policy applies, a request that none of them
    matches is denied; so a policy without rules, like `spec: {}`, denies everything, and `rules: [{}]` allows it.
    """

    MAY_BE_EMPTY: ClassVar[frozenset[str]] = frozenset({"rules"})

    rules: Annotated[tuple[Rule, ...], Field(max_length=MAX_RULES)] = ()
    action: PolicyAction = PolicyAction.ALLOW
    provider: Provider | None = None

    @classmethod
    def advice(cls, name: str) -> str:
        if name == "rules":
            return "write `rules: [{}]` to match every request, `rules: []` to match none (with ALLOW: deny everything)"
        return super().advice(name)

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.action is PolicyAction.CUSTOM and self.provider is None:
            yield Problem("must be set with action CUSTOM", "provider.name")
        if self.action is not PolicyAction.CUSTOM and self.provider is not None:
            yield Problem(f"must not be set with action {self.action}: only CUSTOM asks a provider", "provider")


def _fault(subject: Subject, value: str) -> str:
    """Return what is wrong with a value of a condition, or nothing."""
    try:
        match subject:
            case Subject.SOURCE_IP | Subject.REMOTE_IP | Subject.DESTINATION_IP:
                check_cidr(value)
            case Subject.DESTINATION_PORT:
                check_port(value)
            case Subject.SOURCE_PRINCIPAL:
                check_principal(value)
            case _:
                check_wildcard(value)
    except ValueError as error:
        return str(error)
    return ""
