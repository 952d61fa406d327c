"""The conditions that were asked before the one that won, and those that are not for the caller at all."""

from collections.abc import Iterator

from lateen.api.networking.virtual_service import HttpMatch, VirtualService
from lateen.api.objects import ConfigObject, ObjectKey
from lateen.model.proxy import Role
from lateen.model.view import ProxyView
from lateen.plan import matches
from lateen.plan.explain import words
from lateen.plan.explain.journeys import Journey
from lateen.plan.explain.places import Places
from lateen.plan.explain.steps import PassedOver
from lateen.plan.matches import Vantage
from lateen.plan.types import Origin


def of(journey: Journey, port: int, view: ProxyView, places: Places) -> Iterator[PassedOver]:
    """Yield what did not match, in order, and then what the objects of the host say for others than this caller."""
    for one in journey.considered:
        yield PassedOver(places.of(one.route.origin), words.condition(one.route.match), one.failed)
    if journey.host is None:
        return
    keys = dict.fromkeys(route.origin.key for route in journey.host.host.routes if route.origin)
    by_key = {item.key: item for item in view.virtual_services}
    for key in keys:
        if key in by_key:
            yield from _for_others(by_key[key], port, view, places)


def _for_others(item: ConfigObject[VirtualService], port: int, view: ProxyView, places: Places) -> Iterator[PassedOver]:
    gateways = frozenset({"mesh"})
    if view.role is Role.GATEWAY:
        gateways = frozenset(f"{one.namespace}/{one.name}" for one in view.gateways)
    vantage = Vantage(gateways, port, view.namespace, view.labels)
    for rule, written in enumerate(item.spec.http):
        for position, condition in enumerate(written.match):
            if not matches.concerns(condition, vantage, item.namespace):
                origin = Origin(item.key, f"spec.http[{rule}].match[{position}]")
                yield PassedOver(places.of(origin), _asked(condition), _why(condition, vantage, item.key))


def _asked(condition: HttpMatch) -> str:
    return words.condition(matches.request_match(condition))


def _why(condition: HttpMatch, vantage: Vantage, key: ObjectKey) -> str:
    if condition.port is not None and condition.port != vantage.port:
        return f"it is for port {condition.port}"
    names = {matches.gateway_name(name, key.namespace) for name in condition.gateways}
    if names and vantage.gateways.isdisjoint(names):
        return f"it is for {' and '.join(sorted(names))}"
    if condition.source_namespace not in ("", vantage.namespace):
        return f"it is for callers of namespace {condition.source_namespace}"
    wanted = ", ".join(f"{name}={value}" for name, value in sorted(condition.source_labels.items()))
    return f"it is for callers with the labels {wanted}"
