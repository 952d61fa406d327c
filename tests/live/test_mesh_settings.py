"""What clients notice of MeshConfig: which headers there are, what is borne at the edge, what proxies know."""

import json
import subprocess

import pytest

from tests.live.mesh import Caller, Mesh, until
from tests.live.servers import ECHO
from tests.live.test_gateway import gateway
from tests.live.yaml_texts import TO_V1, VERSIONS, container, pod, rule, service, together

ECHO_URL = "http://httpbin:8000/get"
ABSOLUTE = "GET http://httpbin.default:8000/get HTTP/1.1\r\nHost: ignored\r\nConnection: close\r\n\r\n"


def settings(spec: str) -> str:
    """A MeshConfig."""
    return f"""
apiVersion: mesh.istio.io/v1alpha1
kind: MeshConfig
metadata: {{name: mesh, namespace: istio-system}}
spec: {spec}
"""


def headers(text: str) -> str:
    """A MeshConfig that says which headers proxies write."""
    return settings(f"{{defaultConfig: {{proxyHeaders: {text}}}}}")


def told(caller: Caller, url: str = ECHO_URL, **how: object) -> dict[str, str]:
    """The headers that the server got, by their names in small letters."""
    got: dict[str, str] = caller.get(url, **how).json["headers"]
    return {name.lower(): value for name, value in got.items()}


def envoys(found: dict[str, str]) -> set[str]:
    """Those of the headers that are Envoy's own."""
    return {name for name in found if name.startswith("x-envoy-")}


def echoed(caller: Caller) -> str:
    """The beginning of what the server says of a request with a header whose name is written strangely."""
    asked = "GET /get HTTP/1.1\r\nHost: httpbin\r\nX-StrAnGe: 1\r\nConnection: close\r\n\r\n"
    return caller.talk("httpbin", 8000, send=asked)["reply"]


def test_headers_of_proxies_can_be_switched_off(httpbin: Mesh, sleep: Caller) -> None:
    usual = told(sleep)
    assert {"x-request-id", "x-envoy-attempt-count", "x-forwarded-client-cert"} <= usual.keys()
    silent = """{server: {disabled: true}, requestId: {disabled: true}, attemptCount: {disabled: true},
        envoyDebugHeaders: {disabled: true}, forwardedClientCert: SANITIZE}"""
    with httpbin.having(headers(silent)):
        until(lambda: "x-request-id" not in told(sleep), what="no more ids of requests")
        until(lambda: "x-forwarded-client-cert" not in told(sleep), what="no more certificates of clients")
        until(lambda: not envoys(told(sleep)), what="no more of Envoy's headers at the server")
        until(lambda: not envoys(sleep.get(ECHO_URL).headers), what="no more of Envoy's headers at the client")
        server = sleep.get(ECHO_URL).headers.get("server")
    assert server not in ("envoy", "istio-envoy")


def test_headers_can_say_what_the_mesh_s_operator_wants(httpbin: Mesh, sleep: Caller) -> None:
    assert "x-strange" in echoed(sleep)
    wanted = """{server: {value: bookshop}, preserveHttp1HeaderCase: true, xForwardedHost: {enabled: true},
        xForwardedPort: {enabled: true}, setCurrentClientCertDetails: {cert: true, subject: false}}"""
    rewriting = rule(f"rewrite: {{authority: elsewhere}}\n{TO_V1}")
    with httpbin.having(together(VERSIONS, rewriting, headers(wanted))):
        until(lambda: sleep.get(ECHO_URL).headers.get("server") == "bookshop", what="the server's name")
        until(lambda: "Cert=" in told(sleep).get("x-forwarded-client-cert", ""), what="the client's certificate")
        got, raw = told(sleep), echoed(sleep)
    assert "X-StrAnGe" in raw
    assert (got["host"], got["x-forwarded-host"]) == ("elsewhere", "httpbin:8000")
    assert "x-forwarded-port" in got
    assert "Subject=" not in got["x-forwarded-client-cert"]


def test_a_server_learns_which_attempt_it_gets(httpbin: Mesh, sleep: Caller) -> None:
    """The client's proxy counts; the server's leaves that as it is, as what a client without a proxy says shows."""
    said = {"x-envoy-attempt-count": "7"}
    bare = pod("bare", container(["sleep", "1000"]), annotations='{sidecar.istio.io/inject: "false"}')
    with httpbin.having(bare), httpbin.call_from("bare") as stranger:
        got = [told(caller, headers=said)["x-envoy-attempt-count"] for caller in (sleep, stranger)]
    assert got == ["1", "7"]


def test_a_workload_ends_when_the_last_client_has_gone(httpbin: Mesh, sleep: Caller) -> None:
    """With EXIT_ON_ZERO_ACTIVE_CONNECTIONS, however long the connection has nothing to say."""
    config = "{proxyMetadata: {EXIT_ON_ZERO_ACTIVE_CONNECTIONS: 'true', MINIMUM_DRAIN_DURATION: 100ms}}"
    patient = pod(
        "patient",
        container([httpbin.python, "-c", ECHO, "9000"]),
        annotations=json.dumps({"proxy.istio.io/config": config}),
    ).replace("terminationGracePeriodSeconds: 1", "terminationGracePeriodSeconds: 60")
    httpbin.apply(together(patient, service("patient", "{name: tcp, port: 9000}")))
    hold = "import socket, sys; s = socket.create_connection(('patient', 9000)); s.sendall(b'x'); print(s.recv(9), flush=True); sys.stdin.read()"
    argv = httpbin.argv("exec", "deploy/sleep", "--", httpbin.python, "-c", hold)
    with subprocess.Popen(argv, env=httpbin.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        assert client.stdin and client.stdout
        assert client.stdout.readline()
        keys = [{"kind": kind, "name": "patient", "namespace": "default"} for kind in ("Service", "Pod")]
        httpbin.api.post("v1", "delete", body={"objects": keys})
        until(lambda: httpbin.instances("patient")[0]["status"] == "Stopping", what="the pod to be ending")
        assert [sleep.get(ECHO_URL).status for _ in range(20)] == [200] * 20
        assert httpbin.instances("patient")
        client.stdin.close()
    until(lambda: not httpbin.instances("patient"), what="the pod to be gone")


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [("/get", {"under_score": "1"}, 400), ("/get%2Fme", {}, 307), ("/get", {}, 200)],
    ids=["underscore", "escaped slash", "honest"],
)
def test_the_profile_edge_turns_away_what_means_different_things_to_different_servers(
    httpbin: Mesh, outside: Caller, path: str, more: dict[str, str], status: int
) -> None:
    door = together(VERSIONS, gateway("*"), rule(TO_V1, host="edge.example.com", gateways="door", name="edge"))
    url, asked = f"{httpbin.url()}{path}", {"host": "edge.example.com", **more}
    edge = settings("{defaultConfig: {connectionSettings: {profile: EDGE}}}")
    with httpbin.having(together(door, edge)):
        until(lambda: outside.get(url, headers=asked).status == status, what=f"{status}")


def test_an_application_can_call_through_the_port_of_an_http_proxy(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(settings("{proxyHttpPort: 15007}")):
        said = until(lambda: sleep.talk("127.0.0.1", 15007, send=ABSOLUTE)["reply"], what="an answer of the proxy")
        unknown = sleep.get("http://127.0.0.1:15007/", headers={"host": "nobody.invalid"}).status
    assert said.startswith("HTTP/1.1 200"), said
    assert unknown == 503


def test_proxies_know_the_chosen_namespaces_and_follow_their_labels(httpbin: Mesh, sleep: Caller) -> None:
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {{name: away, labels: {{team: {team}}}}}"
    intruder = rule("directResponse: {status: 418}", host="httpbin.default.svc.cluster.local", name="httpbin").replace(
        "metadata: {name: httpbin}", "metadata: {name: httpbin, namespace: away}"
    )
    chosen = settings(
        "{discoverySelectors: [{matchLabels: {team: shop}}, {matchLabels: {kubernetes.io/metadata.name: default}}]}"
    )

    def status() -> int:
        return sleep.get(ECHO_URL).status

    with httpbin.having(together(namespace.format(team="other"), intruder)):
        until(lambda: status() == 418, what="the other namespace's rule")
        with httpbin.having(chosen):
            until(lambda: status() == 200, what="the namespace to be forgotten")
            httpbin.apply(namespace.format(team="shop"))
            until(lambda: status() == 418, what="the namespace to be known again")
            httpbin.apply(namespace.format(team="other"))
            until(lambda: status() == 200, what="the namespace to be forgotten again")


def test_a_service_of_an_unknown_namespace_is_called_as_any_stranger(httpbin: Mesh, sleep: Caller) -> None:
    chosen = settings("{discoverySelectors: [{matchLabels: {nobody: has-this}}]}")
    with httpbin.having(chosen):
        until(lambda: "x-forwarded-client-cert" not in told(sleep), what="plain calls, without the mesh's TLS")
    until(lambda: "x-forwarded-client-cert" in told(sleep), what="the mesh's TLS")
