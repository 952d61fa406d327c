"""Clusters, as Envoy reads them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lateen.envoy.clusters import cluster, outlier_detection
from lateen.envoy.connection_pools import http_protocol_options
from lateen.model.protocol import Protocol
from lateen.plan.types import Balancing, Cluster, Discovery, Limits, OutlierDetection

from .acceptance import as_json
from .plans import EVERY_CLUSTER

NO_BOUND = 2**32 - 1
SAID = {plan.name: as_json(cluster(plan)) for plan in EVERY_CLUSTER}


def test_a_cluster_without_settings_has_the_defaults_of_the_mesh() -> None:
    assert as_json(cluster(Cluster("outbound|80||web", Discovery.EDS, "web", 80, protocol=Protocol.HTTP))) == {
        "name": "outbound|80||web",
        "alt_stat_name": "outbound|80||web;",
        "type": "EDS",
        "eds_cluster_config": {"eds_config": {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}},
        "connect_timeout": "10s",
        "lb_policy": "LEAST_REQUEST",
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": NO_BOUND,
                    "max_pending_requests": NO_BOUND,
                    "max_requests": NO_BOUND,
                    "max_retries": NO_BOUND,
                    "track_remaining": True,
                }
            ]
        },
        "common_lb_config": {"healthy_panic_threshold": {}, "zone_aware_lb_config": {"routing_enabled": {}}},
    }


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("inbound|9080||", {"type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED"}),
        ("BlackHoleCluster", {"type": "STATIC", "load_assignment": {"cluster_name": "BlackHoleCluster"}}),
        ("outbound|80||maglev", {"type": "EDS", "lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": "65537"}}),
    ],
)
def test_discovery_and_balancing(name: str, kind: dict[str, Any]) -> None:
    assert {field: SAID[name].get(field) for field in kind} == kind


def test_names_are_resolved_by_the_proxy() -> None:
    config = SAID["outbound|80||one.example.com"]["cluster_type"]["typed_config"]
    assert config["dns_lookup_family"] == "V4_PREFERRED"
    assert config["all_addresses_in_single_endpoint"] is True
    assert (
        "all_addresses_in_single_endpoint" not in SAID["outbound|443||dns.example.com"]["cluster_type"]["typed_config"]
    )


def test_an_own_source_address_keeps_the_mark() -> None:
    binding = SAID["inbound|9080||"]["upstream_bind_config"]
    assert binding["source_address"]["address"] == "127.0.0.6"
    (option,) = binding["socket_options"]
    assert (option["level"], option["name"], option["int_value"]) == ("1", "36", "1337")


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"protocol": Protocol.TCP}, None),
        ({"protocol": Protocol.HTTPS}, None),
        ({"protocol": Protocol.HTTP}, None),
        ({"protocol": Protocol.HTTP, "limits": Limits(requests_per_connection=1)}, "explicit_http_config"),
        ({"protocol": Protocol.GRPC}, "explicit_http_config"),
        ({"protocol": Protocol.AUTO}, "use_downstream_protocol_config"),
        ({"protocol": Protocol.HTTP, "follows_client_protocol": True}, "use_downstream_protocol_config"),
    ],
)
def test_which_http_the_upstream_is_spoken_to_in(changes: dict[str, Any], kind: str | None) -> None:
    options = http_protocol_options(replace(EVERY_CLUSTER[-1], **changes))
    assert (options and options.WhichOneof("upstream_protocol_options")) == kind


def test_detectors_that_nobody_asked_for_are_off() -> None:
    said = as_json(outlier_detection(OutlierDetection(consecutive_5xx=None, consecutive_gateway=3)))
    assert {name: value for name, value in said.items() if name.startswith(("enforcing", "consecutive"))} == {
        "enforcing_success_rate": 0,
        "enforcing_consecutive_5xx": 0,
        "consecutive_gateway_failure": 3,
        "enforcing_consecutive_gateway_failure": 100,
    }


def test_a_cluster_says_which_object_shaped_it() -> None:
    path = "/apis/networking.istio.io/v1/namespaces/default/destination-rule/reviews"
    assert SAID[EVERY_CLUSTER[0].name]["metadata"] == {"filter_metadata": {"istio": {"config": path}}}


def test_new_endpoints_are_warmed_up_where_the_policy_can() -> None:
    slow = replace(EVERY_CLUSTER[3], slow_start=timedelta(minutes=1))
    assert as_json(cluster(slow))["least_request_lb_config"]["slow_start_config"]["slow_start_window"] == "60s"
    assert "slow_start_config" not in str(as_json(cluster(replace(slow, balancing=Balancing.RANDOM))))
