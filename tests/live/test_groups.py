"""WorkloadGroups: pods that register themselves, as virtual machines do in Istio, seen as traffic."""

import os
import signal
from typing import Any

from tests.live.mesh import EXAMPLES, Caller, Mesh, settle, until
from tests.live.yaml_texts import container, pod, service, together

ASKED = "http://vm.shop.example:8000/"
# Answers with its name; on /health with 503 while the file sick-NAME is in its folder.
SERVER = """
import http.server, os, pathlib, sys
name = os.environ["HOSTNAME"]
class Named(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        sick = self.path == "/health" and pathlib.Path(sys.argv[2], "sick-" + name).exists()
        self.send_response(503 if sick else 200)
        self.send_header("content-length", str(len(name)))
        self.send_header("x-version", name)
        self.end_headers()
        self.wfile.write(name.encode())
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Named).serve_forever()
"""
GROUP = """
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: vms}
spec:
  metadata: {labels: {tier: vm}, annotations: {team: shop}}
  template: {ports: {http: 9000}, locality: eu/a, serviceAccount: default}
  probe: {periodSeconds: 1, failureThreshold: 1, httpGet: {path: /health, port: 9000, host: 127.0.0.1}}
"""
ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: vm}
spec:
  hosts: [vm.shop.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 8000, name: http, protocol: HTTP}]
  workloadSelector: {labels: {tier: vm}}
"""
PROXY_CONFIG = """
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: boxes}
spec:
  selector: {matchLabels: {app: box}}
  environmentVariables: {ISTIO_META_AUTO_REGISTER_GROUP: boxes}
"""
DENIED = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody-calls-boxes}
spec: {selector: {matchLabels: {tier: box}}}
"""
OWN = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: mine}
spec: {address: ADDRESS, labels: {tier: box}, ports: {http: 9000}}
"""
ANNOTATION = "{proxy.istio.io/config: '{proxyMetadata: {ISTIO_META_AUTO_REGISTER_GROUP: vms}}'}"


def member(mesh: Mesh, name: str) -> str:
    """A pod that plays a virtual machine of the group."""
    return pod(name, container([mesh.python, "-c", SERVER, "9000", str(mesh.base)]), annotations=ANNOTATION)


def entries(mesh: Mesh) -> dict[str, dict[str, Any]]:
    """The registered entries by the address that they stand for."""
    found = mesh.api.get("v1", "objects", kind="workloadentries")["objects"]
    return {item["body"]["spec"]["address"]: item for item in found}


def states(mesh: Mesh) -> list[str]:
    return sorted(item["state"] for item in entries(mesh).values())


def answering(caller: Caller) -> set[str]:
    """Who answers, of many calls, each on a connection of its own."""
    return {answer.body if answer.status == 200 else str(answer.status) for answer in caller.requests(ASKED, 12)}


def test_members_register_and_are_endpoints_while_they_are_healthy(mesh: Mesh) -> None:
    mesh.up(EXAMPLES / "sleep")
    mesh.apply(together(member(mesh, "one"), member(mesh, "two"), ENTRY))
    with mesh.call_from("deploy/sleep") as caller:
        # nobody is an endpoint before there is a group
        assert answering(caller) == {"503"}
        assert "there is no WorkloadGroup default/vms to register in" in mesh.run("analyze").out
        mesh.apply(GROUP)
        until(lambda: answering(caller) == {"one", "two"}, 20, "both members to answer")
        found = entries(mesh)
        assert sorted(item["name"] for item in found.values()) == sorted(f"vms-{address}" for address in found)
        assert states(mesh) == ["registered", "registered"]
        with caller.load(ASKED, by_version=True) as balanced:
            balanced.more(100)
        assert min(balanced.result.counts.get(name, 0) for name in ("one", "two")) > 10, balanced.result
        with caller.load(ASKED) as load:
            sick = mesh.base / "sick-one"
            sick.touch()
            until(lambda: states(mesh) == ["registered", "unhealthy"], 20, "one to be unhealthy")
            until(lambda: answering(caller) == {"two"}, 20, "one to be out of rotation")
            (ill,) = mesh.instances("one")
            assert ill["reason"] == "not healthy: GET /health at port 9000 is not answered with 200 to 399"
            load.more()
            sick.unlink()
            until(lambda: answering(caller) == {"one", "two"}, 20, "one to be back")
            before = mesh.control_plane()
            os.kill(before, signal.SIGKILL)
            until(lambda: mesh.control_plane() not in (0, before), 30, "another control plane")
            load.more()
            until(lambda: states(mesh) == ["registered", "registered"], 20, "both to be registered again")
            assert answering(caller) == {"one", "two"}
            mesh.delete(member(mesh, "one"))
            until(lambda: answering(caller) == {"two"}, 20, "one to be gone")
            until(lambda: states(mesh) == ["registered"], 30, "the entry of one to be gone")
        assert load.result.failures == []


def test_a_member_by_a_proxy_config_serves_a_service_under_the_policies_of_its_group(httpbin: Mesh) -> None:
    named = together(
        PROXY_CONFIG,
        GROUP.replace("name: vms", "name: boxes").replace("tier: vm", "tier: box"),
        service("boxes", "{name: http, port: 80}", more="type: ClusterIP").replace("app: boxes", "tier: box"),
        pod("box", container([httpbin.python, "-c", SERVER, "9000", str(httpbin.base)])),
    )
    with httpbin.having(named), httpbin.call_from("deploy/sleep") as caller:
        until(lambda: caller.get("http://boxes/").body == "box", 20, "the member to answer for the Service")
        assert "registered as boxes-" in httpbin.do("describe", "workload", "box")
        with httpbin.having(DENIED):
            settle(caller, "http://boxes/", 403)
        settle(caller, "http://boxes/")
        (before,) = entries(httpbin).values()
        killed = httpbin.instances("box")[0]
        os.kill(next(each["pid"] for each in killed["containers"] if each["kind"] == "proxy"), signal.SIGKILL)
        until(lambda: httpbin.instances("box")[0]["restarts"] > killed["restarts"], 20, "its proxy to be restarted")
        httpbin.ready("box")
        settle(caller, "http://boxes/")
        (after,) = entries(httpbin).values()
        assert created(after) == created(before)
        # what a user writes about its address is respected
        address = after["body"]["spec"]["address"]
        with httpbin.having(OWN.replace("ADDRESS", address)):
            until(lambda: [item["name"] for item in entries(httpbin).values()] == ["mine"], 20, "only the user's own")
            settle(caller, "http://boxes/")
        until(lambda: [item["name"] for item in entries(httpbin).values()] == [f"boxes-{address}"], 20, "the entry")
    until(lambda: not entries(httpbin), 30, "no entry to be left")


def created(entry: dict[str, Any]) -> str:
    when: str = entry["body"]["metadata"]["creationTimestamp"]
    return when
