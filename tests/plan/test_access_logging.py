"""Where calls are logged: MeshConfig's file, or what Telemetry objects choose."""

from typing import Any

import pytest

from lateen.plan.telemetry_types import AccessLog, LogFile, LogProtocol, LogServer
from lateen.plan.types import ProxyPlan
from tests.plan import worlds

LOGS = """
apiVersion: v1
kind: Service
metadata: {name: logs}
spec: {ports: [{name: grpc, port: 4317}]}
"""
PLACE = {"service": "logs.default.svc.cluster.local", "port": 4317}
CLUSTER = ("outbound|4317||logs.default.svc.cluster.local", "logs.default.svc.cluster.local:4317")
PROVIDERS = [
    {"name": "file", "envoy_file_access_log": {"path": "/l", "log_format": {"text": "%PATH%"}}},
    {"name": "otel", "envoy_otel_als": {**PLACE, "log_name": "n", "log_format": {"labels": {"a": "%PATH%"}}}},
    {"name": "als", "envoy_http_als": {**PLACE, "additional_request_headers_to_log": ["x-a"]}},
    {"name": "metrics", "prometheus": {}},
]
STDOUT = AccessLog(LogFile("/dev/stdout"))
FILE = AccessLog(LogFile("/l", format="%PATH%"))


def plan(*entries: tuple[str, str], mesh: dict[str, Any] | None = None) -> ProxyPlan:
    """The plan of a sidecar; entries of `accessLogging` come with the namespace of their object."""
    said = "".join(
        f"---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {{name: t{number}, namespace: {place}}}\n"
        f"spec: {{accessLogging: [{entry}]}}\n"
        for number, (place, entry) in enumerate(entries)
    )
    return worlds.plan(LOGS + said, mesh={"extension_providers": PROVIDERS, **(mesh or {})})


def client(*entries: tuple[str, str], mesh: dict[str, Any] | None = None) -> tuple[AccessLog, ...]:
    return plan(*entries, mesh=mesh).telemetry.outbound.logs


ROOT, OWN = "istio-system", "default"
TO_FILE = "{providers: [{name: file}]}"
ERRORS = "{providers: [{name: file}], filter: {expression: response.code >= 500}}"


@pytest.mark.parametrize(
    ("entries", "mesh", "expected"),
    [
        ([], {}, ()),
        ([], {"access_log_file": "/dev/stdout"}, (STDOUT,)),
        ([(ROOT, "{}")], {}, (STDOUT,)),
        ([(ROOT, TO_FILE)], {"access_log_file": "/dev/stdout"}, (FILE,)),
        ([(ROOT, ERRORS)], {}, (AccessLog(FILE.sink, "response.code >= 500"),)),
        ([(ROOT, ERRORS), (OWN, TO_FILE)], {}, (FILE,)),
        ([(ROOT, TO_FILE), (OWN, "{disabled: true}")], {}, ()),
        ([(ROOT, "{match: {mode: SERVER}}")], {}, ()),
        ([(ROOT, TO_FILE), (OWN, "{providers: [{name: envoy}]}")], {}, (STDOUT,)),
        ([], {"default_providers": {"access_logging": ["file"]}}, (FILE,)),
        (
            [(ROOT, "{providers: [{name: envoy}]}")],
            {"access_log_file": "/x", "access_log_encoding": "JSON"},
            (AccessLog(LogFile("/x", json=True)),),
        ),
    ],
)
def test_the_narrowest_scope_has_the_choice(
    entries: list[tuple[str, str]], mesh: dict[str, Any], expected: tuple[AccessLog, ...]
) -> None:
    assert client(*entries, mesh=mesh) == expected


@pytest.mark.parametrize(
    ("provider", "server"),
    [
        ("otel", LogServer(LogProtocol.OTLP, *CLUSTER, log_name="n", attributes=(("a", "%PATH%"),))),
        ("als", LogServer(LogProtocol.HTTP_ALS, *CLUSTER, log_name="access_log", request_headers=("x-a",))),
    ],
)
def test_records_are_sent_to_servers(provider: str, server: LogServer) -> None:
    assert client((ROOT, f"{{providers: [{{name: {provider}}}]}}")) == (AccessLog(server),)


@pytest.mark.parametrize(
    ("provider", "why"),
    [("nobody", "there is no extensionProvider 'nobody'"), ("metrics", "takes no access logs here")],
)
def test_what_takes_no_logs_is_told(provider: str, why: str) -> None:
    made = plan((ROOT, f"{{providers: [{{name: {provider}}}]}}"))
    assert made.telemetry.outbound.logs == ()
    assert why in str(made.diagnostics[0])
