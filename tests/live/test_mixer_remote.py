"""What proxies cannot decide alone: the Mixer process is asked, and it asks policies and adapters elsewhere."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.adapters import doormen
from tests.live.mesh import CALLER, Caller, Mesh, settle, until
from tests.live.servers import ECHO
from tests.live.yaml_texts import container, pod, service, together
from tests.platforms.local.live_mesh import users

HTTPBIN = "http://httpbin:8000"
HEADER = {"apiVersion": "config.istio.io/v1alpha2"}
REVIEWS = "http://reviews:9080/reviews/0"
PATIENCE_SECONDS = 40.0
REGO = """
package mixerauthz
default allow = false
allow { input.subject.user == "cluster.local/ns/default/sa/bookinfo-productpage" }
"""


def made(kind: str, name: str, spec: dict[str, Any], **annotations: str) -> str:
    """An object of Mixer's, in the namespace default."""
    named = {key.replace("_", "-"): value for key, value in annotations.items()}
    metadata = {"name": name, "annotations": {f"lateen.dev/{key}": value for key, value in named.items()}}
    return json.dumps({**HEADER, "kind": kind, "metadata": metadata, "spec": spec})


def rule(name: str, match: str, *actions: tuple[str, str], **more: Any) -> str:
    listed = [{"handler": handler, "instances": [instance]} for handler, instance in actions]
    return made("rule", name, {"match": match, "actions": listed, **more})


def rego(policy: str = REGO, name: str = "policy") -> str:
    """A policy with the question that it answers."""
    who = {"subject": {"user": 'source.principal | ""'}, "action": {"path": 'request.path | ""'}}
    return together(
        made("opa", name, {"policy": [policy], "checkMethod": "data.mixerauthz.allow"}),
        made("authorization", "who", who),
    )


def doorman(address: str, pretence: str = "", **annotations: str) -> str:
    """The example adapter with a rule of its own, as an adapter at an address of this machine."""
    port = address.rpartition(":")[2]
    texts = []
    for document in doormen.documents():
        if document["kind"] == "handler":
            document["spec"]["connection"] = {"address": f"localhost:{port}", "timeout": "3s"}
            document["spec"]["params"]["pretence"] = pretence
            named = {f"lateen.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
            document["metadata"]["annotations"] = named
        if document["kind"] == "rule":
            document["spec"]["match"] = 'destination.labels["app"] == "httpbin"'
        texts.append(json.dumps(document))
    return together(*texts)


def metric(mesh: Mesh, name: str) -> float:
    """The sum of a metric of the Mixer process."""
    command = ["curl", "-s", "--unix-socket", str(mesh.directory / "mixer-admin.sock"), "http://mixer/metrics"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [line for line in said.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def settle_all(caller: Caller, url: str, status: int, **how: Any) -> None:
    """Waits as long as a new start of the Mixer process may take."""
    settle(caller, url, status, PATIENCE_SECONDS, **how)


@contextmanager
def on_duty(book: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The example adapter as a process of this machine, and its address."""
    argv = [sys.executable, str(doormen.ROOT / "doorman.py"), "--address", f"127.0.0.1:{port}", "--book", str(book)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            listening = process.stdout.readline()
            yield process, f"127.0.0.1:{listening.split()[-1]}"
        finally:
            process.kill()


@pytest.mark.parametrize("bookinfo", users()[:1], indirect=True)
def test_a_policy_in_rego_says_who_may_read_reviews(bookinfo: Mesh) -> None:
    asks = rule("ask", 'destination.labels["app"] == "reviews"', ("policy.opa", "who.authorization"))
    with bookinfo.call_from("deploy/sleep") as sleep:
        with bookinfo.having(together(rego(), asks)):
            settle_all(sleep, REVIEWS, 403)
            assert sleep.get(REVIEWS).body == "PERMISSION_DENIED:policy.opa.default:the policy does not allow it"
            assert "Reviewer1" in sleep.get("http://productpage:9080/productpage").body
            assert metric(bookinfo, "lateen_mixer_checks_total") > 0
        settle_all(sleep, REVIEWS, 200)


def test_requests_that_no_rule_matches_make_no_call(httpbin: Mesh, sleep: Caller) -> None:
    asks = rule("ask", 'request.headers["x-ask"] == "yes"', ("policy.opa", "who.authorization"))
    with httpbin.having(together(rego(), asks)):
        settle_all(sleep, f"{HTTPBIN}/get", 403, headers={"x-ask": "yes"})
        before = metric(httpbin, "lateen_mixer_checks_total")
        assert {answer.status for answer in sleep.requests(f"{HTTPBIN}/get", 20)} == {200}
        assert metric(httpbin, "lateen_mixer_checks_total") == before
        assert sleep.get(f"{HTTPBIN}/get", headers={"x-ask": "yes"}).status == 403
        assert metric(httpbin, "lateen_mixer_checks_total") == before + 1


def test_checks_go_on_without_the_control_plane_and_come_back_with_the_process(httpbin: Mesh, sleep: Caller) -> None:
    asks = rule("ask", 'request.headers["x-ask"] == "yes"', ("policy.opa", "who.authorization"))
    with httpbin.having(together(rego(), asks)):
        settle_all(sleep, f"{HTTPBIN}/get", 403, headers={"x-ask": "yes"})
        before = metric(httpbin, "lateen_mixer_checks_total")
        control_plane = httpbin.control_plane()
        os.kill(control_plane, signal.SIGKILL)
        assert {each.status for each in sleep.requests(f"{HTTPBIN}/get", 20, headers={"x-ask": "yes"})} == {403}
        assert metric(httpbin, "lateen_mixer_checks_total") == before + 20
        until(lambda: httpbin.control_plane() not in (0, control_plane), 20, "a new control plane")
        assert metric(httpbin, "lateen_mixer_checks_total") >= before + 20
        os.kill(mixer_pid(httpbin), signal.SIGKILL)
        settle_all(sleep, f"{HTTPBIN}/get", 403, headers={"x-ask": "yes"})
        httpbin.settled()


def mixer_pid(mesh: Mesh) -> int:
    found = subprocess.run(
        ["pgrep", "-f", f"lateen.mixer_app --directory {mesh.directory}$"], capture_output=True, text=True, check=True
    )
    return int(found.stdout.split()[0])


def test_headers_change_where_the_check_agrees(httpbin: Mesh, sleep: Caller) -> None:
    operations = {
        "requestHeaderOperations": [
            {"name": "x-checked", "values": ['request.headers["x-ask"] | ""']},
            {"name": "x-secret", "operation": "REMOVE"},
        ],
        "responseHeaderOperations": [{"name": "x-mixer", "values": ['"was here"']}],
    }
    policy = rego('package mixerauthz\nallow { input.action.path == "/headers" }')
    asks = rule("ask", 'request.headers["x-ask"] != ""', ("policy.opa", "who.authorization"), **operations)
    how = {"headers": {"x-ask": "yes", "x-secret": "1"}}
    with httpbin.having(together(policy, asks)):
        settle_all(sleep, f"{HTTPBIN}/get", 403, **how)
        answer = sleep.get(f"{HTTPBIN}/headers", **how)
        seen = {name.lower(): value for name, value in answer.json["headers"].items()}
        assert (seen["x-checked"], "x-secret" in seen, answer.headers["x-mixer"]) == ("yes", False, "was here")


def test_an_adapter_of_its_own_process_decides_and_is_missed(httpbin: Mesh, sleep: Caller, tmp_path: Path) -> None:
    url = f"{HTTPBIN}/get"
    jason, anna = ({"headers": {"end-user": name}} for name in ("jason", "anna"))
    with on_duty(tmp_path / "book") as (process, address), httpbin.having(doorman(address)):
        settle_all(sleep, url, 403, **jason)
        body = "PERMISSION_DENIED:door.handler.istio-system:jason is not welcome at httpbin.default.svc.cluster.local"
        assert sleep.get(url, **jason).body == body
        assert sleep.get(url, **anna).status == 200
        seen = {("anna", 200), ("jason", 403)}
        until(lambda: seen <= visits(tmp_path / "book"), seconds=PATIENCE_SECONDS, what="two visits in the book")
        httpbin.apply(doorman(address, "nobody is at home"))
        settle_all(sleep, url, 404, **jason)
        assert sleep.get(url, **jason).body == "nobody is at home"
        process.kill()
        process.wait()
        settle_all(sleep, url, 500, **anna)
        httpbin.apply(doorman(address, fail_open="true"))
        settle_all(sleep, url, 200, **anna)
        assert metric(httpbin, "lateen_mixer_handler_failures_total") > 0
        with on_duty(tmp_path / "book", int(address.rpartition(":")[2])):
            settle_all(sleep, url, 403, **jason)


def visits(book: Path) -> set[tuple[str, int]]:
    """Who was there and what became of it, as far as the adapter was told."""
    lines = map(json.loads, book.read_text().splitlines() if book.exists() else ())
    return {(line["visitor"], line["code"]) for line in lines}


def test_an_adapter_that_hangs_keeps_nobody_else(httpbin: Mesh, sleep: Caller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"localhost:{silent.getsockname()[1]}"
        door = doorman(address).replace('"timeout": "3s"', '"timeout": "0.3s"')
        door = door.replace('destination.labels[\\"app\\"] == \\"httpbin\\"', 'request.headers[\\"x-door\\"] != \\"\\"')
        asks = rule("ask", 'request.headers["x-ask"] == "yes"', ("policy.opa", "who.authorization"))
        with httpbin.having(together(door, rego(), asks)):
            settle_all(sleep, f"{HTTPBIN}/get", 403, headers={"x-ask": "yes"})
            with Caller([httpbin.python, str(CALLER)], httpbin.environment):
                answers: list[int] = []
                hanging = threading.Thread(
                    target=lambda: answers.append(sleep.get(f"{HTTPBIN}/get", headers={"x-door": "1"}).status)
                )
                hanging.start()
                with httpbin.call_from("deploy/sleep") as other:
                    assert other.get(f"{HTTPBIN}/get", headers={"x-ask": "yes"}).status == 403
                hanging.join()
                assert answers == [500]


def test_connections_are_checked_too(httpbin: Mesh, sleep: Caller) -> None:
    mine = "cluster.local/ns/default/sa/sleep"
    refusing = rego(f'package mixerauthz\nallow {{ input.subject.user != "{mine}" }}')
    allowing = rego(f'package mixerauthz\nallow {{ input.subject.user == "{mine}" }}')
    echo = pod(
        "echo",
        container(
            [httpbin.python, "-c", ECHO, "7000"], more="readinessProbe: {tcpSocket: {port: 7000}, periodSeconds: 1}"
        ),
    )
    asks = rule(
        "ask", 'context.protocol == "tcp" && destination.labels["app"] == "echo"', ("policy.opa", "who.authorization")
    )
    with httpbin.having(together(service("echo", "{name: tcp, port: 7000}"), echo)):
        until(lambda: sleep.talk("echo", 7000, send="hello")["reply"] == "echo hello")
        with httpbin.having(together(allowing, asks)):
            assert sleep.talk("echo", 7000, send="hello")["reply"] == "echo hello"
            httpbin.apply(refusing)
            until(lambda: sleep.talk("echo", 7000, send="hello")["reply"] != "echo hello")
            assert metric(httpbin, "lateen_mixer_checks_total") > 0
