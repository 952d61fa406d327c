"""How many requests may come: RateLimits in the plan's words, for proxies and for the server that counts for all."""

from collections.abc import Iterable, Iterator
from typing import Final

from lateen.api.mesh.mesh_config import MeshConfig
from lateen.api.objects import ConfigObject
from lateen.api.policy.dimensions import Aspect, Dimension, parse_dimension
from lateen.api.policy.rate_limit import Algorithm, FailurePolicy, Limit, RateLimit, RateOverride, Scope
from lateen.plan import access
from lateen.plan.diagnostics import Notes, below
from lateen.plan.directory import Directory
from lateen.plan.rate_limit_types import (
    EVERY_REQUEST,
    LONGEST_ANSWER,
    Allowance,
    CountedLimit,
    MeshCount,
    Override,
    RateLimits,
)
from lateen.plan.request_matches import requests
from lateen.plan.types import Origin

_OF_TOKENS: Final = frozenset({Aspect.CLAIM, Aspect.REQUEST_PRINCIPAL})

Policies = Iterable[ConfigObject[RateLimit]]


def rate_limits(policies: Policies, directory: Directory, notes: Notes) -> tuple[RateLimits, ...]:
    """Put together the limits of a class of proxies, object by object."""
    return tuple(_limits_of(policy, directory, notes) for policy in policies)


def counted_limits(policy: ConfigObject[RateLimit], domains: tuple[str, ...]) -> tuple[CountedLimit, ...]:
    """Say the limits of an object; `domains` are the trust domains that are the mesh's own."""
    return tuple(
        _limit(limit_name(policy, position), limit, domains) for position, limit in enumerate(policy.spec.limits)
    )


def note_tokens(found: Iterable[RateLimits], notes: Notes) -> None:
    """Tell which limits tell requests apart by tokens that nobody verifies."""
    for limits in found:
        for position, limit in enumerate(limits.limits):
            if limits.origin and any(one.aspect in _OF_TOKENS for one in limit.dimensions):
                at = below(limits.origin, f"limits[{position}].by")
                notes.add(
                    at, "counts all requests together here: it asks for a token, and no RequestAuthentication applies"
                )


def limit_name(policy: ConfigObject[RateLimit], position: int) -> str:
    """Compose the name under which proxies have a limit counted."""
    return f"{policy.namespace}/{policy.name}[{position}]"


def _limits_of(policy: ConfigObject[RateLimit], directory: Directory, notes: Notes) -> RateLimits:
    """Return an object's limits; the same value while it does not change."""
    _note_store(policy, directory.view.mesh, notes)
    domains = access.own_domains(directory.view.mesh)
    return directory.cache.recall("limits", (policy,), (domains,), lambda: _limits(policy, domains))


def _limits(policy: ConfigObject[RateLimit], domains: tuple[str, ...]) -> RateLimits:
    spec = policy.spec
    return RateLimits(
        name=f"{policy.namespace}/{policy.name}",
        limits=counted_limits(policy, domains),
        mesh=_mesh_count(spec) if spec.scope is Scope.GLOBAL else None,
        tried=spec.dry_run,
        status=spec.status,
        tells_rest=spec.headers,
        response_headers=tuple(sorted(spec.response_headers.items())),
        origin=Origin(policy.key, "spec"),
    )


def _mesh_count(spec: RateLimit) -> MeshCount:
    return MeshCount(spec.timeout or LONGEST_ANSWER, spec.on_failure is not FailurePolicy.DENY)


def _limit(name: str, written: Limit, domains: tuple[str, ...]) -> CountedLimit:
    by_expressions = (Dimension(Aspect.EXPRESSION, (text,)) for text in written.by_expressions)
    dimensions = (*map(_dimension, written.by), *by_expressions)
    return CountedLimit(
        name=name,
        allowance=Allowance(written.rate, written.burst),
        requests=requests(written.match) if written.match else EVERY_REQUEST,
        dimensions=dimensions,
        overrides=tuple(_overrides(written, dimensions, domains)),
        cost=written.cost,
        rolls=written.algorithm is Algorithm.ROLLING_WINDOW,
    )


def _dimension(key: str) -> Dimension:
    found = parse_dimension(key)
    if found is None:
        raise AssertionError(f"an unknown key has come through the door: {key}")
    return found


def _overrides(written: Limit, dimensions: tuple[Dimension, ...], domains: tuple[str, ...]) -> Iterator[Override]:
    for override in written.overrides:
        allowance = None if override.rate is None else Allowance(override.rate, override.burst)
        for values in _values(override, written.keys, dimensions, domains):
            yield Override(values, allowance)


def _values(
    override: RateOverride, keys: tuple[str, ...], dimensions: tuple[Dimension, ...], domains: tuple[str, ...]
) -> Iterator[tuple[tuple[int, str], ...]]:
    """Yield the values of an override as proxies see them: an own identity is one in each of the mesh's domains."""
    alternatives: list[tuple[tuple[int, str], ...]] = [()]
    for position, key in enumerate(keys):
        if key in override.values:
            meant = _meant(dimensions[position], override.values[key], domains)
            alternatives = [(*values, (position, text)) for values in alternatives for text in meant]
    yield from alternatives


def _meant(dimension: Dimension, text: str, domains: tuple[str, ...]) -> tuple[str, ...]:
    if dimension.aspect is not Aspect.PRINCIPAL:
        return (text,)
    return tuple(f"spiffe://{one}" for one in access.meant_identities(text, domains))


def _note_store(policy: ConfigObject[RateLimit], mesh: MeshConfig, notes: Notes) -> None:
    """Tell where an object is counted when its store is not there."""
    if policy.spec.store is None:
        return
    name = policy.spec.store.name
    provider = next((one for one in mesh.extension_providers if one.name == name), None)
    if provider is None or provider.redis is None:
        fault = f"there is no extensionProvider {name!r} with redis in MeshConfig: counted in the memory of the mesh"
        notes.add(below(Origin(policy.key, "spec.store"), "name"), fault)
