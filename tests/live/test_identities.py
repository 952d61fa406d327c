"""Identities in a mesh that runs: certificates come, are renewed and exchanged, and traffic sees nothing of it."""

import base64
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lateen import names
from lateen.names import Identity, PeerName
from tests.live import secrets
from tests.live.mesh import EXAMPLES, Mesh, a_mesh, until
from tests.platforms.local.live_mesh import ROOT, users

LIFETIME_SECONDS = 6
SETTINGS = f"""
apiVersion: mesh.istio.io/v1alpha1
kind: MeshConfig
metadata: {{name: mesh, namespace: istio-system}}
spec: {{defaultConfig: {{proxyMetadata: {{SECRET_TTL: {LIFETIME_SECONDS}s}}}}}}
"""
URL = "http://httpbin:8000/get"


@pytest.fixture(scope="module", params=users())
def short_lived(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    """Httpbin and sleep with certificates that live for seconds."""
    with a_mesh(request.param) as made:
        settings = made.base / "mesh.yaml"
        settings.write_text(SETTINGS)
        made.up(settings, EXAMPLES / "httpbin", EXAMPLES / "sleep")
        yield made


def place(mesh: Mesh, name: str) -> Path:
    """The directory of a workload's proxy."""
    (row,) = [row for row in mesh.workloads() if row["owner"] == f"Deployment/{name}"][:1]
    return mesh.directory / "w" / f"{row['name']}.{row['namespace']}"


def shown(mesh: Mesh, name: str) -> list[dict[str, Any]]:
    """What `lateen proxy-config secrets` lists."""
    lines = mesh.do("proxy-config", "secrets", f"deploy/{name}").splitlines()
    assert " ".join(lines[0].split()) == "RESOURCE NAME TYPE STATUS VALID CERT SERIAL NUMBER NOT AFTER NOT BEFORE"
    return [{"name": line.split()[0], "words": line.split()} for line in lines[1:]]


def serial(mesh: Mesh, name: str = "sleep") -> str:
    """The serial number of the certificate that a workload's proxy shows now."""
    (row,) = [row for row in shown(mesh, name) if row["name"] == "default"]
    return str(row["words"][-3])


def rotate(mesh: Mesh) -> None:
    """Exchange the root."""
    argv = [*mesh.prefix, mesh.python, "-m", "lateen", "ca", "rotate", "--name", mesh.name]
    ended = subprocess.run(
        argv, env=mesh.environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_proxy_has_its_workloads_certificate_and_the_roots(short_lived: Mesh) -> None:
    directory = place(short_lived, "sleep")
    given = secrets.secret(directory / "sds.sock", "default").tls_certificate
    leaf = x509.load_pem_x509_certificate(given.certificate_chain.inline_bytes)
    san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (row,) = short_lived.instances("sleep")
    assert san.get_values_for_type(x509.UniformResourceIdentifier) == [
        str(Identity("cluster.local", "default", "sleep"))
    ]
    assert san.get_values_for_type(x509.DNSName) == [
        str(PeerName("sleep", "sleep", service="sleep", instance=row["name"])),
        names.instance_name(row["name"], "default"),
    ]
    rows = shown(short_lived, "sleep")
    assert [row["name"] for row in rows] == ["default", "OWNROOTCA", "ROOTCA"]
    assert all(row["words"][-4] == "true" for row in rows)


def test_renewal_is_not_seen_in_traffic(short_lived: Mesh) -> None:
    first = serial(short_lived)
    with short_lived.call_from("deploy/sleep") as caller, caller.load(URL) as load:
        until(lambda: serial(short_lived) != first, 2 * LIFETIME_SECONDS, "a new certificate")
        time.sleep(LIFETIME_SECONDS)
        load.more()
    assert (load.result.failures, set(load.result.counts)) == ([], {"200"})


def test_a_killed_control_plane_is_not_seen_in_traffic(short_lived: Mesh) -> None:
    pid, before = short_lived.control_plane(), serial(short_lived)
    with short_lived.call_from("deploy/sleep") as caller, caller.load(URL) as load:
        os.kill(pid, signal.SIGKILL)
        until(lambda: short_lived.control_plane() not in (0, pid), 15, "a new control plane")
        until(lambda: serial(short_lived) != before, LIFETIME_SECONDS, "a new certificate")
        time.sleep(LIFETIME_SECONDS)
        load.more()
    assert (load.result.failures, set(load.result.counts)) == ([], {"200"})


def test_a_rotation_of_the_root_is_not_seen_in_traffic(short_lived: Mesh) -> None:
    (before,) = [row["words"][-3] for row in shown(short_lived, "sleep") if row["name"] == "ROOTCA"]
    with short_lived.call_from("deploy/sleep") as caller, caller.load(URL) as load:
        rotate(short_lived)
        load.more()
    assert (load.result.failures, set(load.result.counts)) == ([], {"200"})
    (after,) = [row["words"][-3] for row in shown(short_lived, "sleep") if row["name"] == "ROOTCA"]
    assert before != after


def test_a_stolen_node_id_and_plaintext_get_nothing(short_lived: Mesh) -> None:
    own, other = (place(short_lived, name).name for name in ("sleep", "httpbin"))
    socket = short_lived.directory / "xds.sock"
    sds = short_lived.directory / "w" / own / "sds.sock"
    pair = secrets.secret(sds, "default").tls_certificate
    roots = secrets.secret(sds, "ROOTCA").validation_context.trusted_ca.inline_bytes
    mine = grpc.ssl_channel_credentials(roots, pair.private_key.inline_bytes, pair.certificate_chain.inline_bytes)
    nobody = grpc.ssl_channel_credentials(roots)

    def ask(workload: str, credentials: grpc.ChannelCredentials | None) -> str:
        node = f"sidecar~10.244.9.9~{workload}~default.svc.cluster.local"
        return secrets.configuration(socket, node, credentials, names.CONTROL_PLANE_HOST)

    assert ask(other, mine).startswith(f"PERMISSION_DENIED: {own} says that it is {other}")
    assert ask(own, nobody).startswith("UNAVAILABLE")
    assert ask(own, None).startswith("UNAVAILABLE")
    short_lived.settled()


def test_keys_are_in_memory_only(short_lived: Mesh) -> None:
    directory = place(short_lived, "sleep")
    pem = secrets.secret(directory / "sds.sock", "default").tls_certificate.private_key.inline_bytes
    key = serialization.load_pem_private_key(pem, None)
    numbers = key.private_numbers().private_value.to_bytes(32, "big")  # type: ignore[union-attr]
    # the first line is the same for all keys of the kind
    traces = (pem.splitlines()[2], numbers, base64.b64encode(pem)[120:180])
    dump = json.dumps(short_lived.api.get("v1", "envoy", "config_dump", reference="deploy/sleep", namespace="default"))
    assert base64.b64encode(b"[redacted]").decode() in dump
    places = [file for file in short_lived.directory.rglob("*") if file.is_file()]
    contents = {str(file): file.read_bytes() for file in places} | {"the dump": dump.encode()}
    assert [name for name, content in contents.items() if any(trace in content for trace in traces)] == []
    holders = [name for name, content in contents.items() if b"PRIVATE KEY" in content]
    assert {Path(name).parent.name for name in holders} <= {"ca", "admin"}
