"""Patches of route tables, of the virtual hosts in them, and of the routes in these."""

from collections.abc import Iterator
from typing import Any, Final

from lateen import names
from lateen.api.networking.envoy_filter import PatchContext, RouteConfigurationMatch
from lateen.envoy.network_filters.http_connection_manager import opened
from lateen.envoy.patches import places
from lateen.envoy.patches.bench import Bench
from lateen.envoy.patches.lists import change, edit
from lateen.model.proxy import Role
from lateen.plan.types import Patch
from lateen.xds.order import LISTENER, ROUTE

_ANYWHERE: Final = RouteConfigurationMatch()


def patch_tables(at: Bench, patch: Patch) -> bool:
    """Change whole tables."""
    found = False
    for table in _tables(at, patch):
        change(table, patch.written.patch.operation, at.value(patch))
        found = True
    return found


def patch_virtual_hosts(at: Bench, patch: Patch) -> bool:
    """Add, change or remove virtual hosts."""
    asked = _asked(patch).vhost
    found = False
    for table in _tables(at, patch):
        operation, made = patch.written.patch.operation, at.value(patch)
        found |= edit(table.virtual_hosts, operation, lambda host: places.is_virtual_host(asked, host), made)
    return found


def patch_routes(at: Bench, patch: Patch) -> bool:
    """Add, insert, change or remove routes of the virtual hosts that are meant."""
    asked = _asked(patch).vhost
    route = asked.route if asked else None
    found = False
    for table in _tables(at, patch):
        for host in table.virtual_hosts:
            if places.is_virtual_host(asked, host):
                operation, made = patch.written.patch.operation, at.value(patch)
                found |= edit(host.routes, operation, lambda one: places.is_route(route, one), made)
    return found


def _asked(patch: Patch) -> RouteConfigurationMatch:
    match = patch.written.match
    return (match.route_configuration if match else None) or _ANYWHERE


def _tables(at: Bench, patch: Patch) -> Iterator[Any]:
    """Yield the tables that are meant, to be changed in place: those of the stream, and those inside listeners."""
    context = patch.written.match.context if patch.written.match else PatchContext.ANY
    asked = _asked(patch)
    streamed = PatchContext.GATEWAY if at.role is Role.GATEWAY else PatchContext.SIDECAR_OUTBOUND
    if places.has_context(context, streamed):
        for name in at.names(ROUTE):
            if places.is_table(asked, name):
                yield at.message(ROUTE, name)
    if at.role is not Role.GATEWAY and places.has_context(context, PatchContext.SIDECAR_INBOUND):
        yield from _inbound_tables(at, asked)


def _inbound_tables(at: Bench, asked: RouteConfigurationMatch) -> Iterator[Any]:
    if names.VIRTUAL_INBOUND not in at.names(LISTENER):
        return
    for chain in at.message(LISTENER, names.VIRTUAL_INBOUND).filter_chains:
        for step in chain.filters:
            if step.name == places.HTTP_MANAGER:
                with opened(step) as manager:
                    if manager.HasField("route_config") and places.is_table(asked, manager.route_config.name):
                        yield manager.route_config
