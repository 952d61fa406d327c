"""Calls stay in the zone of their caller, as far as the zones' sizes allow."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.live.mesh import Caller, Mesh, until
from tests.live.servers import NAMED
from tests.live.yaml_texts import container, destination_rule, pod, service, together

SLEEP = ["sleep", "infinity"]
CALLS = 40


def pod_in(zone: str, app: str, command: list[str]) -> str:
    """A Pod of an app in a zone, named for both."""
    labels = f"{app}, istio-locality: {zone}"
    return pod(f"{app}-{zone.replace('.', '-')}", container(command), app=labels)


@pytest.fixture(scope="module")
def zones(httpbin: Mesh) -> Iterator[Mesh]:
    """Callers in two zones, and servers in these and in another region."""
    serving = [httpbin.python, "-c", NAMED, "8080"]
    servers = [pod_in(zone, "zoned", serving) for zone in ("eu.a", "eu.b", "us.c")]
    callers = [pod_in(zone, "callers", SLEEP) for zone in ("eu.a", "eu.b")]
    services = [
        service("zoned", "{name: http, port: 80, targetPort: 8080}"),
        service("callers", "{name: http, port: 80}"),
    ]
    with httpbin.having(together(*services, *servers, *callers)):
        yield httpbin


def test_each_zone_calls_its_own_where_zones_are_alike(zones: Mesh) -> None:
    with (
        zones.having(destination_rule("{loadBalancer: {zoneAwareLbSetting: {minClusterSize: 2}}}", "zoned")),
        zones.call_from("pod/callers-eu-a") as in_a,
        zones.call_from("pod/callers-eu-b") as in_b,
    ):
        until(lambda: answers(in_a) == {"zoned-eu-a": CALLS}, 15, "only calls inside zone a")
        until(lambda: answers(in_b) == {"zoned-eu-b": CALLS}, 15, "only calls inside zone b")


def test_a_zone_with_too_many_callers_sends_some_elsewhere(zones: Mesh) -> None:
    rule = destination_rule("{loadBalancer: {zoneAwareLbSetting: {minClusterSize: 2}}}", "zoned")
    more = pod_in("eu.a", "callers", SLEEP).replace("callers-eu-a", "callers-more")
    with zones.having(together(rule, more)), zones.call_from("pod/callers-eu-a") as caller:
        until(lambda: answers(caller).keys() == {"zoned-eu-a", "zoned-eu-b"}, 15, "calls to the other zone")
        assert answers(caller)["zoned-eu-a"] > CALLS / 2


def test_below_the_smallest_size_zones_do_not_count(zones: Mesh) -> None:
    with (
        zones.having(destination_rule("{loadBalancer: {zoneAwareLbSetting: {enabled: true}}}", "zoned")),
        zones.call_from("pod/callers-eu-a") as caller,
    ):
        until(lambda: answers(caller).keys() == {"zoned-eu-a", "zoned-eu-b"}, 15, "both zones of the region")


def answers(caller: Caller) -> Counter[str]:
    """Who answers how often."""
    return Counter(one.body for one in caller.requests("http://zoned/", CALLS))
