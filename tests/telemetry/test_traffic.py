"""Who calls whom, from Istio's standard metrics."""

from lateen.telemetry import readings, traffic
from lateen.telemetry.readings import Interval

CALL = (
    'source_workload="web",source_workload_namespace="default",destination_service_name="shop",'
    'destination_service_namespace="default",pod="p"'
)
OUTSIDE = CALL.replace('"web"', '"unknown"').replace('namespace="default",dest', 'namespace="unknown",dest')


def text(factor: int) -> str:
    """What is told after so many seconds."""
    return f"""
istio_requests_total{{reporter="source",response_code="200",{CALL}}} {9 * factor}
istio_requests_total{{reporter="source",response_code="503",{CALL}}} {factor}
istio_requests_total{{reporter="destination",response_code="200",connection_security_policy="mutual_tls",{CALL}}} {9 * factor}
istio_requests_total{{reporter="destination",response_code="200",connection_security_policy="none",{OUTSIDE}}} {2 * factor}
istio_request_duration_milliseconds_bucket{{reporter="source",le="10",{CALL}}} {5 * factor}
istio_request_duration_milliseconds_bucket{{reporter="source",le="20",{CALL}}} {10 * factor}
istio_request_duration_milliseconds_bucket{{reporter="source",le="+Inf",{CALL}}} {10 * factor}
istio_tcp_connections_opened_total{{reporter="source",{CALL.replace("shop", "db")}}} {factor}
istio_tcp_sent_bytes_total{{reporter="source",{CALL.replace("shop", "db")}}} {50 * factor}
"""


def test_edges_count_where_calls_are_made_and_know_tls_from_where_they_arrive() -> None:
    found = traffic.traffic(Interval(readings.reading(0, text(1)), readings.reading(10, text(11))))
    edges = {(edge.source[0], edge.destination[0]): edge for edge in found.edges}
    assert sorted(edges) == [("unknown", "shop"), ("web", "db"), ("web", "shop")]
    shop = edges["web", "shop"]
    assert (shop.figures.requests, shop.figures.error_share, shop.mtls) == (10.0, 0.1, "yes")
    assert (shop.figures.p50, shop.figures.p90) == (10.0, 18.0)
    assert (edges["web", "db"].figures.connections, edges["web", "db"].figures.bytes) == (1.0, 50.0)
    assert edges["unknown", "shop"].mtls == "no"


def test_a_service_is_all_calls_to_it() -> None:
    found = traffic.traffic(Interval(readings.reading(0, text(1)), readings.reading(10, text(11))))
    rows = {row.service[0]: row for row in found.services}
    assert (rows["shop"].figures.requests, rows["shop"].mtls) == (12.0, "partly")


def test_ways_on_which_nothing_happens_are_left_out() -> None:
    assert traffic.traffic(Interval(readings.reading(0, text(1)), readings.reading(10, text(1)))).edges == ()
