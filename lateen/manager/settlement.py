"""Which of Mixer's objects stand.

What a rule means depends on the handlers, instances and manifests that it names. So whether an object is all right can
only be said of all together. A new version that does not work out with the others is refused, and the last good one
stays; one without a last good version waits until the others are there.
"""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import TypeVar

from lateen.api.config_set import ConfigSet
from lateen.api.kinds import MIXER_GROUP
from lateen.api.mesh.settings import ROOT_NAMESPACE
from lateen.api.objects import ConfigObject, ObjectKey
from lateen.api.structs import Struct
from lateen.api.violations import Violation

Item = ConfigObject[Struct]
Objects = Mapping[ObjectKey, Item]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settled:
    """The objects that stand, and of those that were wanted otherwise, why not."""

    objects: Objects
    refused: Mapping[ObjectKey, tuple[Violation, ...]] = field(default_factory=dict)


def concerned(items: Mapping[ObjectKey, T]) -> dict[ObjectKey, T]:
    """Return the part of a mapping that is about Mixer's objects."""
    return {key: item for key, item in items.items() if key.group == MIXER_GROUP}


def touches(keys: Iterable[ObjectKey]) -> bool:
    """Tell whether any of these objects is one of Mixer's."""
    return any(key.group == MIXER_GROUP for key in keys)


def settle(wanted: Objects, standing: Objects) -> Settled:
    """Return what stands when objects are wanted in the place of those that stand now.

    Refused are objects with faults. When a change of one object breaks another, which was good, the change is refused.
    Objects that break because another one is gone stand with their faults.
    """
    objects, refused = dict(wanted), dict[ObjectKey, tuple[Violation, ...]]()
    known_faults = faults_of(standing)
    while faults := faults_of(objects):
        culprits = {key: found for key, found in faults.items() if objects.get(key) != standing.get(key)}
        if not culprits:
            broken = {each for key, found in faults.items() if key not in known_faults for each in found}
            culprits = dict(_breaking(objects, standing, broken)) if broken else {}
        if not culprits:
            break
        for key, found in culprits.items():
            refused[key] = found
            _put_back(objects, key, standing)
    return Settled(objects, refused)


def faults_of(objects: Objects) -> dict[ObjectKey, tuple[Violation, ...]]:
    """Return what is wrong with objects among each other."""
    if not objects:
        return {}
    # A mesh without such objects never loads the engine of Mixer.
    from lateen.mixer import rules

    by_subject = {str(key): key for key in objects}
    rule_set = rules.resolve(ConfigSet(objects.values()), ROOT_NAMESPACE)
    found: dict[ObjectKey, tuple[Violation, ...]] = {}
    for violation in (*rule_set.violations, *rule_set.unresolved):
        key = by_subject[violation.subject]
        found[key] = (*found.get(key, ()), violation)
    return found


def _breaking(
    objects: dict[ObjectKey, Item], standing: Objects, broken: Set[Violation]
) -> Iterator[tuple[ObjectKey, tuple[Violation, ...]]]:
    """Yield the changed objects without whose change something would not be broken, with what that is.

    One that is broken anyway, because what it names is gone, is nobody's fault.
    """
    for key in [key for key in objects if key in standing and objects[key] != standing[key]]:
        left = {each for found in faults_of({**objects, key: standing[key]}).values() for each in found}
        if mended := broken - left:
            yield key, _breaks(objects[key], sorted(mended, key=str))


def _breaks(item: Item, broken: Iterable[Violation]) -> tuple[Violation, ...]:
    return tuple(
        Violation(
            "", f"would break {each.subject}: {each.path}: {each.message}", source=item.source, subject=str(item.key)
        )
        for each in broken
    )


def _put_back(objects: dict[ObjectKey, Item], key: ObjectKey, standing: Objects) -> None:
    if key in standing:
        objects[key] = standing[key]
    else:
        del objects[key]
