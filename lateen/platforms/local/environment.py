"""A container's environment: `env`, `envFrom`, `valueFrom` and `$(NAME)`, as Kubernetes resolves them. Pure.

A value that cannot be found is a `Missing`, all of them at once; `optional` references that point nowhere are left out.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from lateen.api.core.container import Container, EnvFrom, EnvSource, EnvVar

_REFERENCE: Final = re.compile(r"\$\$|\$\(([^)]*)\)")
_SUBSCRIPT: Final = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_VARIABLE: Final = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")

Texts = Mapping[str, str]
Lookup = Callable[[str], Texts | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFacts:
    """What a pod knows about itself, for `fieldRef` and `resourceFieldRef`."""

    name: str
    namespace: str
    uid: str
    address: str
    node_name: str
    node_address: str
    service_account: str = "default"
    labels: Texts = field(default_factory=dict)
    annotations: Texts = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where values come from: the ConfigMaps and Secrets of the pod's namespace, by name; None for absent ones."""

    config_map: Lookup
    secret: Lookup


@dataclass(frozen=True, slots=True)
class Missing:
    """A value that a container needs and that is not there, in words for the user."""

    text: str


@dataclass(frozen=True, slots=True)
class Environment:
    """The variables that were resolved, in order, and what is missing."""

    variables: Texts
    missing: tuple[Missing, ...] = ()


def resolve_environment(container: Container, facts: PodFacts, sources: Sources, given: Texts) -> Environment:
    """Resolve a container's variables on top of `given`, which `$(NAME)` may refer to and `env` may replace."""
    variables = dict(given)
    missing: list[Missing] = []
    for source in container.env_from:
        found = _take_all(source, sources)
        if isinstance(found, Missing):
            missing.append(found)
        else:
            variables.update(found)
    for variable in container.env:
        value = _value(variable, container, facts, sources, variables)
        if isinstance(value, Missing):
            missing.append(value)
        elif value is not None:
            variables[variable.name] = value
    return Environment(variables, tuple(missing))


def expand(text: str, variables: Texts) -> str:
    """Replace `$(NAME)` by the variable's value; `$$` is a dollar sign, and an unknown name stays as it is written."""

    def replacement(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        return variables.get(found[1], found[0])

    return _REFERENCE.sub(replacement, text)


def _take_all(source: EnvFrom, sources: Sources) -> Texts | Missing:
    """Take every entry whose name can be a variable's from a ConfigMap or Secret."""
    for kind, lookup, reference in (
        ("ConfigMap", sources.config_map, source.config_map_ref),
        ("Secret", sources.secret, source.secret_ref),
    ):
        if reference is None:
            continue
        values = lookup(reference.name)
        if values is None:
            return {} if reference.optional else Missing(f"{kind} {reference.name} does not exist")
        names = ((source.prefix + name, text) for name, text in values.items())
        return {name: text for name, text in names if _VARIABLE.fullmatch(name)}
    return {}


def _value(
    variable: EnvVar, container: Container, facts: PodFacts, sources: Sources, variables: Texts
) -> str | Missing | None:
    if variable.value_from is None:
        return expand(variable.value, variables)
    return _value_from(variable.value_from, container, facts, sources)


def _value_from(source: EnvSource, container: Container, facts: PodFacts, sources: Sources) -> str | Missing | None:
    if source.field_ref is not None:
        return field_value(source.field_ref.field_path, facts)
    if source.resource_field_ref is not None:
        return resource_value(source.resource_field_ref.resource, container)
    for kind, lookup, reference in (
        ("ConfigMap", sources.config_map, source.config_map_key_ref),
        ("Secret", sources.secret, source.secret_key_ref),
    ):
        if reference is None:
            continue
        value = (lookup(reference.name) or {}).get(reference.key)
        if value is None and not reference.optional:
            return Missing(f"{kind} {reference.name} has no key {reference.key}")
        return value
    return ""


def field_value(path: str, facts: PodFacts) -> str | Missing:
    """Give a field of the pod, such as `metadata.name`, as text."""
    if subscript := _SUBSCRIPT.fullmatch(path):
        return (facts.labels if subscript[1] == "labels" else facts.annotations).get(subscript[2], "")
    fields = {
        "metadata.name": facts.name,
        "metadata.namespace": facts.namespace,
        "metadata.uid": facts.uid,
        "spec.nodeName": facts.node_name,
        "spec.serviceAccountName": facts.service_account,
        "status.hostIP": facts.node_address,
        "status.hostIPs": facts.node_address,
        "status.podIP": facts.address,
        "status.podIPs": facts.address,
    }
    known = ", ".join(fields)
    return fields.get(path) or Missing(
        f"fieldPath {path} is not known; it can be {known}, metadata.labels['NAME'] or metadata.annotations['NAME']"
    )


def resource_value(name: str, container: Container) -> str:
    """Give a declared limit or request as written; nothing is limited here, so an undeclared one is 0."""
    section, _, resource = name.partition(".")
    declared = getattr(container.resources, section, None) or {}
    return str(declared.get(resource, "0"))
