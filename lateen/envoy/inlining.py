"""Listeners with the filters that they ask for written into them: for whoever reads or changes whole chains."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from envoy.config.core.v3 import extension_pb2
from envoy.service.discovery.v3 import discovery_pb2

from lateen.envoy.http_filters import discovered
from lateen.envoy.network_filters import http_connection_manager
from lateen.envoy.network_filters.http_connection_manager import opened
from lateen.xds.resources import Resource


def write_in(listener: Any, extensions: Mapping[str, Resource], *, keeps_places: bool = False) -> None:
    """Write the filters of a listener's chains before the places where they act, which go unless they are kept."""
    for manager in _managers(listener):
        made: list[Any] = []
        for step in manager.http_filters:
            if discovered.is_place(step) and step.name in extensions:
                made += _filters(extensions[step.name])
                made += [step] if keeps_places else []
            else:
                made.append(step)
        _replace(manager.http_filters, made)


def take_out(listener: Any, extensions: Mapping[str, Resource]) -> None:
    """Undo `write_in` with its places kept, in each chain in which the filters still stand as they were written.

    Where they do not, they stay in the chain, and their place goes.
    """
    for manager in _managers(listener):
        made: list[Any] = []
        for step in manager.http_filters:
            if not (discovered.is_place(step) and step.name in extensions):
                made.append(step)
                continue
            written = _filters(extensions[step.name])
            start = len(made) - len(written)
            if made[max(start, 0) :] == written:
                made[start:] = [step]
        _replace(manager.http_filters, made)


def _filters(extension: Resource) -> list[Any]:
    wrapped = discovery_pb2.DeltaDiscoveryResponse.FromString(extension.frame).resources[0].resource
    return discovered.inside(extension_pb2.TypedExtensionConfig.FromString(wrapped.value))


def _managers(listener: Any) -> Iterator[Any]:
    for chain in (*listener.filter_chains, listener.default_filter_chain):
        for step in chain.filters:
            if step.name == http_connection_manager.NAME:
                with opened(step) as manager:
                    yield manager


def _replace(items: Any, made: Sequence[Any]) -> None:
    copies = [type(one).FromString(one.SerializeToString()) for one in made]
    del items[:]
    items.extend(copies)
