"""Where audit records go, and where none are made."""

from typing import Any

import pytest

from lateen.plan.types import AuditTrail
from tests.plan import worlds

WATCH = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: watch}
spec: {action: AUDIT, rules: [{}]}
---
apiVersion: v1
kind: Service
metadata: {name: collector}
spec: {ports: [{name: grpc, port: 4317}]}
"""
FILE = {"envoy_file_access_log": {"path": "/var/log/audit.json"}}
COLLECTOR = {"envoy_otel_als": {"service": "collector.default.svc.cluster.local", "port": 4317, "log_name": "mesh"}}
OTLP = ("outbound|4317||collector.default.svc.cluster.local", "collector.default.svc.cluster.local:4317", "mesh")


def trail(*providers: dict[str, Any], text: str = WATCH) -> AuditTrail | None:
    return worlds.plan(text, mesh={"extension_providers": list(providers)}).guards.everywhere.trail


@pytest.mark.parametrize(
    ("providers", "expected"),
    [
        ([], AuditTrail("/dev/stdout")),
        ([{"name": "other", **FILE}], AuditTrail("/dev/stdout")),
        ([{"name": "audit", **FILE}], AuditTrail("/var/log/audit.json")),
        ([{"name": "audit", **COLLECTOR}], AuditTrail("", *OTLP)),
        ([{"name": "audit", **FILE, **COLLECTOR}], AuditTrail("/var/log/audit.json", *OTLP)),
    ],
)
def test_the_provider_says_where_records_go(providers: list[dict[str, Any]], expected: AuditTrail) -> None:
    assert trail(*providers) == expected


def test_without_policies_the_place_is_known_too_so_that_the_first_one_changes_no_listener() -> None:
    assert trail(text=worlds.SHOP) == AuditTrail("/dev/stdout")


def test_a_collector_that_is_not_there_is_noted_and_nothing_is_lost() -> None:
    lost = {"name": "audit", "envoy_otel_als": {"service": "nowhere.example.com", "port": 4317}}
    made = worlds.plan(WATCH, mesh={"extension_providers": [lost]})
    assert made.guards.everywhere.trail == AuditTrail("/dev/stdout")
    assert [str(one) for one in made.diagnostics] == [
        "AuthorizationPolicy default/watch metadata.name: audit records go to the log of the proxy: the service"
        " nowhere.example.com of extensionProvider 'audit' is not known here on port 4317"
    ]
