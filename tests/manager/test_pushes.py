"""What the pushes tell proxies, and what they tell the operator."""

import asyncio
from collections.abc import Mapping

import pytest

from lateen.manager.pushes import PATIENCE_SECONDS, Connection, Pushes, State
from lateen.xds import order
from lateen.xds.events import Ack, Nack, Subscribe
from lateen.xds.resources import Resource, ResourceSet
from lateen.xds.versions import Delta

LIMIT_SECONDS = 5


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class Proxy:
    """The other end: notes what it is sent, and acknowledges on demand."""

    def __init__(self, pushes: Pushes, name: str) -> None:
        self.sent: list[Delta] = []
        self.closed: str | None = None
        self.connection: Connection = pushes.connect(name, self)

    def send(self, delta: Delta) -> None:
        self.sent.append(delta)

    def close(self, reason: str) -> None:
        self.closed = reason

    def ask(self, *urls: str) -> None:
        for url in urls:
            self.connection.receive(Subscribe(url, ("a",) if url in (order.ENDPOINT, order.ROUTE) else ()))

    def ack(self) -> None:
        while self.connection.session.unacknowledged():
            for delta in self.connection.session.unacknowledged():
                self.connection.receive(Ack(delta.type_url, delta.nonce))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pushes(clock: Clock) -> Pushes:
    return Pushes(clock)


def of(url: str = order.CLUSTER, **versions: str) -> ResourceSet:
    return {url: {name: Resource(name, version, b"") for name, version in versions.items()}}


def joined(pushes: Pushes, name: str, class_key: str = "x", *urls: str) -> Proxy:
    proxy = Proxy(pushes, name)
    pushes.place(proxy.connection, class_key)
    proxy.ask(*(urls or (order.CLUSTER,)))
    proxy.ack()
    return proxy


def contents(delta: Delta) -> tuple[Mapping[str, str], tuple[str, ...]]:
    return {resource.name: resource.version for resource in delta.resources}, delta.removed


def test_equal_proxies_are_sent_the_same_object(pushes: Pushes) -> None:
    pushes.publish("x", of(a="1"), 1)
    one, two, other = joined(pushes, "one"), joined(pushes, "two"), joined(pushes, "other", "y")
    pushes.publish("x", of(a="2"), 2)
    assert one.sent[-1] is two.sent[-1]
    assert contents(one.sent[-1]) == ({"a": "2"}, ())
    assert not other.sent


def test_what_does_not_differ_is_not_sent(pushes: Pushes) -> None:
    pushes.publish("x", of(a="1"), 1)
    proxy = joined(pushes, "one")
    pushes.publish("x", of(a="1"), 2)
    assert len(proxy.sent) == 1
    assert pushes.unsettled(2) == []


def test_a_proxy_that_moves_is_sent_what_differs_between_the_classes(pushes: Pushes) -> None:
    pushes.publish("x", of(a="1", b="1", c="1"), 1)
    pushes.publish("y", of(a="1", b="2"), 1)
    proxy = joined(pushes, "one")
    pushes.move(["one", "nobody"], "y")
    proxy.ack()
    assert list(map(contents, proxy.sent[1:])) == [({"b": "2"}, ()), ({}, ("c",))]
    assert proxy.connection.class_key == "y"
    pushes.publish("x", of(a="3"), 2)
    assert len(proxy.sent) == 3


def test_an_endpoint_change_reaches_all_its_classes_and_copies_a_shared_mapping_once(pushes: Pushes) -> None:
    shared = of(order.ENDPOINT, a="1", b="1")
    pushes.publish("x", shared, 1)
    pushes.publish("y", shared, 1)
    one, two = joined(pushes, "one", "x", order.ENDPOINT), joined(pushes, "two", "y", order.ENDPOINT)
    pushes.publish_endpoints(["x", "y", "unknown"], {"a": Resource("a", "2", b""), "b": None}, 2)
    assert contents(one.sent[-1]) == contents(two.sent[-1]) == ({"a": "2"}, ())
    versions = [proxy.connection.session.newest for proxy in (one, two)]
    assert all(versions)
    assert len({id(version.of(order.ENDPOINT)) for version in versions if version}) == 1


def test_a_class_can_be_published_before_its_first_proxy_and_forgotten_after_its_last(pushes: Pushes) -> None:
    pushes.publish("x", of(a="1"), 1)
    assert pushes.has("x")
    proxy = joined(pushes, "one")
    assert len(proxy.sent) == 1
    pushes.disconnect(proxy.connection)
    pushes.retire("x")
    assert not pushes.has("x")


def test_a_second_stream_of_a_proxy_closes_the_first(pushes: Pushes) -> None:
    first = joined(pushes, "one")
    second = joined(pushes, "one")
    assert first.closed
    pushes.disconnect(first.connection)
    assert pushes.connections == {"one": second.connection}


async def test_settle_waits_for_those_named_and_for_nobody_who_left(pushes: Pushes) -> None:
    pushes.publish("x", of(a="1"), 1)
    one, two, three = (joined(pushes, name) for name in ("one", "two", "three"))
    pushes.publish("x", of(a="2"), 2)
    some, every = asyncio.ensure_future(pushes.settle(2, {"one"})), asyncio.ensure_future(pushes.settle(2))
    await asyncio.sleep(0)
    assert pushes.unsettled(2) == [one.connection, two.connection, three.connection]
    one.ack()
    await asyncio.wait_for(some, LIMIT_SECONDS)
    two.ack()
    assert not every.done()
    pushes.disconnect(three.connection)
    await asyncio.wait_for(every, LIMIT_SECONDS)


async def test_proxies_that_a_change_does_not_concern_settle_when_it_is_said_to_be_out(pushes: Pushes) -> None:
    pushes.publish("x", of(a="1"), 1)
    proxy = joined(pushes, "one")
    waiting = asyncio.ensure_future(pushes.settle(2))
    await asyncio.sleep(0)
    assert pushes.unsettled(2) == [proxy.connection]
    pushes.reached(2)
    await asyncio.wait_for(waiting, LIMIT_SECONDS)


def test_statuses_tell_state_age_and_what_is_refused(pushes: Pushes, clock: Clock) -> None:
    everything = {**of(a="1"), **of(order.ENDPOINT, a="1"), **of(order.LISTENER, a="1")}
    pushes.publish("x", everything, 1)
    proxy = joined(pushes, "one", "x", order.CLUSTER, order.ENDPOINT)
    clock.seconds += 3
    pushes.publish("x", {**everything, **of(a="2"), **of(order.ENDPOINT, a="2")}, 2)
    clusters, endpoints = proxy.sent[-2:]
    proxy.connection.receive(Nack(order.CLUSTER, clusters.nonce, "no good"))
    clock.seconds += 4
    (status,) = pushes.statuses()
    assert [(t.short, t.state, t.seconds) for t in status.types] == [
        ("CDS", State.ERROR, 4),
        ("EDS", State.STALE, 4),
        ("LDS", State.NOT_SENT, None),
    ]
    assert status.state is State.ERROR
    assert (status.types[0].message, status.types[0].rejected[0].name) == ("no good", "a")
    proxy.connection.receive(Ack(order.ENDPOINT, endpoints.nonce))
    clock.seconds += 1
    assert (pushes.statuses()[0].types[1].state, pushes.statuses()[0].types[1].seconds) == (State.SYNCED, 1)


def test_patience_with_a_proxy_that_does_not_ask_for_endpoints_ends(pushes: Pushes, clock: Clock) -> None:
    pushes.publish("x", {**of(a="1"), **of(order.ENDPOINT, a="1"), **of(order.LISTENER, a="1")}, 1)
    proxy = joined(pushes, "one", "x", order.CLUSTER, order.ENDPOINT, order.LISTENER)
    new = {**of(a="1", b="1"), **of(order.ENDPOINT, a="1", b="1"), **of(order.LISTENER, a="2")}
    pushes.publish("x", new, 2)
    proxy.ack()
    for seconds in (0.0, PATIENCE_SECONDS / 2, PATIENCE_SECONDS / 2):
        assert pushes.unsettled(2)
        clock.seconds += seconds
        pushes.stop_waiting()
    proxy.ack()
    assert pushes.unsettled(2) == []


def lines(pushes: Pushes) -> list[str]:
    """What the pushes have measured, without buckets."""
    found = [line for each in pushes.meters.instruments for line in each.family().lines]
    return [line for line in found if "_bucket{" not in line]


def test_what_is_sent_and_how_soon_it_is_taken_is_measured(pushes: Pushes, clock: Clock) -> None:
    pushes.publish("x", of(a="1"), 1)
    proxy = Proxy(pushes, "one")
    pushes.place(proxy.connection, "x")
    proxy.ask(order.CLUSTER)
    clock.seconds += 0.25
    proxy.ack()
    pushes.publish("x", of(a="1"), 2)
    pushes.publish("x", of(a="2"), 3)
    clock.seconds += 0.75
    (delta,) = proxy.connection.session.unacknowledged()
    proxy.connection.receive(Nack(order.CLUSTER, delta.nonce, "no"))
    assert lines(pushes) == [
        'pilot_xds_pushes{type="cds"} 2',
        'pilot_total_xds_rejects{type="cds"} 1',
        f'pilot_xds_config_size_bytes_sum{{type="cds"}} {float(2 * delta.size_bytes)}',
        'pilot_xds_config_size_bytes_count{type="cds"} 2',
        "pilot_proxy_convergence_time_sum 0.25",
        "pilot_proxy_convergence_time_count 1",
    ]
