"""Endpoints: groups, weights, health, and who they are."""

from dataclasses import replace

from lateen.envoy.endpoints import cluster_load_assignment
from lateen.model.endpoint import Endpoint
from lateen.plan.types import Cluster, Discovery

from .acceptance import as_json
from .plans import ENDPOINTS

CLUSTER = Cluster("c", Discovery.EDS)


def _endpoint(address: str, workload: str, weight: int = 1, health: str = "HEALTHY") -> dict[str, object]:
    return {
        "endpoint": {"address": {"socket_address": {"address": address, "port_value": 9080}}},
        "health_status": health,
        "load_balancing_weight": weight,
        "metadata": {"filter_metadata": {"istio": {"workload": workload}}},
    }


def test_endpoints_are_grouped_by_locality() -> None:
    made = as_json(cluster_load_assignment(CLUSTER, ENDPOINTS))
    for each in (one for group in made["endpoints"] for one in group["lb_endpoints"]):
        del each["metadata"]["filter_metadata"]["lateen"]
    assert made == {
        "cluster_name": "c",
        "endpoints": [
            {
                "locality": {},
                "load_balancing_weight": 6,
                "lb_endpoints": [
                    _endpoint("10.244.0.3", "reviews-v1-abc;default;reviews;v1;Kubernetes"),
                    _endpoint("10.244.0.4", "reviews-v2-abc;default;reviews;v2;Kubernetes", weight=3),
                    _endpoint("10.244.0.5", "b;default;b;v2;Kubernetes", health="UNHEALTHY"),
                    _endpoint("10.244.0.7", "d;default;d;v2;Kubernetes", health="DRAINING"),
                ],
            },
            {
                "locality": {"region": "eu", "zone": "a"},
                "load_balancing_weight": 1,
                "lb_endpoints": [_endpoint("10.244.0.6", "c;default;c;v2;Kubernetes")],
            },
        ],
    }


def test_the_usual_metrics_find_whose_endpoint_it_is_in_one_text() -> None:
    (made,) = as_json(cluster_load_assignment(CLUSTER, ENDPOINTS[:1]))["endpoints"][0]["lb_endpoints"]
    assert made["metadata"]["filter_metadata"]["lateen"] == {
        "all": "reviews-v1-abc;reviews;v1;default;reviews;v1;Kubernetes"
    }


def test_whoever_may_ask_finds_whose_endpoint_it_is_part_by_part() -> None:
    described = replace(CLUSTER, describes_endpoints=True)
    (made,) = as_json(cluster_load_assignment(described, ENDPOINTS[:1]))["endpoints"][0]["lb_endpoints"]
    assert made["metadata"]["filter_metadata"]["lateen"] == {
        "workload": "reviews-v1-abc",
        "namespace": "default",
        "service": "reviews",
        "revision": "v1",
        "app": "reviews",
        "version": "v1",
        "cluster": "Kubernetes",
        "all": "reviews-v1-abc;reviews;v1;default;reviews;v1;Kubernetes",
    }


def test_endpoints_that_are_not_ready_count_where_that_was_asked_for() -> None:
    made = cluster_load_assignment(replace(CLUSTER, includes_unready=True), ENDPOINTS[2:])
    assert [one.health_status for group in made.endpoints for one in group.lb_endpoints] == [1, 3, 1]


def test_an_endpoint_can_be_a_socket_in_the_file_system() -> None:
    made = cluster_load_assignment(CLUSTER, [Endpoint("unix:///run/app.sock", 0)])
    assert as_json(made)["endpoints"][0]["lb_endpoints"][0]["endpoint"] == {
        "address": {"pipe": {"path": "/run/app.sock"}}
    }
