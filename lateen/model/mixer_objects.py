"""Mixer's objects: which of them concern a workload, and what they ask of workloads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lateen.api import kinds
from lateen.api.config_set import ConfigSet, Shelves
from lateen.api.expressions import cel, cexl
from lateen.api.expressions.faults import BadExpression
from lateen.api.expressions.tree import Attribute, Constant, Index, Node, walk
from lateen.api.fields import EMPTY_MAP
from lateen.api.mixer.rule import Rule
from lateen.api.mixer.services import QuotaSpecBinding
from lateen.api.objects import ConfigObject
from lateen.api.structs import Struct

GROUP: Final = "config.istio.io"
_KINDS: Final = tuple(row for row in kinds.KINDS if row.group == GROUP)
_WHOLE_NAME: Final = 2
_OF_RUNNERS: Final = frozenset({"owner", "workload.name", "workload.uid", "principal", "user", "workload.namespace"})
_SIDES: Final = ("source.", "destination.", "target.")

MixerObject = ConfigObject[Struct]


@dataclass(frozen=True, slots=True)
class Asked:
    """What expressions ask of workloads: labels by their keys, and facts by the end of the attribute's name."""

    labels: frozenset[str] = frozenset()
    caller_labels: frozenset[str] = frozenset()
    facts: frozenset[str] = frozenset()

    @property
    def about_runners(self) -> bool:
        """Whether anything asks whose instance a workload is, or as whom it runs."""
        return bool(self.facts & _OF_RUNNERS)


@dataclass(frozen=True, slots=True)
class MixerObjects:
    """All objects of Mixer by namespace, and what they ask; nothing in a mesh without them."""

    by_namespace: Mapping[str, tuple[MixerObject, ...]] = EMPTY_MAP
    asked: Asked = Asked()
    shelves: tuple[Shelves, ...] = field(default=(), repr=False, compare=False)

    def of(self, namespace: str, root_namespace: str) -> tuple[MixerObject, ...]:
        """Return what concerns the workloads of a namespace.

        These are its own objects, the root namespace's, and what lies in namespaces that rules of these name.
        """
        if not self.by_namespace:
            return ()
        near = dict.fromkeys((root_namespace, namespace))
        own = [item for place in near for item in self.by_namespace.get(place, ())]
        far = sorted({name for item in own for name in _named_namespaces(item)} - near.keys())
        return (*own, *(item for place in far for item in self.by_namespace.get(place, ())))


NO_OBJECTS: Final = MixerObjects()


def mixer_objects(config: ConfigSet, before: MixerObjects = NO_OBJECTS) -> MixerObjects:
    """Collect Mixer's objects; the same value as before while none has changed."""
    shelves = tuple(found for row in _KINDS if (found := config.shelves(row)))
    if len(shelves) == len(before.shelves) and all(map(_is_same, shelves, before.shelves)):
        return before
    by_namespace: dict[str, list[MixerObject]] = {}
    for shelf in shelves:
        for namespace, items in shelf.items():
            by_namespace.setdefault(namespace, []).extend(items.values())
    kept = {name: _kept(tuple(by_namespace[name]), before.by_namespace.get(name)) for name in sorted(by_namespace)}
    return MixerObjects(kept, _asked(kept), shelves)


def _named_namespaces(item: MixerObject) -> Iterator[str]:
    """Yield the namespaces that a rule or a binding of quotas names."""
    if isinstance(item.spec, Rule):
        for action in item.spec.actions:
            for name in (action.handler, *action.instances):
                if name.count(".") == _WHOLE_NAME:
                    yield name.rpartition(".")[2]
    elif isinstance(item.spec, QuotaSpecBinding):
        yield from (spec.namespace for spec in item.spec.quota_specs if spec.namespace)


def _is_same(one: object, other: object) -> bool:
    return one is other


def _kept(items: tuple[MixerObject, ...], before: tuple[MixerObject, ...] | None) -> tuple[MixerObject, ...]:
    return before if before == items else items


def _asked(by_namespace: Mapping[str, tuple[MixerObject, ...]]) -> Asked:
    labels: set[str] = set()
    callers: set[str] = set()
    facts: set[str] = set()
    for items in by_namespace.values():
        for item in items:
            for node in _nodes(item.spec.model_dump(mode="python")):
                match node:
                    case Index(Attribute(name), Constant(value=str(key))) if name.endswith(".labels"):
                        labels.add(key)
                        if name == "source.labels":
                            callers.add(key)
                    case Attribute(name) if name.startswith(_SIDES):
                        facts.add(name.partition(".")[2])
    return Asked(frozenset(labels), frozenset(callers), frozenset(facts))


def _nodes(value: Any) -> Iterator[Node]:
    """Yield the nodes of all expressions in a document; a text that is none has nothing to ask."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _nodes(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _nodes(inner)
    elif isinstance(value, str):
        yield from _parsed(value)


def _parsed(text: str) -> Iterator[Node]:
    if not any(side in text for side in _SIDES):
        return
    for parse in (cexl.parse, cel.parse):
        try:
            yield from walk(parse(text))
        except BadExpression:
            continue
        return
