"""What is legal in the mesh's settings and not done: whoever writes it is told, with the reason and the line."""

import pytest

from lateen.api.decode import decode_yaml
from lateen.api.violations import Severity

DOCUMENT = "apiVersion: mesh.istio.io/v1alpha1\nkind: MeshConfig\nmetadata: {name: mesh}\nspec:\n  "
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |\n    "


def told(text: str) -> list[str]:
    """The warnings about a document, which is taken."""
    decoded = decode_yaml(text, "mesh.yaml")
    assert len(decoded.objects) == 1, [*map(str, decoded.violations)]
    assert {one.severity for one in decoded.violations} <= {Severity.WARNING}
    return [f"{one.path}: {one.message}" for one in decoded.violations]


@pytest.mark.parametrize(
    ("setting", "warning"),
    [
        ("ingressClass: istio", "ingressClass: has no effect here: Ingress is no kind here: write a Gateway and VirtualServices"),
        ("serviceSettings: [{settings: {clusterLocal: true}, hosts: ['*']}]", "serviceSettings: has no effect here: with one cluster every service is both local and global"),
        ("configSources: [{address: 'k8s://'}]", "configSources: has no effect here: files and folders are given to lateen up and lateen apply"),
        ("proxyListenPort: 15101", "proxyListenPort: is always 15001 here, not 15101: the rules of the sandboxes lead captured connections to it"),
        ("verifyCertificateAtClient: false", "verifyCertificateAtClient: is always true here, not false: certificates of servers are always verified; insecureSkipVerify of a DestinationRule turns that off for one"),
        ("defaultConfig: {privateKeyProvider: {cryptomb: {pollDelay: 10ms}}}", "defaultConfig.privateKeyProvider: has no effect here: the stock Envoy computes with keys itself"),
        ("defaultConfig: {interceptionMode: TPROXY}", "defaultConfig.interceptionMode: is always REDIRECT here, not TPROXY: connections are led into proxies by redirection; servers see their clients in x-forwarded-for"),
        ("defaultTrafficPolicy: {tls: {mode: SIMPLE}}", "defaultTrafficPolicy.tls: has no effect here: write it in a DestinationRule of the root namespace for host *.local"),
        ("extensionProviders: [{name: x, skywalking: {service: a, port: 1}}]", "extensionProviders[0].skywalking: has no effect here: traces are sent in two forms: name a provider with opentelemetry or zipkin instead"),
        ("comesNext: 1", "comesNext: unknown setting, kept without effect"),
    ],
)  # fmt: skip
def test_a_setting_that_is_not_done_says_why(setting: str, warning: str) -> None:
    assert told(DOCUMENT + setting) == [f"spec.{warning}"]
    assert told(CONFIG_MAP + setting) == [f"data.mesh.{warning}"]


@pytest.mark.parametrize(
    "setting",
    [
        "proxyListenPort: 15001",
        "defaultConfig: {interceptionMode: REDIRECT, statusPort: 15020}",
        "discoverySelectors: [{matchLabels: {a: b}}]",
        "tlsDefaults: {ecdhCurves: [P-256]}",
        "defaultConfig: {proxyHeaders: {metadataExchangeHeaders: {mode: IN_MESH}}, holdApplicationUntilProxyStarts: true}",
    ],
)
def test_what_is_done_says_nothing(setting: str) -> None:
    assert told(DOCUMENT + setting) == []


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("tlsDefaults: {ecdhCurves: [P-1]}", "spec.tlsDefaults.ecdhCurves[0]: must be one of P-256, P-384, P-521, X25519, X25519MLKEM768, not 'P-1'"),
        ("defaultConfig: {connectionSettings: {profile: CLIFF}}", "spec.defaultConfig.connectionSettings.profile: must be one of SIDECAR, EDGE, not 'CLIFF'"),
        ("defaultConfig: {connectionSettings: {http2InitialStreamWindowSize: 1}}", "spec.defaultConfig.connectionSettings.http2InitialStreamWindowSize: must be at least 65535, not 1"),
        ("defaultConfig: {proxyHeaders: {serverr: {}}}", "spec.defaultConfig.proxyHeaders.serverr: unknown field; did you mean server?"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_refused(setting: str, fault: str) -> None:
    decoded = decode_yaml(DOCUMENT + setting, "mesh.yaml")
    assert [f"{one.path}: {one.message}" for one in decoded.violations] == [fault]
