"""How the local platform runs what Kubernetes objects describe."""

import itertools
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.conftest import ECHO_IMAGE
from tests.live.mesh import SITE_PACKAGES, Answer, Caller, Mesh, until
from tests.live.servers import GRPC, NAMED
from tests.live.yaml_texts import container, deployment, pod, replicated, service, together


def logged(mesh: Mesh, workload: str, container_name: str = "app") -> str:
    """What a container has written."""
    return mesh.run("logs", workload, "-c", container_name).out


def test_init_containers_run_first_and_in_order(httpbin: Mesh) -> None:
    folder = httpbin.base
    init = "\n".join(
        [
            "initContainers:",
            container(["sh", "-c", f"echo one > {folder}/order"], name="first"),
            container(["sh", "-c", f"echo two >> {folder}/order"], name="second"),
        ]
    )
    with httpbin.having(pod("ordered", container(["sh", "-c", f"cat {folder}/order; sleep 1000"]), spec=init)):
        until(lambda: logged(httpbin, "ordered") == "one\ntwo\n", 10, "the app to see what both have done")


def test_a_failing_init_container_is_repeated_and_keeps_the_app_waiting(httpbin: Mesh) -> None:
    init = "initContainers:\n" + container(["sh", "-c", "echo no; exit 3"], name="setup")
    text = pod("blocked", container(["sleep", "1000"]), spec=init)
    try:
        httpbin.api.post("v1", "apply", body={"documents": [{"file": "", "text": text}]})
        row = until(lambda: next((row for row in httpbin.instances("blocked") if row["restarts"] >= 2), {}), 15)
        app = next(each for each in row["containers"] if each["kind"] == "app")
        assert (row["is_ready"], app["pid"]) == (False, None)
    finally:
        httpbin.delete(text)


def test_several_containers_share_the_network(httpbin: Mesh) -> None:
    ask = "import time, urllib.request as r\nwhile True:\n  try: print(r.urlopen('http://127.0.0.1:7000/').read(), flush=True); break\n  except OSError: time.sleep(.05)\ntime.sleep(1000)"
    two = [container([httpbin.python, "-c", NAMED, "7000"], "server"), container([httpbin.python, "-c", ask], "client")]
    with httpbin.having(pod("pair", *two)):
        until(lambda: logged(httpbin, "pair", "client") == "b'pair'\n", 10, "the client's log")
        assert httpbin.instances("pair")[0]["ready"] == "2/2"


def test_the_environment_comes_from_everywhere(httpbin: Mesh) -> None:
    env = """
    env:
    - {name: WRITTEN, value: plain}
    - {name: COMPOSED, value: $(WRITTEN) and $(FROM_MAP)}
    - {name: FROM_MAP, valueFrom: {configMapKeyRef: {name: settings, key: colour}}}
    - {name: FROM_SECRET, valueFrom: {secretKeyRef: {name: password, key: word}}}
    - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
    - {name: APP, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}
    envFrom: [{prefix: ALL_, configMapRef: {name: settings}}]
    """
    settings = "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {colour: red}}"
    secret = "{apiVersion: v1, kind: Secret, metadata: {name: password}, data: {word: b3BlbiBzZXNhbWU=}}"
    told = container(
        [
            httpbin.python,
            "-c",
            "import json, os, time; print(json.dumps(dict(os.environ)), flush=True); time.sleep(1000)",
        ],
        more=env,
    )
    with httpbin.having(together(settings, secret, pod("told", told))):
        found = json.loads(until(lambda: logged(httpbin, "told"), 10))
        address = httpbin.instances("told")[0]["address"]
    expected = {
        "WRITTEN": "plain", "FROM_MAP": "red", "FROM_SECRET": "open sesame", "POD_NAME": "told", "POD_IP": address,
        "NAMESPACE": "default", "APP": "told", "ALL_colour": "red",
    }  # fmt: skip
    assert {name: found.get(name) for name in expected} == expected


def test_variables_may_refer_to_earlier_ones(httpbin: Mesh) -> None:
    env = "env: [{name: A, value: one}, {name: B, value: $(A) two}]\nargs: ['$(B)', '$$(B)']"
    with httpbin.having(pod("composed", container(["sh", "-c", 'echo "$0, $1"; sleep 1000'], more=env))):
        until(lambda: logged(httpbin, "composed") == "one two, $(B)\n", 10, "the composed words")


def test_a_container_runs_in_its_working_directory(httpbin: Mesh) -> None:
    with httpbin.having(pod("placed", container(["sh", "-c", "pwd; sleep 1000"], more="workingDir: /usr"))):
        until(lambda: logged(httpbin, "placed") == "/usr\n", 10, "the folder")


def test_a_command_is_relative_to_the_folder_of_its_file(httpbin: Mesh) -> None:
    file = httpbin.base / "pods" / "here.yaml"
    file.parent.mkdir(exist_ok=True)
    (file.parent / "say.sh").write_text("echo I was found; sleep 1000\n")
    file.write_text(pod("here", container(["sh", "say.sh"])))
    try:
        httpbin.do("apply", "-f", file)
        until(lambda: logged(httpbin, "here") == "I was found\n", 10)
    finally:
        httpbin.do("delete", "-f", file)
    until(lambda: not httpbin.instances("here"), 10, "the pod to be gone")


# Restarts


def test_a_failing_container_is_restarted_with_growing_pauses(httpbin: Mesh) -> None:
    text = pod("failing", container(["sh", "-c", "date +%s.%N; exit 1"]))
    try:
        httpbin.api.post("v1", "apply", body={"documents": [{"file": "", "text": text}]})
        until(lambda: logged(httpbin, "failing").count("\n") >= 4, 20, "four attempts")
        times = [float(line) for line in logged(httpbin, "failing").split()[:4]]
        pauses = [after - before for before, after in itertools.pairwise(times)]
        row = httpbin.instances("failing")[0]
    finally:
        httpbin.delete(text)
    assert pauses == sorted(pauses), pauses
    assert pauses[2] >= 2 * 0.2
    assert (row["is_ready"], row["restarts"] >= 3) == (False, True)


@pytest.mark.parametrize(
    "policy, code, runs_again",
    [("Never", 1, False), ("OnFailure", 0, False), ("OnFailure", 1, True), ("Always", 0, True)],
)
def test_the_restart_policy_decides(httpbin: Mesh, policy: str, code: int, runs_again: bool) -> None:
    text = pod("ending", container(["sh", "-c", f"exit {code}"]), spec=f"restartPolicy: {policy}")
    try:
        httpbin.api.post("v1", "apply", body={"documents": [{"file": "", "text": text}]})
        if runs_again:
            until(lambda: any(row["restarts"] for row in httpbin.instances("ending")), 15, "a restart")
        else:
            ended = "Completed" if code == 0 else "Error"
            until(lambda: any(row["status"] == ended for row in httpbin.instances("ending")), 15, ended)
            assert httpbin.instances("ending")[0]["restarts"] == 0
    finally:
        httpbin.delete(text)


# Probes


PROBES = {
    "httpGet": "httpGet: {path: /, port: 7000}",
    "httpGet of a named port": "httpGet: {path: /, port: web}",
    "tcpSocket": "tcpSocket: {port: 7000}",
    "exec": "exec: {command: [test, -e, %s]}",
}


def test_readiness_may_be_asked_by_grpc(httpbin: Mesh) -> None:
    more = f"env: [{{name: PYTHONPATH, value: {SITE_PACKAGES}}}]\nreadinessProbe: {{grpc: {{port: 7000}}, periodSeconds: 1}}"
    with httpbin.having(pod("healthy", container([httpbin.python, "-c", GRPC, "7000", "1"], more=more))):
        httpbin.ready("healthy")
    unhealthy = pod("unhealthy", container([httpbin.python, "-c", GRPC, "7000", "2"], more=more))
    try:
        httpbin.api.post("v1", "apply", body={"documents": [{"file": "", "text": unhealthy}]})
        until(lambda: logged(httpbin, "unhealthy").count("asked") >= 2, 20, "two probes")
        assert httpbin.instances("unhealthy")[0]["is_ready"] is False
    finally:
        httpbin.delete(unhealthy)


@pytest.mark.parametrize("kind", PROBES)
def test_readiness_gates_the_endpoint(httpbin: Mesh, sleep: Caller, kind: str) -> None:
    switch = httpbin.base / "switch"
    switch.unlink(missing_ok=True)
    waiting = f'while [ ! -e {switch} ]; do sleep 0.05; done; exec {httpbin.python} -c "$0" 7000'
    probe = PROBES[kind].replace("%s", str(switch))
    more = f"ports: [{{name: web, containerPort: 7000}}]\nreadinessProbe: {{{probe}, periodSeconds: 1}}"
    text = together(
        service("gated", "{name: http, port: 80, targetPort: 7000}"),
        pod("gated", container(["sh", "-c", waiting, NAMED], more=more)),
    )
    try:
        httpbin.api.post("v1", "apply", body={"documents": [{"file": "", "text": text}]})
        until(lambda: [row for row in httpbin.instances("gated") if row["status"] == "Running"], 15, "the process")
        until(lambda: sleep.get("http://gated/").status == 503, 10, "the service to be there, without endpoints")
        assert httpbin.instances("gated")[0]["ready"] == "0/1"
        switch.touch()
        httpbin.ready("gated")
        until(lambda: sleep.get("http://gated/").status == 200, 10, "the endpoint")
    finally:
        httpbin.delete(text)


def test_a_failing_liveness_probe_restarts_the_container(httpbin: Mesh) -> None:
    file = httpbin.base / "alive"
    file.touch()
    probe = f"livenessProbe: {{exec: {{command: [test, -e, {file}]}}, periodSeconds: 1, failureThreshold: 1}}"
    with httpbin.having(pod("watched", container(["sleep", "1000"], more=probe))):
        assert httpbin.instances("watched")[0]["restarts"] == 0
        file.unlink()
        until(lambda: httpbin.instances("watched")[0]["restarts"] >= 1, 15, "the restart")
        file.touch()
        httpbin.ready("watched")


def test_a_startup_probe_holds_the_others_back(httpbin: Mesh) -> None:
    probes = """
    startupProbe: {tcpSocket: {port: 7000}, periodSeconds: 1, failureThreshold: 20}
    livenessProbe: {tcpSocket: {port: 7000}, periodSeconds: 1, failureThreshold: 1}
    """
    late = f"import time; time.sleep(2.5)\n{NAMED}"
    with httpbin.having(pod("slow", container([httpbin.python, "-c", late, "7000"], more=probes))):
        (row,) = httpbin.ready("slow")
        assert row["restarts"] == 0


# What cannot run here


def test_an_image_without_a_command_is_told_with_the_ways_out(httpbin: Mesh) -> None:
    text = pod("imaged", "- name: app\n  image: example.com/unknown:1")
    try:
        httpbin.api.post("v1", "apply", body={"documents": [{"file": "", "text": text}]})
        row = until(lambda: next((row for row in httpbin.instances("imaged") if row["reason"]), {}), 15, "a reason")
    finally:
        httpbin.delete(text)
    said = row["reason"]
    assert "example.com/unknown:1" in said
    assert "command" in said
    assert "--image-map" in said


def test_an_image_map_says_what_an_image_runs(httpbin: Mesh) -> None:
    image = f"- name: app\n  image: {ECHO_IMAGE}\n  args: ['7000']\n  readinessProbe: {{tcpSocket: {{port: 7000}}}}"
    with httpbin.having(pod("imaged", image)):
        httpbin.ready("imaged")


def test_ignored_fields_are_told_once(httpbin: Mesh) -> None:
    more = "resources: {limits: {cpu: 1}}\nvolumeMounts: [{name: data, mountPath: /data}]"
    text = deployment(
        "limited",
        container(["sleep", "1000"], more=more),
        replicas=2,
        spec="volumes: [{name: data, nfs: {server: files, path: /}}]",
    )
    with httpbin.having(text):
        notices = httpbin.api.get("v1", "notices")["notices"]
        log = (httpbin.directory / "supervisor.log").read_text()
    told = [notice["text"] for notice in notices if "limited" in notice["subject"]]
    assert len(told) == 1
    assert ("resources" in told[0], "data" in told[0]) == (True, True)
    assert sum("limited" in line and "no effect" in line for line in log.splitlines()) == 1


# Change under load


@pytest.fixture
def many(httpbin: Mesh) -> Iterator[None]:
    """The service `many` with two instances."""
    with httpbin.having(replicated(2)):
        yield


def test_scaling_fails_no_request(httpbin: Mesh, sleep: Caller, many: None) -> None:
    with sleep.load("http://many/get") as load:
        for count in (4, 1, 3):
            httpbin.do("scale", "many", "--replicas", count)
            httpbin.ready("many", count, 40)
            load.more(100)
    assert load.result.failures == []
    assert load.result.requests >= 300


def test_a_rolling_update_fails_no_request(httpbin: Mesh, sleep: Caller, many: None) -> None:
    old = {row["name"] for row in httpbin.ready("many", 2)}
    with sleep.load("http://many/get", by_version=True) as load:
        load.more(200)
        httpbin.apply(replicated(2, version="2"))
        until(lambda: not old & {row["name"] for row in httpbin.instances("many")}, 40, "the old instances to be gone")
        httpbin.ready("many", 2)
        load.more(200)
    assert load.result.failures == []
    assert set(load.result.counts) == {"1", "2"}
    assert {answer.version for answer in sleep.requests("http://many/get", 10)} == {"2"}


def test_a_request_under_way_is_finished_when_its_instance_goes(httpbin: Mesh, sleep: Caller, many: None) -> None:
    answers: list[Answer] = []
    asking = threading.Thread(target=lambda: answers.extend(sleep.requests("http://many/delay/3", 8, at_once=8)))
    asking.start()
    until(
        lambda: under_way(httpbin, "outbound|80||many.default.svc.cluster.local") == 8,
        3,
        "the requests to be under way",
    )
    httpbin.do("scale", "many", "--replicas", "1")
    asking.join(30)
    assert [answer.status for answer in answers] == [200] * 8
    assert {answer.pod for answer in answers} > {row["name"] for row in httpbin.ready("many", 1, 40)}


def under_way(mesh: Mesh, cluster: str) -> int:
    """The number of requests from sleep to a cluster that are not answered yet."""
    page = mesh.api.get("v1", "envoy", "clusters", reference="deploy/sleep")
    hosts = next(each for each in page["cluster_statuses"] if each["name"] == cluster).get("host_statuses", ())
    stats = (stat for host in hosts for stat in host["stats"] if stat["name"] == "rq_active")
    return sum(int(stat.get("value", 0)) for stat in stats)


# Order of the sidecar


def test_the_sidecar_is_there_before_and_after_the_app(httpbin: Mesh) -> None:
    seen = httpbin.base / "seen"
    seen.unlink(missing_ok=True)
    script = f"""
import signal, sys, time, urllib.request
def ask(when):
    try:
        status = urllib.request.urlopen("http://httpbin:8000/get", timeout=5).status
    except OSError as error:
        status = error
    with open("{seen}", "a") as file:
        print(when, status, file=file)
def end(*_):
    ask("last")
    sys.exit()
signal.signal(signal.SIGTERM, end)
ask("first")
while True:
    time.sleep(1)
"""
    text = pod("early", container([httpbin.python, "-c", script])).replace(
        "GracePeriodSeconds: 1", "GracePeriodSeconds: 10"
    )
    with httpbin.having(text):
        until(lambda: seen.exists() and seen.read_text(), 10, "the first request")
    assert seen.read_text().splitlines() == ["first 200", "last 200"]


# Looking


def test_logs_can_be_followed(httpbin: Mesh, tmp_path: Path) -> None:
    counting = container(["sh", "-c", "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.2; done"])
    with httpbin.having(pod("counting", counting)):
        until(lambda: logged(httpbin, "counting"), 10)
        with (tmp_path / "log").open("w") as out:
            following = subprocess.Popen(
                httpbin.argv("logs", "counting", "-f", "--tail", 1), env=httpbin.environment, stdout=out
            )
        try:
            until(lambda: (tmp_path / "log").read_text().count("\n") >= 4, 15, "more lines")
        finally:
            following.kill()
            following.wait()
    lines = (tmp_path / "log").read_text().splitlines()
    first = int(lines[0].split()[1])
    assert lines[:4] == [f"line {number}" for number in range(first, first + 4)]


def test_the_proxy_has_a_log(httpbin: Mesh) -> None:
    assert httpbin.run("logs", "deploy/sleep", "-c", "proxy").code == 0
    unknown = httpbin.run("logs", "deploy/sleep", "-c", "nobody")
    assert (unknown.code, "it has sleep, istio-proxy" in unknown.err) == (2, True), unknown


@pytest.mark.parametrize("code", [0, 7])
def test_exec_ends_as_its_command_ends(httpbin: Mesh, code: int) -> None:
    assert httpbin.run("exec", "deploy/sleep", "--", "sh", "-c", f"exit {code}").code == code


def test_a_workload_has_its_own_address_and_name(httpbin: Mesh) -> None:
    (row,) = httpbin.ready("sleep")
    said = httpbin.do("exec", "deploy/sleep", "--", "sh", "-c", "ip -4 -o addr show scope global; cat /etc/hosts")
    assert f"inet {row['address']}/16" in said
    assert f"{row['address']}\t{row['name']}" in said.replace(" ", "\t")
