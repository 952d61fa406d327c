"""Handlers: adapters with their settings, built in or in processes of their own."""

from collections.abc import Mapping
from typing import Any

from lateen.api.config_set import ConfigSet
from lateen.api.mixer import adapters
from lateen.api.mixer.descriptions import AdapterDescription
from lateen.api.mixer.handler import Handler
from lateen.api.objects import ConfigObject
from lateen.mixer import references
from lateen.mixer.faults import FAULTY, Faults, Faulty
from lateen.mixer.references import Shelf, short_name, whole_name
from lateen.mixer.rule_types import ResolvedHandler

Handlers = Shelf[ResolvedHandler | Faulty]
_Described = Shelf[ConfigObject[AdapterDescription]]


def resolve_handlers(config: ConfigSet, faults: Faults) -> Handlers:
    """Return all handlers by their whole names, those of the older kinds too."""
    described = references.shelf("adapter", ((item.key, item) for item in config.of(AdapterDescription)))
    found = {whole_name(item.key): _handler(item, described, faults) for item in config.of(Handler)}
    for row in adapters.ADAPTERS:
        for older in config.of(row.spec):
            found[whole_name(older.key)] = _built_in(older, row, older.spec)
    return Shelf("handler", dict(sorted(found.items())))


def _built_in(item: ConfigObject[Any], row: adapters.AdapterKind, settings: Any) -> ResolvedHandler:
    return ResolvedHandler(whole_name(item.key), item, row.name, row.templates, row, settings)


def _handler(item: ConfigObject[Any], described: _Described, faults: Faults) -> ResolvedHandler | Faulty:
    spec: Handler = item.spec
    if row := adapters.adapter(spec.compiled_adapter):
        return _built_in(item, row, spec.settings)
    description: ConfigObject[Any] | None = described.find(spec.adapter, item.namespace)
    if description is None:
        near = described.near(spec.adapter, item.namespace)
        faults.miss(item, "spec.adapter", f"must name an object of the kind adapter, not {spec.adapter}{near}")
        return FAULTY
    return ResolvedHandler(
        whole_name(item.key),
        item,
        description.name,
        tuple(short_name(each) for each in description.spec.templates),
        description=description,
        params=spec.params if isinstance(spec.params, Mapping) else {},
        connection=spec.connection,
    )
