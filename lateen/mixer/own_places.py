"""The place that the proxies of a class stand at: their own workload, and who calls it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from lateen.mixer.directory import facts_of, service_facts
from lateen.mixer.places import Fact, Place
from lateen.model.service import Service
from lateen.model.view import OwnPort, ProxyView
from lateen.model.workload import Workload, WorkloadKey

_INSTANCE: Final = frozenset({"uid", "name", "ip", "labels"})
"""What differs between the instances of a workload, or is kept apart."""


def inbound(view: ProxyView, port: OwnPort | None = None) -> Place:
    """Return the place where requests to the workload are decided, at a port of its own where it matters.

    A gateway is a workload like others: for rules, it is itself what is called.
    """
    facts: dict[str, Fact] = {"context.reporter.kind": "inbound"}
    facts.update((f"destination.{name}", value) for name, value in _own_facts(view))
    facts.update((f"destination.service.{name}", value) for name, value in _service_facts(view, port))
    return Place(
        facts=facts,
        labels=dict(view.labels),
        absent=frozenset() if port else _NO_SERVICE,
        callers=view.callers,
    )


def outbound(view: ProxyView) -> Place:
    """Return the place where requests of the workload are told of."""
    facts: dict[str, Fact] = {"context.reporter.kind": "outbound"}
    facts.update((f"source.{name}", value) for name, value in _own_facts(view))
    return Place(facts=facts, labels=dict(view.labels), is_outbound=True, at_end=True)


def at_end(place: Place) -> Place:
    """Return the same place once a call is over."""
    return replace(place, at_end=True)


def for_connections(place: Place) -> Place:
    """Return the same place for connections that are not HTTP."""
    return replace(place, is_http=False)


_NO_SERVICE: Final = frozenset({f"destination.service.{name}" for name in ("host", "uid", "name", "namespace")})


def _own_facts(view: ProxyView) -> Iterator[tuple[str, Fact]]:
    if view.key.runs is None:
        yield "namespace", view.namespace
        return
    owner, account = view.key.runs
    key = WorkloadKey(view.namespace, "instance")
    found = facts_of(Workload(key, "0.0.0.0", dict(view.labels), account, owner=owner), view.mesh.trust_domain)
    for name, value in found.items():
        if name not in _INSTANCE and isinstance(value, str):
            yield name, value


def _service_facts(view: ProxyView, port: OwnPort | None) -> Iterator[tuple[str, Fact]]:
    service = _service(view, port.host) if port is not None else None
    if service is not None:
        for name, value in service_facts(service).items():
            if isinstance(value, str):
                yield name, value


def _service(view: ProxyView, host: str) -> Service | None:
    return next((one for one in view.services if one.host == host), None)
