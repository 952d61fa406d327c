"""The labels of standard metrics, kept in one text and written out again."""

from lateen.plan import compact_labels

SLEEP = "sleep;sleep;latest;default;sleep;unknown;Kubernetes"
CALL = f"source|{SLEEP}|||spiffe://c/ns/default/sa/sleep|elsewhere.example|PassthroughCluster||http|503||UF,URX"


def test_a_text_becomes_istios_labels_with_words_for_what_is_not_known() -> None:
    assert compact_labels.labels(CALL) == {
        "reporter": "source",
        "source_workload": "sleep",
        "source_canonical_service": "sleep",
        "source_canonical_revision": "latest",
        "source_workload_namespace": "default",
        "source_app": "sleep",
        "source_version": "unknown",
        "source_cluster": "Kubernetes",
        "source_principal": "spiffe://c/ns/default/sa/sleep",
        "destination_workload": "unknown",
        "destination_canonical_service": "unknown",
        "destination_canonical_revision": "latest",
        "destination_workload_namespace": "unknown",
        "destination_app": "unknown",
        "destination_version": "unknown",
        "destination_cluster": "unknown",
        "destination_principal": "unknown",
        "destination_service": "elsewhere.example",
        "destination_service_name": "PassthroughCluster",
        "destination_service_namespace": "unknown",
        "request_protocol": "http",
        "response_code": "503",
        "grpc_response_status": "",
        "response_flags": "UF,URX",
        "connection_security_policy": "unknown",
    }


def test_a_workload_that_no_service_stands_for_is_called_by_its_own_name() -> None:
    found = compact_labels.labels(f"destination-mtls|{SLEEP}|{SLEEP}||||||tcp||| -")
    assert (found["destination_service"], found["destination_service_namespace"]) == ("sleep", "default")
    assert (found["connection_security_policy"], found["request_protocol"]) == ("mutual_tls", "tcp")


def test_a_page_keeps_all_else() -> None:
    page = 'a{b="c"} 1\nx{lateen="odd",le="1"} 2\nx{lateen="' + CALL + '"} 3\n'
    first, second, third, _ = compact_labels.expand(page).split("\n")
    assert (first, second) == ('a{b="c"} 1', 'x{lateen="odd",le="1"} 2')
    assert third.startswith('x{reporter="source",source_workload="sleep",')
    assert third.endswith('connection_security_policy="unknown"} 3')
