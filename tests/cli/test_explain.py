"""`lateen explain`, `describe` and `analyze` as a user runs them on files."""

import json
from pathlib import Path

import pytest

from .conftest import Machine
from .test_authz import MESH

RULES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: stock}
spec:
  hosts: [stock]
  http:
  - match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: stock, subset: v2}}]
  - timeout: 2s
    route: [{destination: {host: stock}}]
"""
EXPLAINED = """\
GET http://stock/x from web.default
→ stock.default.svc.cluster.local port 80
  DNS           10.96.91.21, the virtual address of stock.default.svc.cluster.local
                Service default/stock at mesh.yaml:2
  listener      0.0.0.0:80, for every address of the port
  filter chain  requests are looked up in route table 80
  virtual host  stock.default.svc.cluster.local:80: its domain stock is the most specific for stock
  route         forwards, matched by every request
                VirtualService default/stock spec.http[1] at rules.yaml:10
                not           header end-user exact jason: header end-user is missing
                              VirtualService default/stock spec.http[0] at rules.yaml:8
                timeout       2s
                              VirtualService default/stock spec.http[1].timeout at rules.yaml:10
                retries       up to 2 on connect-failure, refused-stream, unavailable, cancelled, \
retriable-status-codes, by default
  to            stock.default.svc.cluster.local port 80
                VirtualService default/stock spec.http[1].route[0].destination at rules.yaml:11
                cluster       outbound|80||stock.default.svc.cluster.local
                              Service default/stock spec.ports[0] at mesh.yaml:5
                endpoint      port 8080 stock-v1.default HEALTHY
                TLS           the mesh's mutual TLS as spiffe://cluster.local/ns/default/sa/desk
                server        stock-v1.default port 8080: allow: an ALLOW rule matches
                              AuthorizationPolicy default/desk-reads spec.rules[0] at mesh.yaml:31
                takes         STRICT
                              PeerAuthentication default/all spec.mtls.mode at mesh.yaml:24
                ALLOW         matches
                              AuthorizationPolicy default/desk-reads spec.rules[0] at mesh.yaml:31
"""
ON_FILES = ("-f", "mesh.yaml", "-f", "rules.yaml")


@pytest.fixture(autouse=True)
def files(machine: Machine) -> None:
    Path("mesh.yaml").write_text(MESH)
    Path("rules.yaml").write_text(RULES)


def test_files_say_what_becomes_of_a_request(machine: Machine) -> None:
    result = machine.run("explain", *ON_FILES, "--from", "web", "--to", "http://stock/x")
    assert (result.exit_code, result.stdout) == (0, EXPLAINED)


PATCHED = """
apiVersion: lateen.dev/v1
kind: RateLimit
metadata: {name: stock}
spec: {selector: {matchLabels: {app: stock}}, limits: [{rate: 10/minute, by: [request.method]}]}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: slow}
spec:
  configPatches:
  - applyTo: CLUSTER
    match: {context: SIDECAR_OUTBOUND, cluster: {service: stock.default.svc.cluster.local}}
    patch: {operation: MERGE, value: {connect_timeout: 3s}}
"""


def test_filters_and_patches_are_told_where_they_stand(machine: Machine) -> None:
    Path("more.yaml").write_text(PATCHED)
    told = machine.run("explain", *ON_FILES, "-f", "more.yaml", "--from", "web", "--to", "http://stock/x").stdout
    assert (
        """\
                PATCHED       CLUSTER of EnvoyFilter default/slow MERGE changes cluster \
outbound|80||stock.default.svc.cluster.local: what follows may differ
                              EnvoyFilter default/slow spec.configPatches[0] at more.yaml:12
"""
        in told
    )
    assert (
        """\
                rate limit    default/stock[0] by request.method=GET, counted by each proxy for itself: 10/minute, \
beyond it 429
                              RateLimit default/stock spec.limits[0] at more.yaml:5
"""
        in told
    )


def test_json_has_every_step(machine: Machine) -> None:
    ask = ("--from", "web", "--to", "http://stock/x", "-H", "End-User: jason", "--method", "POST")
    told = machine.run_json("explain", *ON_FILES, *ask, "-o", "json")
    assert (told["outcome"], told["status"]) == ("answered", 503)
    assert told["route"]["matched"] == "header end-user exact jason"
    assert any("no DestinationRule" in note for note in told["notes"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "web"], "error: say --from CALLER and --to URL, or --why STATUS"),
        (["--from", "web", "--to", "http://stock", "-H", "x"], "error: --header is 'x'; write NAME:VALUE"),
        (["--from", "web", "--to", "http://stock", "--jwt-claims", "[]"], "error: --jwt-claims must be a JSON object"),
        (["--from", "nobody", "--to", "http://stock"], "error: there is no workload 'nobody'"),
        (["--why", "never"], "error: --why is 'never'; write a status such as 503, or a flag of Envoy such as UF"),
    ],
)
def test_wrong_usage_says_what_would_be_right(machine: Machine, arguments: list[str], message: str) -> None:
    result = machine.run("explain", *ON_FILES, *arguments)
    assert (result.exit_code, result.stderr.startswith(message)) == (2, True), result.stderr


def test_a_service_and_a_workload_are_described(machine: Machine) -> None:
    service = machine.run("describe", "service", "stock", *ON_FILES).stdout
    assert "route 80          header end-user exact jason → the proxy answers itself" in service
    workload = machine.run("describe", "workload", "stock-v1", *ON_FILES).stdout
    assert "takes             STRICT by PeerAuthentication default/all spec.mtls.mode at mesh.yaml:24" in workload
    assert machine.run("describe", "service", "nothing", *ON_FILES).exit_code == 2


def test_analyze_tells_findings_with_their_codes(machine: Machine) -> None:
    result = machine.run("analyze", "mesh.yaml", "rules.yaml")
    assert (result.exit_code, result.stdout) == (
        1,
        "Error [IST0101] (VirtualService default/stock rules.yaml:9) spec.http[0].route[0].destination: no "
        "DestinationRule for stock.default.svc.cluster.local defines subset v2; the traffic is refused\n",
    )
    (found,) = json.loads(machine.run("analyze", "mesh.yaml", "rules.yaml", "-o", "json").stdout)
    assert found == {
        "code": "IST0101",
        "level": "Error",
        "message": "spec.http[0].route[0].destination: no DestinationRule for stock.default.svc.cluster.local defines "
        "subset v2; the traffic is refused",
        "resource": {"kind": "VirtualService", "namespace": "default", "name": "stock"},
        "source": "rules.yaml:9",
    }


def test_analyze_ends_by_its_threshold_and_without_what_is_suppressed(machine: Machine) -> None:
    Path("info.yaml").write_text(
        "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{name: x, port: 80}]}}"
    )
    codes = [
        machine.run("analyze", *arguments).exit_code
        for arguments in (
            ("mesh.yaml",),
            ("info.yaml",),
            ("info.yaml", "--failure-threshold", "Info"),
            ("info.yaml", "--failure-threshold", "info", "-S", "IST0118"),
            ("mesh.yaml", "rules.yaml", "-S", "IST0101=VirtualService stock.default"),
        )
    ]
    assert codes == [0, 0, 1, 0, 0]
    assert machine.run("analyze", "mesh.yaml").stdout == "nothing is wrong or doubtful\n"


def test_analyze_goes_by_another_mesh_config(machine: Machine) -> None:
    Path("policy.yaml").write_text(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: ask}\n"
        "spec: {action: CUSTOM, provider: {name: them}, rules: [{}]}\n"
    )
    for name, text in (
        ("fields.yaml", "extensionProviders: [{name: them, envoyExtAuthzHttp: {service: stock, port: 80}}]"),
        ("bad.yaml", "enableAutoMtls: sometimes"),
    ):
        Path(name).write_text(text)
    found = machine.run("analyze", "mesh.yaml", "policy.yaml", "-o", "json")
    assert "LAT0006" in {one["code"] for one in json.loads(found.stdout)}
    assert machine.run("analyze", "mesh.yaml", "policy.yaml", "--mesh-config", "fields.yaml").exit_code == 0
    wrong = machine.run("analyze", "mesh.yaml", "--mesh-config", "bad.yaml")
    assert (wrong.exit_code, "bad.yaml is no MeshConfig" in wrong.stderr) == (2, True)


def test_codes_can_be_listed(machine: Machine) -> None:
    assert {row["code"] for row in machine.run_json("analyze", "-L", "-o", "json")} >= {"IST0101", "LAT0001"}
    assert machine.run("analyze", "--list-codes").stdout.splitlines()[0].split() == [
        "CODE",
        "LEVEL",
        "AN",
        "OBJECT",
        "…",
    ]
