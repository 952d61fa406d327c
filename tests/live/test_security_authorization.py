"""Who may call whom in Bookinfo, as policies say; and the same told by `lateen authz check`, for every call."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.mesh import CALLER, Caller, Mesh, settle, until
from tests.live.yaml_texts import together

DENIED = "RBAC: access denied"
DETAILS = "http://details:9080/details/0"
CHAIN = {
    "productpage": ("istio-system", "istio-ingressgateway"),
    "details": ("default", "bookinfo-productpage"),
    "reviews": ("default", "bookinfo-productpage"),
    "ratings": ("default", "bookinfo-reviews"),
}


def policy(name: str, spec: dict[str, Any], *, app: str = "details", annotations: dict[str, str] | None = None) -> str:
    """An AuthorizationPolicy, for one app where one is given."""
    selector = {"selector": {"matchLabels": {"app": app}}} if app else {}
    metadata = {"name": name, "namespace": "default", "annotations": annotations or {}}
    return json.dumps(
        {
            "apiVersion": "security.istio.io/v1",
            "kind": "AuthorizationPolicy",
            "metadata": metadata,
            "spec": {**selector, **spec},
        }
    )


def denying(name: str, operation: dict[str, Any], **more: Any) -> str:
    """A policy that denies these operations at details."""
    return policy(name, {"action": "DENY", "rules": [{"to": [{"operation": operation}]}]}, **more)


@pytest.fixture(scope="module")
def sleep(bookinfo: Mesh) -> Iterator[Caller]:
    with bookinfo.call_from("deploy/sleep") as caller:
        yield caller


@contextlib.contextmanager
def host(mesh: Mesh) -> Iterator[Caller]:
    """Calls from the host."""
    with Caller([mesh.python, str(CALLER)], mesh.environment) as caller:
        yield caller


def told(mesh: Mesh, callee: str = "details", caller: str = "sleep", **how: Any) -> tuple[bool, str]:
    """What `lateen authz check` says: whether the call is allowed, and the policy that decides."""
    body = {"caller": caller, "callee": callee, "namespace": "default", **how}
    answer = mesh.api.post("v1", "authz", "check", body=body)
    return answer["allowed"], (answer["rule"] or {"object": ""})["object"]


def test_a_list_of_who_may_call_whom(bookinfo: Mesh, sleep: Caller) -> None:
    allowed = [
        policy(
            app,
            {"rules": [{"from": [{"source": {"principals": [f"cluster.local/ns/{namespace}/sa/{account}"]}}]}]},
            app=app,
        )
        for app, (namespace, account) in CHAIN.items()
    ]
    with bookinfo.having(together(policy("nobody", {}, app=""), *allowed)), host(bookinfo) as outside:
        page = outside.get(f"{bookinfo.url()}/productpage")
        assert (page.status, "Error fetching" in page.body) == (200, False)
        for app in CHAIN:
            url = f"http://{app}:9080/{'ratings/0' if app == 'ratings' else ''}"
            answer = sleep.get(url)
            assert (answer.status, answer.body) == (403, DENIED)
            assert not told(bookinfo, app)[0]
        assert told(bookinfo, "details", "default/bookinfo-productpage") == (
            True,
            "AuthorizationPolicy default/details",
        )
        assert not told(bookinfo, "ratings", "default/bookinfo-productpage")[0]
        assert bookinfo.run("authz check", "sleep", "ratings").code == 1
    assert sleep.get(DETAILS).status == 200


def test_a_denial_beats_a_permission(bookinfo: Mesh, sleep: Caller) -> None:
    everybody = policy("everybody", {"rules": [{}]})
    with bookinfo.having(together(everybody, denying("no-gets", {"methods": ["GET"]}))):
        assert sleep.get(DETAILS).status == 403
        assert told(bookinfo) == (False, "AuthorizationPolicy default/no-gets")
        # A proxy writes its log a moment later: until then, the last denial is one of an earlier test.
        until(lambda: "AuthorizationPolicy default/no-gets" in bookinfo.do("authz why", "deploy/details-v1"))
    assert sleep.get(DETAILS).status == 200


def test_a_dry_run_only_tells(bookinfo: Mesh, sleep: Caller) -> None:
    annotations = {"istio.io/dry-run": "true"}
    with bookinfo.having(denying("tried", {"methods": ["GET"]}, annotations=annotations)):
        (row,) = bookinfo.instances("details-v1")
        admin = bookinfo.directory / "w" / f"{row['name']}.default" / "admin.sock"

        def would_be_denied() -> bool:
            assert sleep.get(DETAILS).status == 200
            command = ["curl", "-s", "--unix-socket", str(admin), "http://envoy/stats"]
            stats = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
            return any("istio_dry_run_deny_.shadow_denied" in line and not line.endswith(": 0") for line in stats)

        until(would_be_denied)
        body = {"caller": "sleep", "callee": "details", "namespace": "default"}
        answer = bookinfo.api.post("v1", "authz", "check", body=body)
        assert (answer["allowed"], answer["tried"]) == (True, "deny")


MERGED = """
apiVersion: mesh.istio.io/v1alpha1
kind: MeshConfig
metadata: {name: mesh, namespace: istio-system}
spec: {pathNormalization: {normalization: MERGE_SLASHES}}
"""
PATHS = (
    "/details/0",
    "//details/0",
    "/details//0",
    "/details/./0",
    "/x/../details/0",
    "/details/%30",
    "/details%2f0",
    "/details/0/",
    "/details/0?a=b",
    "/DETAILS/0",
    "/details\\0",
    "/./details/x/..//0",
    "/%2e/details/0",
    "/x/%2e%2e/details/0",
    "/details/0;x",
    "/details/0%00",
    "/..%2fdetails/0",
)


def asked_and_told(mesh: Mesh, sleep: Caller) -> tuple[dict[str, int], list[str]]:
    """What each path gets while `/details/*` is denied, and those of which `authz check` says something else."""
    with mesh.having(denying("no-details", {"paths": ["/details/*"]})):
        settle(sleep, DETAILS, 403)
        statuses = {path: sleep.get(f"http://details:9080{path}").status for path in PATHS}
        allowed = {path: told(mesh, path=path)[0] for path in PATHS}
    settle(sleep, DETAILS)
    decided = [path for path in PATHS if statuses[path] != 400]
    return statuses, [path for path in decided if allowed[path] != (statuses[path] != 403)]


def test_tricks_with_paths(bookinfo: Mesh, sleep: Caller) -> None:
    served = {path for path in PATHS if sleep.get(f"http://details:9080{path}").status == 200}
    statuses, wrong = asked_and_told(bookinfo, sleep)
    assert wrong == []
    # Slashes are not merged by default, as in Istio; the service is the one that reads them so.
    assert {path for path in served if statuses[path] == 200} == {"//details/0"}
    with bookinfo.having(MERGED):
        statuses, wrong = asked_and_told(bookinfo, sleep)
    assert wrong == []
    assert [path for path in served if statuses[path] == 200] == []


HOSTS = (
    "details",
    "details:9080",
    "DETAILS:9080",
    "Details",
    "details.default",
    "details.default.svc.cluster.local:9080",
)


def test_tricks_with_hosts(bookinfo: Mesh, sleep: Caller) -> None:
    hosts = ["details", "details:*", "details.default", "details.default.svc.cluster.local:9080"]
    with bookinfo.having(denying("no-host", {"hosts": hosts})):
        assert sleep.get(DETAILS).status == 403
        statuses = {each: sleep.get(DETAILS, headers={"host": each}).status for each in HOSTS}
        said = {each: told(bookinfo, path="/details/0", host=each)[0] for each in HOSTS}
    assert sleep.get(DETAILS).status == 200
    assert statuses == dict.fromkeys(HOSTS, 403)
    assert said == dict.fromkeys(HOSTS, False)
