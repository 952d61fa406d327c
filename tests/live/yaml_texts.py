"""The YAML that tests write again and again."""

import json
from textwrap import dedent, indent

from tests.platforms.local.live_mesh import ROOT

EXAMPLES = ROOT / "examples"

VERSIONS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: httpbin}
spec:
  host: httpbin
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
"""

TO_V1 = "route: [{destination: {host: httpbin, subset: v1}}]"
TO_V2 = "route: [{destination: {host: httpbin, subset: v2}}]"


def rule(*routes: str, host: str = "httpbin", name: str = "", gateways: str = "") -> str:
    """A VirtualService of a host with these HTTP routes, in order."""
    listed = "\n".join(f"  -{indent(dedent(route).strip(), '    ')[3:]}" for route in routes)
    bound = f"\n  gateways: [{gateways}]" if gateways else ""
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name or host}}}
spec:
  hosts: [{host}]{bound}
  http:
{listed}
"""


def destination_rule(policy: str, host: str = "httpbin") -> str:
    """A DestinationRule of a host with this traffic policy, and with the subsets by version."""
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {host}}}
spec:
  host: {host}
  trafficPolicy: {policy}
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: v2, labels: {{version: v2}}}}
"""


def gateway(*hosts: str) -> str:
    """A Gateway for some hosts."""
    return f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: door}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
  - port: {{number: 8080, name: http, protocol: HTTP}}
    hosts: [{", ".join(f'"{host}"' for host in hosts)}]
"""


def sidecar(spec: str, app: str = "sleep") -> str:
    """A Sidecar for the workloads of one app."""
    return f"""
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: {app}}}
spec:
  workloadSelector: {{labels: {{app: {app}}}}}
{indent(dedent(spec).strip(), "  ")}
"""


def service(name: str, port: str, *, more: str = "", app: str = "") -> str:
    """A Service with one port."""
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  selector: {{app: {app or name}}}
  ports: [{port}]
  {more}
"""


def container(command: list[str], name: str = "app", more: str = "") -> str:
    """One item of a pod's containers."""
    return f"- name: {name}\n  command: {json.dumps(command)}\n{indent(dedent(more).strip(), '  ')}"


def pod(name: str, *containers: str, app: str = "", spec: str = "", annotations: str = "{}") -> str:
    """A Pod that is killed at once when it ends."""
    return f"""
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  labels: {{app: {app or name}}}
  annotations: {annotations}
spec:
{_pod_spec(containers, spec)}
"""


def deployment(name: str, *containers: str, replicas: int = 1, app: str = "", spec: str = "") -> str:
    """A Deployment of pods that are killed at once when they end."""
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {app or name}}}}}
  template:
    metadata: {{labels: {{app: {app or name}}}}}
    spec:
{indent(_pod_spec(containers, spec), "    ")}
"""


def replicated(replicas: int, version: str = "1") -> str:
    """A service with some instances that drain before they end."""
    more = f"""
    env: [{{name: PYTHONPATH, value: {EXAMPLES}/bookinfo/services}}, {{name: SERVICE_VERSION, value: "{version}"}}]
    readinessProbe: {{httpGet: {{path: /health, port: 8080}}, periodSeconds: 1}}
    """
    one = container(["python3", f"{EXAMPLES}/httpbin/httpbin.py"], more=more)
    text = deployment("many", one, replicas=replicas).replace("GracePeriodSeconds: 1", "GracePeriodSeconds: 10")
    return together(service("many", "{name: http, port: 80, targetPort: 8080}"), text)


def together(*texts: str) -> str:
    """Several objects in one text."""
    return "\n---\n".join(texts)


def _pod_spec(containers: tuple[str, ...], spec: str) -> str:
    listed = indent("\n".join(containers), "  ")
    return f"  terminationGracePeriodSeconds: 1\n{indent(dedent(spec).strip(), '  ')}\n  containers:\n{listed}"
