"""`lateen authz` as a user runs it: on files, and on a mesh."""

from pathlib import Path

import pytest

from .conftest import Machine

MESH = """
apiVersion: v1
kind: Service
metadata: {name: stock}
spec: {selector: {app: stock}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: stock-v1}
spec:
  selector: {matchLabels: {app: stock}}
  template: {metadata: {labels: {app: stock}}, spec: {containers: [{name: a, command: [a]}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {serviceAccountName: desk, containers: [{name: a, command: [a]}]}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: all}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: desk-reads}
spec:
  rules:
  - from: [{source: {principals: [cluster.local/ns/default/sa/desk]}}]
    to: [{operation: {methods: [GET], ports: ["8080"]}}]
    when: [{key: "request.headers[x-shift]", notValues: [night]}]
"""
ALLOWED = """\
allow: AuthorizationPolicy default/desk-reads spec.rules[0] at mesh.yaml:31
  caller  web.default, as spiffe://cluster.local/ns/default/sa/desk
  callee  stock-v1.default port 8080 (HTTP)
  mTLS    STRICT by PeerAuthentication default/all spec.mtls.mode at mesh.yaml:24; used between these two
  ALLOW   AuthorizationPolicy default/desk-reads spec.rules[0] at mesh.yaml:31: matches
"""


@pytest.fixture(autouse=True)
def mesh_file(machine: Machine) -> None:
    Path("mesh.yaml").write_text(MESH)


def test_files_say_who_may_call_and_why(machine: Machine) -> None:
    result = machine.run("authz", "check", "web", "stock", "-f", "mesh.yaml")
    assert (result.exit_code, result.stdout) == (0, ALLOWED)


@pytest.mark.parametrize(
    ("arguments", "outcome"),
    [
        (("default/desk", "stock"), "allow"),
        (("default/desk", "stock", "--port", "80"), "allow"),
        (("deploy/web", "stock-v1.default", "--port", "8080"), "allow"),
        (("default/other", "stock"), "deny"),
        (("web", "stock", "--method", "POST"), "deny"),
        (("web", "stock", "--header", "X-Shift: night"), "deny"),
        (("outside", "stock"), "refused"),
    ],
)
def test_the_exit_code_is_the_answer(machine: Machine, arguments: tuple[str, ...], outcome: str) -> None:
    result = machine.run("authz", "check", *arguments, "-f", "mesh.yaml")
    assert (result.stdout.partition(":")[0], result.exit_code) == (outcome, 0 if outcome == "allow" else 1)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("nobody", "stock"), "there is no workload 'nobody' to call"),
        (("web", "nobody"), "there is no workload or Service 'nobody' to be called"),
        (("web", "stock", "--header", "x"), "--header is 'x'; write NAME:VALUE"),
        (("web", "stock", "--jwt-claims", "[]"), "--jwt-claims must be a JSON object"),
    ],
)
def test_what_cannot_be_answered_is_said(machine: Machine, arguments: tuple[str, ...], complaint: str) -> None:
    result = machine.run("authz", "check", *arguments, "-f", "mesh.yaml")
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_a_rule_in_a_log_is_traced_to_its_line(machine: Machine) -> None:
    details = "rbac_access_denied_matched_policy[ns[default]-policy[desk-reads]-rule[0]]"
    result = machine.run("authz", "explain", details, "-f", "mesh.yaml")
    assert result.stdout == "the rule is AuthorizationPolicy default/desk-reads spec.rules[0] at mesh.yaml:31\n"
