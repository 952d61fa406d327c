"""The http rules of a VirtualService with its delegates' rules in the places where it hands over to them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lateen.api.networking.virtual_service import HttpMatch, HttpRoute, VirtualService
from lateen.api.objects import ConfigObject
from lateen.plan.diagnostics import Doubt, Notes, below
from lateen.plan.directory import Directory
from lateen.plan.types import Origin

_INHERITED: Final = ("rewrite", "timeout", "retries", "fault", "mirrors", "cors_policy", "headers")


@dataclass(frozen=True, slots=True)
class Rule:
    """An http rule where it acts: in the namespace that wrote it, behind the conditions of the rule that hands over."""

    written: HttpRoute
    origin: Origin
    outer: tuple[HttpMatch, ...] = ()
    outer_namespace: str = ""

    @property
    def namespace(self) -> str:
        """The namespace in which the rule's short names are resolved."""
        return self.origin.key.namespace


def conditions(rule: HttpRoute) -> tuple[HttpMatch, ...]:
    """List the alternatives of a rule; one without any holds always."""
    return rule.match or (HttpMatch(),)


def delegates_of(item: ConfigObject[VirtualService], directory: Directory) -> tuple[ConfigObject[VirtualService], ...]:
    """List the VirtualServices that a VirtualService hands over to, without those that do not exist."""
    found = (_find(item, rule, directory) for rule in item.spec.http)
    return tuple(delegate for delegate in found if delegate is not None)


def rules_of(item: ConfigObject[VirtualService], directory: Directory, notes: Notes) -> Iterator[Rule]:
    """Yield a VirtualService's http rules in order, each delegate's rules in its place.

    A delegate's rule inherits what it does not say itself, such as timeout and retries, from the rule that hands over.
    """
    for position, written in enumerate(item.spec.http):
        at = Origin(item.key, f"spec.http[{position}]")
        if written.delegate is None:
            yield Rule(written, at)
            continue
        delegate = _find(item, written, directory)
        if delegate is None:
            notes.add(
                below(at, "delegate"), "has no effect: there is no such VirtualService without hosts", Doubt.MISSING
            )
            continue
        for inner, rule in enumerate(delegate.spec.http):
            origin = Origin(delegate.key, f"spec.http[{inner}]")
            yield Rule(_inherit(rule, written), origin, conditions(written), item.namespace)


def _find(
    item: ConfigObject[VirtualService], rule: HttpRoute, directory: Directory
) -> ConfigObject[VirtualService] | None:
    if rule.delegate is None:
        return None
    return directory.delegates.get((rule.delegate.namespace or item.namespace, rule.delegate.name))


def _inherit(rule: HttpRoute, outer: HttpRoute) -> HttpRoute:
    missing = {name: getattr(outer, name) for name in _INHERITED if not getattr(rule, name) and getattr(outer, name)}
    return rule.model_copy(update=missing) if missing else rule
