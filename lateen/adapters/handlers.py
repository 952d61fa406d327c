"""The handlers of a mesh: made when its configuration needs them, kept while it does, closed afterwards."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from lateen.adapters.guarded import LONGEST, GuardedHandler
from lateen.adapters.remote import templates
from lateen.adapters.remote.handler import RemoteHandler
from lateen.adapters.remote.templates import RemoteTemplate
from lateen.adapters.surroundings import Surroundings
from lateen.adapters.table import ADAPTERS
from lateen.api.config_set import ConfigSet
from lateen.api.mixer.descriptions import TemplateDescription
from lateen.api.mixer.templates import template
from lateen.errors import ConfigRejected, LateenError
from lateen.mixer import compiled_checks, references
from lateen.mixer.ports import Handler
from lateen.mixer.rule_types import ResolvedHandler, ResolvedInstance
from lateen.mixer.rules import RuleSet
from lateen.telemetry.exposition import Family

_Wanted = tuple[ResolvedHandler, tuple[ResolvedInstance, ...], str]


@dataclass(frozen=True, slots=True)
class _Made:
    """A handler, and what it was made from; the descriptors of its templates among that."""

    wanted: _Wanted
    guarded: GuardedHandler


class Handlers:
    """All handlers by their whole names. Must live in a running event loop."""

    def __init__(self, surroundings: Surroundings, failed: Callable[[str], None]) -> None:
        self.faults: Mapping[str, str] = {}
        self._surroundings = surroundings
        self._failed = failed
        self._made: dict[str, _Made] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def find(self, name: str) -> GuardedHandler | None:
        """Return a handler; None where it could not be made and never was."""
        made = self._made.get(name)
        return made.guarded if made is not None else None

    def families(self) -> Iterator[Family]:
        """Yield the metrics that handlers keep for Prometheus."""
        for made in self._made.values():
            yield from made.guarded.families()

    def take(self, rules: RuleSet, config: ConfigSet, *, fails_open: bool) -> None:
        """Have exactly the handlers that the rules use; those that are the same go on, with what they hold.

        One that cannot be made any more stays as it was; `faults` says why.
        """
        faults: dict[str, str] = {}
        before, self._made = self._made, {}
        for name, (handler, instances) in _used(rules).items():
            wanted = (handler, instances, _descriptors(instances, config))
            known = before.get(name)
            if known is not None and known.wanted == wanted:
                self._made[name] = known
                known.guarded.fails_open = compiled_checks.fails_open(handler, mesh_wide=fails_open)
                continue
            try:
                self._made[name] = _Made(wanted, self._guarded(handler, instances, config, fails_open))
            except LateenError as error:
                faults[name] = str(error)
                if known is not None:
                    self._made[name] = known
        for name, made in before.items():
            if self._made.get(name) is not made:
                self._close_later(made.guarded)
        self._tell(faults)

    async def close(self) -> None:
        """Close all handlers."""
        made, self._made = self._made, {}
        await asyncio.gather(*self._closing, *(each.guarded.close() for each in made.values()))

    def _guarded(
        self,
        handler: ResolvedHandler,
        instances: tuple[ResolvedInstance, ...],
        config: ConfigSet,
        fails_open: bool,
    ) -> GuardedHandler:
        made: Handler
        if handler.is_built_in:
            make = ADAPTERS.get(handler.adapter)
            if make is None:
                raise ConfigRejected(
                    f"the Mixer process cannot run the adapter {handler.adapter}: it works in proxies only"
                )
            made = make(handler.settings, self._surroundings)
        else:
            made = RemoteHandler(
                handler, [(each, _template_of(each, config)) for each in instances], self._surroundings
            )
        patience = handler.connection.timeout if handler.connection else LONGEST
        opens = compiled_checks.fails_open(handler, mesh_wide=fails_open)
        return GuardedHandler(handler.name, made, patience, self._surroundings.clock, self._failed, fails_open=opens)

    def _close_later(self, handler: GuardedHandler) -> None:
        """Close a handler when whoever asks it now has had the time to get an answer."""

        async def close() -> None:
            await self._surroundings.sleep(LONGEST.total_seconds())
            await handler.close()

        task = asyncio.get_running_loop().create_task(close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _tell(self, faults: Mapping[str, str]) -> None:
        for name, fault in faults.items():
            if self.faults.get(name) != fault:
                self._surroundings.tell(f"{name} cannot be used: {fault}")
        self.faults = faults


def _used(rules: RuleSet) -> dict[str, tuple[ResolvedHandler, tuple[ResolvedInstance, ...]]]:
    """Return the handlers that any rule names, each with the instances that are routed to it, in order."""
    found: dict[str, tuple[ResolvedHandler, dict[str, ResolvedInstance]]] = {}
    for rule in rules.rules:
        for action in rule.actions:
            _, instances = found.setdefault(action.handler.name, (action.handler, {}))
            instances.update((each.name, each) for each in action.instances)
    return {
        name: (handler, tuple(instances[each] for each in sorted(instances)))
        for name, (handler, instances) in found.items()
    }


def _descriptors(instances: Iterable[ResolvedInstance], config: ConfigSet) -> str:
    """Return the descriptors that instances depend on, so that a change of one is seen."""
    found = (_description(each, config) for each in instances)
    return "\n".join(each.descriptor for each in found if each is not None)


def _template_of(instance: ResolvedInstance, config: ConfigSet) -> RemoteTemplate:
    if template(instance.template) is not None:
        return templates.built_in(instance.template)
    found = _description(instance, config)
    if found is None:
        raise ConfigRejected(f"there is no object of the kind template with the name {instance.template}")
    return templates.described(instance.template, found.descriptor)


def _description(instance: ResolvedInstance, config: ConfigSet) -> TemplateDescription | None:
    """Return the object that describes an instance's template; None for one that is built in."""
    if template(instance.template) is not None:
        return None
    described = references.shelf("template", ((item.key, item) for item in config.of(TemplateDescription)))
    found = described.find(instance.template, instance.written.namespace)
    return found.spec if found is not None else None
