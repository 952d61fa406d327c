"""Where calls are logged: as Telemetry objects say, else as MeshConfig does."""

from collections.abc import Iterable
from dataclasses import dataclass

from lateen.api.telemetry.access_logging import AccessLogging
from lateen.api.telemetry.scopes import WorkloadMode
from lateen.plan import log_providers
from lateen.plan.diagnostics import Notes, below
from lateen.plan.directory import Directory
from lateen.plan.telemetry_types import AccessLog
from lateen.plan.types import Origin

Entry = tuple[AccessLogging, Origin]


@dataclass(frozen=True, slots=True)
class _Choice:
    """What the narrowest scope that speaks of a provider says of it."""

    origin: Origin
    is_on: bool = True
    when: str = ""


def access_logs(
    scopes: Iterable[tuple[Entry, ...]], directory: Directory, mode: WorkloadMode, notes: Notes
) -> tuple[AccessLog, ...]:
    """Settle the logs of one direction; `scopes` come with the widest first.

    The narrowest scope that names providers has the choice of them. What is said of a provider holds until a narrower
    scope says otherwise.
    """
    mesh = directory.view.mesh
    providers = mesh.default_providers.access_logging
    choices: dict[str, _Choice] = {}
    is_told = bool(providers)
    for scope in scopes:
        meant = [(entry, origin) for entry, origin in scope if _means(entry, mode)]
        is_told = is_told or bool(meant)
        inherited = providers or (log_providers.ENVOY,)
        named = [(entry, origin, _named(entry) or inherited) for entry, origin in meant]
        for entry, origin, chosen in named:
            for name in chosen:
                when = entry.filter.expression if entry.filter else ""
                choices[name] = _Choice(origin, not entry.disabled, when)
        if named:
            providers = tuple(dict.fromkeys(name for *_, chosen in named for name in chosen))
    if not is_told:
        file = log_providers.mesh_file(mesh)
        return (AccessLog(file),) if file else ()
    found = (_log(name, choices.get(name), directory, notes) for name in providers)
    return tuple(dict.fromkeys(log for log in found if log is not None))


def _means(entry: AccessLogging, mode: WorkloadMode) -> bool:
    return entry.mode.has_client if mode is WorkloadMode.CLIENT else entry.mode.has_server


def _named(entry: AccessLogging) -> tuple[str, ...]:
    return tuple(provider.name for provider in entry.providers)


def _log(name: str, choice: _Choice | None, directory: Directory, notes: Notes) -> AccessLog | None:
    if choice is not None and not choice.is_on:
        return None
    sink = log_providers.sink(name, directory)
    if isinstance(sink, str):
        if choice is not None:
            notes.add(below(choice.origin, "providers"), f"logs nothing: {sink}")
        return None
    return AccessLog(sink, choice.when if choice else "")
