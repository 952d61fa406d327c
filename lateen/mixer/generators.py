"""Attributes that are made from others, before any rule is asked: the template kubernetes."""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from lateen.api.mixer.expression_fields import OUTPUT
from lateen.api.mixer.templates import Variety
from lateen.mixer import interpreter
from lateen.mixer.manifests import AttributeTypes
from lateen.mixer.ports import MadeInstance, WorkloadFacts
from lateen.mixer.ready import CannotMake, ReadyRules
from lateen.mixer.rule_types import ResolvedInstance
from lateen.mixer.values import ABSENT, Attributes, Bag, Layered, Value

_FACTS: Final = {
    "pod_uid": "uid",
    "pod_ip": "ip",
    "pod_name": "name",
    "labels": "labels",
    "namespace": "namespace",
    "service_account_name": "service_account",
    "host_ip": "host_ip",
    "workload_uid": "workload.uid",
    "workload_name": "workload.name",
    "workload_namespace": "workload.namespace",
    "owner": "owner",
}
"""Which fact of a workload answers what is asked of it."""


def with_generated(rules: ReadyRules, bag: Bag, namespace: str, workloads: WorkloadFacts, types: AttributeTypes) -> Bag:
    """Return a bag that has also what the rules' generators find out; attributes that are there already stay."""
    made: dict[str, Value] = {}
    for rule in rules.matching(bag, namespace, Variety.ATTRIBUTE_GENERATOR):
        for action in rule.actions[Variety.ATTRIBUTE_GENERATOR]:
            for instance in action.instances:
                try:
                    answers = dict(_answers(instance.make(bag), workloads))
                except CannotMake:
                    continue
                made.update(_bound(instance.resolved, answers, types))
    missing = {name: value for name, value in made.items() if bag.get(name) is ABSENT}
    return Layered(missing, bag) if missing else bag


def _answers(instance: MadeInstance, workloads: WorkloadFacts) -> Iterator[tuple[str, Value]]:
    """Yield what is known of both sides, as the fields of the template's answer."""
    for side in ("source", "destination"):
        facts = _facts(instance.fields, side, workloads)
        for answer, fact in _FACTS.items():
            if fact in facts:
                yield f"{side}_{answer}", facts[fact]
        if side == "destination" and "container.name" in facts:
            yield "destination_container_name", facts["container.name"]


def _facts(fields: Mapping[str, object], side: str, workloads: WorkloadFacts) -> Mapping[str, Value]:
    uid, address = fields.get(f"{side}_uid"), fields.get(f"{side}_ip")
    if isinstance(uid, str) and uid and (facts := workloads.by_uid(uid)):
        return facts
    return workloads.by_address(str(address)) if isinstance(address, IPv4Address | IPv6Address) else {}


def _bound(
    instance: ResolvedInstance, answers: Mapping[str, Value], types: AttributeTypes
) -> Iterator[tuple[str, Value]]:
    bag = Layered({f"{OUTPUT}.{name}": value for name, value in answers.items()}, Attributes())
    for binding in instance.bindings:
        value = interpreter.evaluator(binding.typed, {**types, **_output_types(instance)})(bag)
        if value is not ABSENT:
            yield binding.attribute, value


def _output_types(instance: ResolvedInstance) -> AttributeTypes:
    return {f"{OUTPUT}.{name}": kind for name, kind in instance.output.items()}
