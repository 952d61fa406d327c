"""What attributes there are: those of the vocabulary and those that manifests add."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from lateen.api.expressions.types import ValueType
from lateen.api.fields import FrozenMap
from lateen.api.mixer.descriptions import AttributeManifest
from lateen.api.objects import ConfigObject, joined_path
from lateen.api.violations import Violation
from lateen.mixer.attributes import ENTRIES, OLD_NAMES

AttributeTypes = Mapping[str, ValueType]
"""The attributes that expressions may read, with their types."""

KNOWN: Final[AttributeTypes] = FrozenMap({name: entry.type for name, entry in ENTRIES.items()})
"""The attributes that are there without manifests."""


@dataclass(frozen=True, slots=True)
class Manifests:
    """All attributes with their types, and what is wrong with the manifests."""

    types: AttributeTypes = KNOWN
    violations: tuple[Violation, ...] = ()


def read_manifests(manifests: Iterable[ConfigObject[AttributeManifest]]) -> Manifests:
    """Add up the manifests, in the order of their names.

    An attribute of the vocabulary may be declared again with its own type, as Istio's own manifests do. One that an
    earlier manifest declares may not.
    """
    types = dict(KNOWN)
    declared: dict[str, ConfigObject[AttributeManifest]] = {}
    violations: list[Violation] = []
    for manifest in sorted(manifests, key=lambda each: each.key):
        for name, attribute in sorted(manifest.spec.attributes.items()):
            if fault := _fault(name, attribute.value_type, declared.get(name)):
                violations.append(_violation(manifest, name, fault))
            elif name not in OLD_NAMES:
                types[name] = attribute.value_type
                declared[name] = manifest
    return Manifests(FrozenMap(types), tuple(violations))


def _fault(name: str, kind: ValueType, earlier: ConfigObject[AttributeManifest] | None) -> str:
    """Say why an attribute cannot be declared; nothing where it can."""
    if earlier is not None:
        elsewhere = f" at {place}" if (place := earlier.source.place(joined_path("spec.attributes", name))) else ""
        return f"must be declared once: {earlier.key}{elsewhere} declares it already"
    known = KNOWN.get(OLD_NAMES.get(name, name))
    if known is not None and known is not kind:
        return f"must have the valueType {known}, which this attribute has everywhere, not {kind}"
    return ""


def _violation(manifest: ConfigObject[AttributeManifest], name: str, message: str) -> Violation:
    return Violation(joined_path("spec.attributes", name), message, source=manifest.source, subject=str(manifest.key))
