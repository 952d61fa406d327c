"""What the rules make of what happened: instances for the handlers that report."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lateen.api.mixer.templates import Variety
from lateen.mixer.ports import MadeInstance
from lateen.mixer.ready import CannotMake, ReadyRules
from lateen.mixer.values import Bag


@dataclass(frozen=True, slots=True)
class Observation:
    """One instance for one handler; where it could not be made there is none, and `fault` says why."""

    handler: str
    instance: MadeInstance | None = None
    fault: str = ""


def observe(rules: ReadyRules, bag: Bag, namespace: str) -> Iterator[Observation]:
    """Yield what the rules that concern a namespace tell of one request or connection."""
    for rule in rules.matching(bag, namespace, Variety.REPORT):
        for action in rule.actions[Variety.REPORT]:
            for instance in action.instances:
                try:
                    yield Observation(action.handler.name, instance.make(bag))
                except CannotMake as reason:
                    yield Observation(action.handler.name, None, str(reason))


@dataclass(frozen=True, slots=True)
class Batch:
    """What handlers are told together: the instances of each handler by template; `faults` were left out."""

    instances: Mapping[str, Mapping[str, tuple[MadeInstance, ...]]] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


def batch(observations: Iterable[Observation]) -> Batch:
    """Return observations sorted by handler and template, so that each handler is called once for each template."""
    found: dict[str, dict[str, list[MadeInstance]]] = {}
    faults: list[str] = []
    for observation in observations:
        if observation.instance is None:
            faults.append(observation.fault)
        else:
            of_handler = found.setdefault(observation.handler, {})
            of_handler.setdefault(observation.instance.template, []).append(observation.instance)
    instances = {
        handler: {template: tuple(made) for template, made in of_handler.items()}
        for handler, of_handler in found.items()
    }
    return Batch(instances, tuple(faults))
