"""What clients notice of MeshConfig: which headers there are, what is borne at the edge, what proxies know."""

import pytest

from tests.live.mesh import Caller, Mesh, until
from tests.live.test_gateway import gateway
from tests.live.yaml_texts import TO_V1, VERSIONS, rule, together

ECHO = "http://httpbin:8000/get"
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


def told(caller: Caller, url: str = ECHO, **how: object) -> dict[str, str]:
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
        until(lambda: not envoys(sleep.get(ECHO).headers), what="no more of Envoy's headers at the client")
        server = sleep.get(ECHO).headers.get("server")
    assert server not in ("envoy", "istio-envoy")


def test_headers_can_say_what_the_mesh_s_operator_wants(httpbin: Mesh, sleep: Caller) -> None:
    assert "x-strange" in echoed(sleep)
    wanted = """{server: {value: bookshop}, preserveHttp1HeaderCase: true, xForwardedHost: {enabled: true},
        xForwardedPort: {enabled: true}, setCurrentClientCertDetails: {cert: true, subject: false}}"""
    rewriting = rule(f"rewrite: {{authority: elsewhere}}\n{TO_V1}")
    with httpbin.having(together(VERSIONS, rewriting, headers(wanted))):
        until(lambda: sleep.get(ECHO).headers.get("server") == "bookshop", what="the server's name")
        until(lambda: "Cert=" in told(sleep).get("x-forwarded-client-cert", ""), what="the client's certificate")
        got, raw = told(sleep), echoed(sleep)
    assert "X-StrAnGe" in raw
    assert (got["host"], got["x-forwarded-host"]) == ("elsewhere", "httpbin:8000")
    assert "x-forwarded-port" in got
    assert "Subject=" not in got["x-forwarded-client-cert"]


def test_a_server_learns_which_attempt_it_gets(httpbin: Mesh, sleep: Caller) -> None:
    """The client's proxy counts; the server's leaves that as it is."""
    got = told(sleep, headers={"x-envoy-attempt-count": "7"})
    assert got["x-envoy-attempt-count"] == "1"


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
        return sleep.get(ECHO).status

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
