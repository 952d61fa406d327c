"""Who is who: the facts of workloads and services, as attributes have them."""

from ipaddress import ip_address

import pytest

from lateen.api.objects import ObjectKey
from lateen.mixer.attributes import VOCABULARY
from lateen.mixer.directory import NOTHING_KNOWN, Directory, facts_of, service_facts
from lateen.mixer.origins import Keeper
from lateen.model.protocol import Protocol
from lateen.model.service import Service, ServicePort
from lateen.model.workload import Workload, WorkloadKey
from lateen.model.workloads import Workloads

REVIEWS = Workload(
    WorkloadKey("shop", "reviews-v1-abc-de"),
    "10.244.1.7",
    {"app": "reviews"},
    "bookinfo-reviews",
    {"http": 9080},
    owner="reviews-v1",
)


def service(name: str, target: int | str = 9080, namespace: str = "shop", app: str = "reviews") -> Service:
    port = ServicePort(80, "http", Protocol.HTTP, target)
    key = ObjectKey("", "Service", namespace, name)
    return Service(f"{name}.{namespace}.svc.cluster.local", namespace, (port,), key, selector=(("app", app),))


def directory(*services: Service) -> Directory:
    return Directory(Workloads().apply([REVIEWS]), services, "example.org")


def test_the_facts_of_a_workload() -> None:
    assert facts_of(REVIEWS, "example.org") == {
        "uid": "kubernetes://reviews-v1-abc-de.shop",
        "name": "reviews-v1-abc-de",
        "namespace": "shop",
        "labels": {"app": "reviews"},
        "owner": "kubernetes://apis/apps/v1/namespaces/shop/deployments/reviews-v1",
        "workload.uid": "istio://shop/workloads/reviews-v1",
        "workload.name": "reviews-v1",
        "workload.namespace": "shop",
        "ip": ip_address("10.244.1.7"),
        "service_account": "bookinfo-reviews",
        "principal": "example.org/ns/shop/sa/bookinfo-reviews",
    }


@pytest.mark.parametrize(
    ("name", "owner", "path"),
    [
        ("db-0", "db", "apps/v1/namespaces/shop/statefulsets/db"),
        ("lonely", "", "v1/namespaces/shop/pods/lonely"),
        ("lonely", "lonely", "v1/namespaces/shop/pods/lonely"),
    ],
)
def test_what_controls_an_instance(name: str, owner: str, path: str) -> None:
    workload = Workload(WorkloadKey("shop", name), "10.244.1.8", owner=owner)
    assert facts_of(workload, "")["owner"] == f"kubernetes://apis/{path}"


def test_the_facts_of_a_service() -> None:
    assert service_facts(service("reviews")) == {
        "host": "reviews.shop.svc.cluster.local",
        "uid": "istio://shop/services/reviews",
        "name": "reviews",
        "namespace": "shop",
    }


def test_every_fact_of_the_vocabulary_that_a_workload_or_service_has_is_known() -> None:
    asked = {
        origin.fact
        for entry in VOCABULARY
        for origin in (entry.server, entry.client)
        if origin.fact and origin.keeper in (Keeper.OWN, Keeper.PEER)
    }
    assert asked - facts_of(REVIEWS, "x").keys() == {"container.name", "container.image"}
    asked = {entry.server.fact for entry in VOCABULARY if entry.server.keeper is Keeper.SERVICE}
    assert asked == service_facts(service("reviews")).keys()


def test_workloads_are_found_by_address_name_and_uid() -> None:
    known = directory()
    assert known.at("10.244.1.7") == known.instance("shop", "reviews-v1-abc-de") == REVIEWS
    assert known.by_address("10.244.1.7") == known.by_uid("kubernetes://reviews-v1-abc-de.shop") == known.facts(REVIEWS)
    for nobody in ("kubernetes://x.shop", "reviews-v1-abc-de.shop", "", "kubernetes://"):
        assert known.by_uid(nobody) == NOTHING_KNOWN
    assert known.by_address("10.244.1.9") == NOTHING_KNOWN


@pytest.mark.parametrize("target", [9080, "http"])
def test_the_service_through_which_a_port_is_called(target: int | str) -> None:
    known = directory(
        service("zzz", target), service("reviews", target), service("other", target, app="x"), service("away", 1)
    )
    assert known.reached(REVIEWS, 9080)["name"] == "reviews"
    assert known.reached(REVIEWS, 9081) == NOTHING_KNOWN
    assert known.reached(None, 9080) == NOTHING_KNOWN
