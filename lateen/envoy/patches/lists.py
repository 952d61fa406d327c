"""Edits of the lists in a message: filters, chains, virtual hosts, routes."""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from lateen.api.networking.envoy_filter import PatchOperation
from lateen.envoy.patches.merging import merge

Test = Callable[[Any], bool]

MERGING = (PatchOperation.MERGE, PatchOperation.MERGE_AND_REPLACE_LIST)
INSERTING = (PatchOperation.INSERT_BEFORE, PatchOperation.INSERT_AFTER, PatchOperation.INSERT_FIRST)


def edit(items: Any, operation: PatchOperation, matches: Test, made: Message | None, *, end: int | None = None) -> bool:
    """Do an operation on a repeated field; tells whether there was a place for it.

    `matches` picks the places: all of them to merge, replace and remove, the first one to insert before and after.
    What is added stands at the end, or before the position `end`.
    """
    if operation is PatchOperation.ADD:
        return _insert(items, len(items) if end is None else end, made)
    if operation is PatchOperation.INSERT_FIRST:
        return _insert(items, 0, made)
    places = [position for position, item in enumerate(items) if matches(item)]
    if not places:
        return False
    if operation in INSERTING:
        return _insert(items, places[0] + (operation is PatchOperation.INSERT_AFTER), made)
    if operation is PatchOperation.REMOVE:
        for position in reversed(places):
            del items[position]
    for position in places if made is not None else ():
        change(items[position], operation, made)
    return True


def change(item: Message, operation: PatchOperation, made: Message | None) -> None:
    """Merge something into a message, or put it in its place."""
    if made is None:
        return
    if operation in MERGING:
        merge(item, made, replaces_lists=operation is PatchOperation.MERGE_AND_REPLACE_LIST)
    elif operation is PatchOperation.REPLACE:
        item.CopyFrom(made)


def _insert(items: Any, position: int, made: Message | None) -> bool:
    after = [*items][position:]
    kept = [type(item).FromString(item.SerializeToString()) for item in after]
    del items[position:]
    items.append(made)
    items.extend(kept)
    return True
