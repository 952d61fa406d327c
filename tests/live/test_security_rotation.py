"""Everything that is exchanged and everything that dies while a STRICT mesh with a gateway serves: no request fails."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.live.mesh import CALLER, EXAMPLES, Caller, Load, Mesh, a_mesh, until
from tests.live.yaml_texts import destination_rule, together
from tests.platforms.local.live_mesh import users

# A control plane that is killed is back within half of that, also where the machine has other things to do.
LIFETIME_SECONDS = 12
# Few requests on a connection, so that there are handshakes all the time.
OFTEN_NEW = "{connectionPool: {http: {maxRequestsPerConnection: 5}}}"
INSIDE = "http://httpbin:8000/status/200"
OBJECTS = f"""
apiVersion: mesh.istio.io/v1alpha1
kind: MeshConfig
metadata: {{name: mesh, namespace: istio-system}}
spec: {{defaultConfig: {{proxyMetadata: {{SECRET_TTL: {LIFETIME_SECONDS}s}}}}}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: istio-system}}
spec: {{mtls: {{mode: STRICT}}}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: gateway}}
spec:
  selector: {{istio: ingressgateway}}
  servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: ["*"]}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: gateway}}
spec:
  hosts: ["*"]
  gateways: [gateway]
  http: [{{route: [{{destination: {{host: httpbin, port: {{number: 8000}}}}}}]}}]
"""


@pytest.fixture(scope="module")
def strict() -> Iterator[Mesh]:
    """Httpbin, sleep and a gateway, all STRICT, with certificates that live for seconds."""
    with a_mesh(users()[0]) as made:
        file = made.base / "mesh.yaml"
        file.write_text(together(OBJECTS, destination_rule(OFTEN_NEW)))
        gateway = EXAMPLES / "bookinfo" / "ingressgateway.yaml"
        made.up(file, EXAMPLES / "httpbin", EXAMPLES / "sleep", gateway)
        yield made


@contextmanager
def under_load(mesh: Mesh) -> Iterator[tuple[Load, Load]]:
    """Requests through the gateway and between sidecars while the block runs; none fails."""
    with ExitStack() as ending:
        inside = ending.enter_context(mesh.call_from("deploy/sleep"))
        outside = ending.enter_context(Caller([mesh.python, str(CALLER)], mesh.environment))
        with (
            inside.load(INSIDE, connections=2) as first,
            outside.load(f"{mesh.url()}/status/200", connections=2) as second,
        ):
            yield first, second
            for load in (first, second):
                load.more()
    for load in (first, second):
        assert (load.result.failures, set(load.result.counts)) == ([], {"200"})


def authority(mesh: Mesh) -> dict[str, Any]:
    """What `lateen ca show` tells."""
    told: dict[str, Any] = json.loads(mesh.do("ca show", "-o", "json"))
    return told


def roots_of_proxies(mesh: Mesh) -> dict[str, set[str]]:
    """The serial numbers of the roots that each proxy trusts."""
    found = {}
    for row in mesh.workloads():
        lines = mesh.do("proxy-config secrets", row["name"], "-n", row["namespace"]).splitlines()[1:]
        found[row["name"]] = {line.split()[-3] for line in lines if line.startswith("ROOTCA")}
    return found


def test_a_root_is_exchanged_to_the_end(strict: Mesh) -> None:
    before, proxies_before = authority(strict), roots_of_proxies(strict)
    with under_load(strict):
        strict.do("ca rotate", seconds=90)
        time.sleep(LIFETIME_SECONDS / 2)
    after, proxies_after = authority(strict), roots_of_proxies(strict)
    (old,), (new,) = before["roots"], after["roots"]
    assert old["fingerprint"] != new["fingerprint"]
    assert (after["stage"], after["lacks"], after["signer"]["fingerprint"]) == ("steady", [], new["fingerprint"])
    assert len(proxies_after) == 4
    trusted_before, trusted_after = (
        {root for roots in proxies.values() for root in roots} for proxies in (proxies_before, proxies_after)
    )
    assert (len(trusted_before), len(trusted_after)) == (1, 1)
    assert trusted_before != trusted_after


def test_an_aborted_exchange_leaves_the_old_root_alone(strict: Mesh) -> None:
    before = authority(strict)
    with under_load(strict):
        strict.api.post("v1", "ca", "rotate", body={"directory": None, "key": None})
        until(lambda: not authority(strict)["lacks"], 30)
        strict.api.post("v1", "ca", "advance", body={})
        until(lambda: not authority(strict)["lacks"], 30)
        strict.do("ca rotate", "--abort", seconds=90)
    assert authority(strict)["roots"] == before["roots"]


def test_a_control_plane_killed_amid_an_exchange(strict: Mesh) -> None:
    before, pid = authority(strict), strict.control_plane()
    with under_load(strict):
        strict.api.post("v1", "ca", "rotate", body={"directory": None, "key": None})
        os.kill(pid, signal.SIGKILL)
        until(lambda: strict.control_plane() not in (0, pid), 20, "a new control plane")
        assert authority(strict)["stage"] == "both-trusted"
        strict.do("ca rotate", seconds=90)
        time.sleep(LIFETIME_SECONDS / 2)
    (new,) = authority(strict)["roots"]
    assert new["fingerprint"] != before["roots"][0]["fingerprint"]


@contextmanager
def unable_to_sign(mesh: Mesh) -> Iterator[None]:
    """The authority cannot write down what it signs while the block runs, as on a full disk, so that it signs nothing."""
    ledger = mesh.directory / "ca" / "issued.jsonl"
    aside = ledger.with_suffix(".aside")
    ledger.rename(aside)
    ledger.mkdir()
    try:
        yield
    finally:
        ledger.rmdir()
        aside.rename(ledger)


def test_an_authority_that_cannot_sign_fails_nothing_within_the_margin_and_says_so(strict: Mesh) -> None:
    assert authority(strict)["lifetime_seconds"] == LIFETIME_SECONDS
    with under_load(strict) as loads:
        with unable_to_sign(strict):
            told = until(lambda: failing if (failing := authority(strict)["renewal"])["failing"] else None)
            for load in loads:
                load.more()
        until(lambda: authority(strict)["renewal"]["failing"] == 0)
    assert "issued.jsonl: Is a directory" in told["problem"]
    assert told["since"] < told["first_expiry"] <= told["since"] + LIFETIME_SECONDS
    lines = (strict.directory / "control-plane.log").read_text().splitlines()
    said = [line.partition(": ")[2] for line in lines if "certificates " in line]
    assert any(line.startswith("certificates cannot be renewed; nothing fails before") for line in said)
    assert said[-1] == "certificates are renewed again"
