"""Filters that are a resource of their own: a chain has only their place, and asks for them by name."""

from collections.abc import Iterable
from typing import Any, Final

from envoy.config.core.v3 import extension_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from lateen.envoy.clusters import ads_config_source
from lateen.envoy.newer_messages import FilterChainConfig
from lateen.envoy.values import type_url, typed

_FILTERS: Final = type_url(FilterChainConfig())


def place(name: str) -> Any:
    """Say where in a chain the filters of a resource act.

    A listener waits for them; a chain whose filters are taken away refuses all requests.
    """
    message = hcm_pb2.HttpFilter(name=name)
    message.config_discovery.config_source.CopyFrom(ads_config_source())
    message.config_discovery.type_urls.append(_FILTERS)
    return message


def is_place(one: Any) -> bool:
    """Tell whether a filter of a chain only says where others act."""
    return bool(one.HasField("config_discovery")) and _FILTERS in one.config_discovery.type_urls


def filters(name: str, steps: Iterable[Any]) -> Any:
    """Say the resource with some filters, none of which may wait for secrets: nobody would ask for these.

    Envoy makes them part of the chain for each request, under their own names; of no filters it makes nothing.
    """
    config = FilterChainConfig()
    for step in steps:
        config.default_filter_chain.filters.add(name=step.name, typed_config=step.typed_config)
    return extension_pb2.TypedExtensionConfig(name=name, typed_config=typed(config))


def inside(resource: Any) -> list[Any]:
    """Return the filters of a resource as they would stand in a chain."""
    config = FilterChainConfig.FromString(resource.typed_config.value)
    return [
        hcm_pb2.HttpFilter(name=step.name, typed_config=step.typed_config)
        for step in config.default_filter_chain.filters
    ]
