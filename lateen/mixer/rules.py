"""The rules of a configuration: names looked up, expressions typed, and everything that is wrong with them.

An object with a fault takes no part, nor does what needs it; all else does.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lateen.api.config_set import ConfigSet
from lateen.api.expressions.tree import Attribute, Call, Constant, ConstantKind, attribute_names
from lateen.api.expressions.types import ValueType
from lateen.api.mixer.descriptions import AttributeManifest
from lateen.api.mixer.rule import Rule
from lateen.api.mixer.services import HttpApiSpec
from lateen.api.mixer.templates import Variety
from lateen.api.objects import ConfigObject
from lateen.api.violations import Violation
from lateen.mixer import bindings, handlers, header_fields, instances, manifests
from lateen.mixer.attributes import ENTRIES
from lateen.mixer.bound_services import Bound
from lateen.mixer.faults import FAULTY, Faults
from lateen.mixer.handlers import Handlers
from lateen.mixer.instances import Instances
from lateen.mixer.manifests import KNOWN, AttributeTypes
from lateen.mixer.origins import When
from lateen.mixer.quota_specs import NO_CHARGES, Charges
from lateen.mixer.references import Shelf, whole_name
from lateen.mixer.rule_types import ResolvedAction, ResolvedHandler, ResolvedInstance, ResolvedRule
from lateen.mixer.typing import Typed
from lateen.mixer.typist import Typist, typist_of

PROTOCOL_LABEL: Final = "istio-protocol"
"""With this label a rule of the first releases concerned either TCP (`tcp`) or all but TCP (`http`)."""

_BEFORE: Final = frozenset({Variety.CHECK, Variety.QUOTA, Variety.ATTRIBUTE_GENERATOR})


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules that count, by namespace and name in order; `types` are the attributes that there are.

    `charges` and `apis` are what is bound to services. `violations` are faults of objects by themselves or together
    with those that they name. Those of `unresolved` are only that something is named which is not there.
    """

    rules: tuple[ResolvedRule, ...] = ()
    handlers: Mapping[str, ResolvedHandler] = field(default_factory=dict)
    instances: Mapping[str, ResolvedInstance] = field(default_factory=dict)
    types: AttributeTypes = KNOWN
    charges: Charges = NO_CHARGES
    apis: tuple[Bound[HttpApiSpec], ...] = ()
    violations: tuple[Violation, ...] = ()
    unresolved: tuple[Violation, ...] = ()

    def of_namespace(self, namespace: str) -> tuple[ResolvedRule, ...]:
        """Return the rules that are asked for traffic of a namespace."""
        return tuple(rule for rule in self.rules if rule.concerns(namespace))


def resolve(config: ConfigSet, root_namespace: str) -> RuleSet:
    """Return the rules of a configuration; the same objects in any order give equal sets."""
    declared = manifests.read_manifests(config.of(AttributeManifest))
    faults = Faults(list(declared.violations))
    known_handlers = handlers.resolve_handlers(config, faults)
    known_instances = instances.resolve_instances(config, declared.types, faults)
    resolver = _Resolver(declared.types, known_handlers, known_instances, root_namespace, faults)
    rules = resolver.rules(config.of(Rule))
    usable = {name: each for name, each in known_instances.items.items() if isinstance(each, ResolvedInstance)}
    quotas = (each.short_name for each in usable.values() if each.variety is Variety.QUOTA)
    return RuleSet(
        rules,
        {name: each for name, each in known_handlers.items.items() if isinstance(each, ResolvedHandler)},
        usable,
        declared.types,
        bindings.resolve_charges(config, quotas, declared.types, faults),
        bindings.resolve_apis(config, faults),
        tuple(faults.violations),
        tuple(faults.unresolved),
    )


@dataclass(frozen=True, slots=True)
class _Resolver:
    """Resolves rules among the handlers and instances of one configuration."""

    types: AttributeTypes
    handlers: Handlers
    instances: Instances
    root_namespace: str
    faults: Faults

    def rules(self, items: Iterable[ConfigObject[Rule]]) -> tuple[ResolvedRule, ...]:
        """Return the rules without faults."""
        return tuple(filter(None, map(self._rule, items)))

    def _rule(self, item: ConfigObject[Rule]) -> ResolvedRule | None:
        before, spec = self.faults.count, item.spec
        typist = typist_of(item, self.types, self.faults)
        match = typist.typed(spec.match, "spec.match", (ValueType.BOOL,)) if spec.match else None
        match = _of_protocol(item.metadata.labels.get(PROTOCOL_LABEL, ""), match)
        actions = tuple(self._actions(item))
        answers = typist.reading({**self.types, **header_fields.outputs(spec)})
        requests = tuple(header_fields.changes(spec.request_header_operations, "request_header_operations", answers))
        responses = tuple(header_fields.changes(spec.response_header_operations, "response_header_operations", answers))
        is_asking = bool(requests or responses) or any(_asking(action) for action in actions)
        if match is not None and is_asking:
            _refuse_late(match, "spec.match", typist)
        if self.faults.count != before:
            return None
        is_mesh_wide = item.namespace == self.root_namespace
        return ResolvedRule(whole_name(item.key), item, match, actions, requests, responses, is_mesh_wide)

    def _actions(self, item: ConfigObject[Rule]) -> Iterator[ResolvedAction]:
        for position, action in enumerate(item.spec.actions):
            path = f"spec.actions[{position}]"
            handler = self._named(item, self.handlers, action.handler, f"{path}.handler")
            named = [
                self._instance(item, name, f"{path}.instances[{number}]", handler)
                for number, name in enumerate(action.instances)
            ]
            if isinstance(handler, ResolvedHandler):
                yield ResolvedAction(handler, tuple(filter(None, named)), action.name, path)

    def _instance(self, item: ConfigObject[Rule], name: str, path: str, handler: object) -> ResolvedInstance | None:
        """Return an instance that its handler takes."""
        instance = self._named(item, self.instances, name, path)
        if not isinstance(instance, ResolvedInstance) or not isinstance(handler, ResolvedHandler):
            return None
        if instance.template not in handler.templates:
            taken = ", ".join(handler.templates) or "none"
            message = f"must be of a template that {handler.adapter} takes ({taken}), not {instance.template}"
            self.faults.refuse(item, path, message)
            return None
        if instance.variety in _BEFORE and (late := late_names(each.typed for each in instance.fields)):
            message = f"must not name {name} in a check: it reads {late[0]}, which is not known yet then"
            self.faults.refuse(item, path, message)
        return instance

    def _named(self, item: ConfigObject[Rule], shelf: Shelf[Any], text: str, path: str) -> object:
        """Return what a rule names; where that is not there or has faults, note it."""
        found = shelf.find(text, item.namespace)
        if found is None:
            self.faults.miss(item, path, f"unknown {shelf.kind} {text}{shelf.near(text, item.namespace)}")
        elif found is FAULTY:
            self.faults.refuse(item, path, f"must be without faults: the {shelf.kind} {text} has some")
        return found


def _of_protocol(protocol: str, match: Typed | None) -> Typed | None:
    """Return a match that holds only for the protocol that a rule's label names, if it has one."""
    if not protocol:
        return match
    tcp = Constant(ConstantKind.STRING, "tcp")
    is_meant = Call("==" if protocol == "tcp" else "!=", (Attribute("context.protocol"), tcp))
    return Typed(is_meant if match is None else Call("&&", (is_meant, match.root)), ValueType.BOOL)


def _asking(action: ResolvedAction) -> bool:
    return any(instance.variety in _BEFORE for instance in action.instances)


def _refuse_late(match: Typed, path: str, typist: Typist) -> None:
    for name in late_names([match]):
        typist.refuse(path, f"must not read {name}, which is not known yet when a request is checked")


def late_names(parts: Iterable[Typed]) -> tuple[str, ...]:
    """Return the attributes that expressions read and that a callee's proxy knows only when a request is answered."""
    names = (name for part in parts for name in attribute_names(part.root) if name in ENTRIES)
    return tuple(dict.fromkeys(name for name in names if ENTRIES[name].server.when is When.END))
