"""Patches of listeners, and of the filters in them."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from lateen.api.networking.envoy_filter import (
    FilterClass,
    ListenerMatch,
    PatchContext,
    PatchOperation,
)
from lateen.envoy.http_filters import authorization, jwt_authn, router
from lateen.envoy.network_filters.http_connection_manager import opened
from lateen.envoy.patches import places
from lateen.envoy.patches.bench import Bench
from lateen.envoy.patches.lists import INSERTING, change, edit
from lateen.model.proxy import Role
from lateen.plan.types import Patch
from lateen.xds.order import LISTENER

_AFTER: Final = {FilterClass.AUTHN: jwt_authn.NAME, FilterClass.AUTHZ: authorization.NAME}


def patch_listeners(at: Bench, patch: Patch) -> bool:
    """Add, change or remove listeners."""
    operation = patch.written.patch.operation
    if operation is PatchOperation.ADD:
        if not _adds_here(at, patch):
            return False
        at.add(LISTENER, at.value(patch))
        return True
    found = list(_listeners(at, patch))
    for listener in found:
        if operation is PatchOperation.REMOVE:
            at.remove(LISTENER, listener.name)
        else:
            change(listener, operation, at.value(patch))
    return bool(found)


def patch_listener_filters(at: Bench, patch: Patch) -> bool:
    """Add, insert, change or remove listener filters."""
    asked = _asked(patch)
    name = asked.listener_filter if asked else ""
    found = False
    for listener in _listeners(at, patch):
        operation, made = patch.written.patch.operation, at.value(patch)
        found |= edit(listener.listener_filters, operation, lambda one: places.has_name(name, one.name), made)
    return found


def patch_chains(at: Bench, patch: Patch) -> bool:
    """Add, change or remove filter chains; one that a listener falls back to can be changed too."""
    asked, operation = _asked(patch), patch.written.patch.operation
    found = False
    for listener in _listeners(at, patch):
        made, is_meant = at.value(patch), partial(places.is_chain, asked, listener)
        found |= edit(listener.filter_chains, operation, is_meant, made)
        if listener.HasField("default_filter_chain") and operation is not PatchOperation.ADD:
            fallback = listener.default_filter_chain
            if is_meant(fallback):
                change(fallback, operation, made)
                found = True
    return found


def patch_network_filters(at: Bench, patch: Patch) -> bool:
    """Add, insert, change or remove network filters of the chains that are meant.

    What is added stands before the chain's last filter, which ends it.
    """
    asked = places.filter_match(_asked(patch)).name
    found = False
    for chain in _chains(at, patch):
        operation, made = patch.written.patch.operation, at.value(patch)
        found |= edit(
            chain.filters,
            operation,
            lambda one: places.has_name(asked, one.name),
            made,
            end=max(len(chain.filters) - 1, 0),
        )
    return found


def patch_http_filters(at: Bench, patch: Patch) -> bool:
    """Add, insert, change or remove HTTP filters.

    What is added stands before the router, or behind the filters of its class. Inserted without saying beside which
    filter, it stands first or, inserted behind, before the router.
    """
    asked = places.filter_match(_asked(patch)).sub_filter
    name, operation = (asked.name if asked else ""), patch.written.patch.operation
    if operation in INSERTING and not name:
        first = operation is not PatchOperation.INSERT_AFTER
        operation = PatchOperation.INSERT_FIRST if first else PatchOperation.ADD
    found = False
    for step in _managers(at, patch):
        with opened(step) as manager:
            filters = manager.http_filters
            place = _end(filters, patch.written.patch.filter_class)
            made = at.value(patch)
            found |= edit(filters, operation, lambda one: places.has_name(name, one.name), made, end=place)
    return found


def fill_in_extensions(at: Bench, patch: Patch) -> bool:
    """Put a filter's settings where a filter of that name asks for them over the stream."""
    made = at.value(patch)
    found = False
    for step in _managers(at, patch):
        with opened(step) as manager:
            for one in manager.http_filters:
                if one.name == made.name and one.HasField("config_discovery"):
                    one.typed_config.CopyFrom(made.typed_config)
                    found = True
    return found


def _asked(patch: Patch) -> ListenerMatch | None:
    return patch.written.match.listener if patch.written.match else None


def _context(patch: Patch) -> PatchContext:
    return patch.written.match.context if patch.written.match else PatchContext.ANY


def _adds_here(at: Bench, patch: Patch) -> bool:
    """Tell whether a listener is added to this proxy: a sidecar may get one for each direction."""
    is_gateway = at.role is Role.GATEWAY
    wanted = _context(patch)
    return wanted is PatchContext.ANY or (wanted is PatchContext.GATEWAY) == is_gateway


def _listeners(at: Bench, patch: Patch) -> Iterator[Any]:
    """Yield the listeners that are meant, to be changed in place."""
    for name in at.names(LISTENER):
        if places.has_context(_context(patch), places.listener_context(at.role, name)):
            listener = at.message(LISTENER, name)
            if places.is_listener(_asked(patch), listener):
                yield listener


def _chains(at: Bench, patch: Patch) -> Iterator[Any]:
    for listener in _listeners(at, patch):
        fallback = [listener.default_filter_chain] if listener.HasField("default_filter_chain") else []
        for chain in (*listener.filter_chains, *fallback):
            if places.is_chain(_asked(patch), listener, chain):
                yield chain


def _managers(at: Bench, patch: Patch) -> Iterator[Any]:
    """Yield the filters that read HTTP in the chains that are meant."""
    asked = places.filter_match(_asked(patch)).name
    for chain in _chains(at, patch):
        for step in chain.filters:
            if step.name == places.HTTP_MANAGER and places.has_name(asked, step.name):
                yield step


def _end(filters: Any, asked: FilterClass) -> int:
    """Find the place of what is added: behind the last filter of its class, and before the router in any case."""
    names = [one.name for one in filters]
    last = names.index(router.NAME) if router.NAME in names else len(names)
    behind = _AFTER.get(asked)
    if behind is None:
        return last
    return max((position + 1 for position, name in enumerate(names) if name == behind), default=0)
