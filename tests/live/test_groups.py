"""WorkloadGroups: pods that register themselves, as virtual machines do in Istio, seen as traffic."""

import os
import signal
from typing import Any

from tests.live.mesh import EXAMPLES, Caller, Mesh, until
from tests.live.yaml_texts import container, pod, together

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
        with caller.load(ASKED, by_version=True) as load:
            sick = mesh.base / "sick-one"
            sick.touch()
            until(lambda: states(mesh) == ["registered", "unhealthy"], 20, "one to be unhealthy")
            until(lambda: answering(caller) == {"two"}, 20, "one to be out of rotation")
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
