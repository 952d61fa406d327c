"""What users write, and the objects or the exact complaints that they get."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lateen.api import decode, kinds
from lateen.api.networking.virtual_service import VirtualService
from lateen.api.objects import ObjectKey, canonical_json

FULL = Path(__file__).with_name("full.yaml").read_text()


def complaints(text: str) -> list[str]:
    return [str(violation) for violation in decode.decode_yaml(text, "x.yaml").violations]


def document(kind: str, spec: str) -> str:
    row = kinds.of_word(kind)
    assert row is not None
    place = spec if row.body is kinds.Body.ROOT else f"spec: {spec}"
    return f"apiVersion: {row.api_versions[0]}\nkind: {kind}\nmetadata: {{name: a}}\n{place}\n"


def test_every_field_of_every_kind_is_accepted() -> None:
    decoded = decode.decode_yaml(FULL, "full.yaml")
    assert [str(violation) for violation in decoded.violations] == []
    assert {item.key.kind for item in decoded.objects} == {row.kind for row in kinds.KINDS}


@pytest.mark.parametrize("item", decode.decode_yaml(FULL).objects, ids=lambda item: str(item.key))
def test_what_was_decoded_survives_every_way_back(item: Any) -> None:
    again = [
        *decode.decode_yaml(decode.encode_yaml([item])).objects,
        *decode.decode_yaml(json.dumps(decode.encode(item), indent="\t")).objects,
        *decode.decode_mapping(json.loads(item.body), default_namespace="elsewhere").objects,
    ]
    assert again == [item, item, item]
    assert [other.spec for other in again] == [item.spec] * 3
    assert {hash(other.spec) for other in again} == {hash(item.spec)}


ROUTE = "route: [{destination: {host: reviews}}]"

REFUSED = [
    (
        "VirtualService",
        f"{{hosts: [a], http: [{{rout: [], {ROUTE}}}]}}",
        ["spec.http[0].rout: unknown field; did you mean route?"],
    ),
    (
        "VirtualService",
        "{hosts: [a], http: [{match: [{uri: {exact: /, prefix: /}}], "
        "route: [{destination: {host: a b}, weight: -1}]}]}",
        [
            "spec.http[0].match[0].uri: must have only one of exact, prefix and regex, not exact and prefix together",
            "spec.http[0].route[0].destination.host: must be a host name like reviews or "
            "reviews.default.svc.cluster.local, not 'a b'",
            "spec.http[0].route[0].weight: must be at least 0, not -1",
        ],
    ),
    (
        "VirtualService",
        f"{{hosts: [a], http: [{{redirect: {{uri: /}}, {ROUTE}}}, {{timeout: 1s}}]}}",
        [
            "spec.http[0]: must have only one of route, redirect, directResponse, delegate, "
            "not route and redirect together",
            "spec.http[1]: must have one of route, redirect, directResponse, delegate",
        ],
    ),
    (
        "VirtualService",
        f"{{hosts: [a], http: [{{fault: {{delay: {{fixedDelay: 0s}}, abort: {{}}}}, timeout: 5, {ROUTE}}}]}}",
        [
            "spec.http[0].timeout: must be a duration like 1s, 100ms or 1h30m, not 5",
            "spec.http[0].fault.delay.fixedDelay: must be at least 1ms, not 0s",
            "spec.http[0].fault.abort: must have one of httpStatus, grpcStatus, http2Error",
        ],
    ),
    (
        "VirtualService",
        f"{{hosts: [a], http: [{{match: [{{uri: {{regex: '(?=a)'}}}}, {{uri: {{regex: '('}}}}], {ROUTE}}}]}}",
        [
            "spec.http[0].match[0].uri.regex: must be an RE2 regular expression, "
            "which has no lookahead and lookbehind: '(?=a)'",
            "spec.http[0].match[1].uri.regex: must be a regular expression: missing ), unterminated subpattern at "
            "position 0: '('",
        ],
    ),
    (
        "VirtualService",
        f"{{tcp: [{{{ROUTE}}}], gateways: [edge]}}",
        [
            "spec.hosts: must name at least one host; only http rules can be delegated to without hosts",
            "spec.gateways: must be empty in a delegate (a VirtualService without hosts): its root has the gateways",
        ],
    ),
    (
        "VirtualService",
        "{hosts: [a, a]}",
        [
            "spec.hosts[1]: must not name a twice",
            "spec: must have at least one rule in http, tls or tcp",
        ],
    ),
    (
        "PeerAuthentication",
        "{mtls: {mode: STRIKT}, portLevelMtls: {web: {mode: STRICT}}}",
        [
            "spec.mtls.mode: must be one of UNSET, DISABLE, PERMISSIVE, STRICT, not 'STRIKT'",
            "spec.portLevelMtls.web: must be a port number, from 1 to 65535, not 'web'",
        ],
    ),
    (
        "PeerAuthentication",
        "{mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}}",
        ["spec.portLevelMtls: must come with a selector: ports are those of single workloads"],
    ),
    ("VirtualService", "[]", ["spec: must be a mapping, not a list"]),
    ("VirtualService", "{hosts: a}", ["spec.hosts: must be a list, not 'a'"]),
    (
        "DestinationRule",
        "{host: a, subsets: [{name: v1}, {name: v1}], trafficPolicy: {loadBalancer: {simple: FASTEST}}}",
        [
            "spec.trafficPolicy.loadBalancer.simple: must be one of UNSPECIFIED, LEAST_CONN, RANDOM, PASSTHROUGH, "
            "ROUND_ROBIN, LEAST_REQUEST, not 'FASTEST'",
        ],
    ),
    (
        "DestinationRule",
        "{host: a, subsets: [{name: v1, labels: {version: 1}}, {name: v1}]}",
        ['spec.subsets[0].labels.version: must be text, not 1: write "1" in quotes'],
    ),
    (
        "DestinationRule",
        "{host: a, subsets: [{name: v1}, {name: v1}]}",
        ["spec.subsets[1].name: must be unique: subset v1 is already defined"],
    ),
    ("DestinationRule", "{subsets: []}", ["spec.host: must be set"]),
    (
        "Gateway",
        "{servers: [{port: {number: 70000, name: a, protocol: HTTP}}, "
        "{port: {number: 443, name: b, protocol: HTTPS}, hosts: ['*']}]}",
        [
            "spec.servers[0].port.number: must be at most 65535, not 70000",
            "spec.servers[0].hosts: must be set",
            "spec.servers[1].tls: must be set for protocol HTTPS",
        ],
    ),
    ("Gateway", "{servers: [], selector: {a: b}}", ["spec.servers: must have at least 1 entry"]),
    (
        "Gateway",
        "{servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE}}, "
        "{port: {number: 444, name: b, protocol: TCP}, hosts: ['*'], tls: {mode: SIMPLE, credentialName: b}}]}",
        [
            "spec.servers[0].tls: must have credentialName, or serverCertificate and privateKey, in mode SIMPLE",
            "spec.servers[1].tls: must not be set for protocol TCP: use TLS",
        ],
    ),
    (
        "Gateway",
        "{servers: [{port: {number: 80, name: a, protocol: HTTP}, hosts: ['*']}, "
        "{port: {number: 81, name: a, protocol: HTTP}, hosts: ['*']}]}",
        ["spec.servers[1].port.name: must be unique: port a is already defined"],
    ),
    *(
        (
            "Gateway",
            f"{{servers: [{{port: {{number: 443, name: a, protocol: HTTPS}}, hosts: ['*'], tls: {{{tls}}}}}]}}",
            [f"spec.servers[0].tls{problem}" for problem in problems],
        )
        for tls, problems in (
            (
                "mode: SIMPLE, credentialName: a, credentialNames: [b]",
                [": must take its certificate from one place, not from credentialName and credentialNames"],
            ),
            ("mode: SIMPLE, credentialNames: [a, b, c]", [".credentialNames: must have at most 2 entries"]),
            (
                "mode: MUTUAL, serverCertificate: /a, privateKey: /b",
                [".caCertificates: must be set in mode MUTUAL, to verify clients with"],
            ),
            ("mode: SIMPLE, serverCertificate: /a", [".privateKey: must be set beside serverCertificate"]),
            (
                "mode: MUTUAL, credentialName: a, caCertificates: /b, caCrl: /c",
                [
                    ".caCertificates: must not be set beside credentialName: "
                    "put the authorities into the Secret, or one NAME-cacert",
                    ".caCrl: must not be set beside credentialName: put the list into the Secret as ca.crl",
                ],
            ),
            (
                "mode: MUTUAL, credentialName: a, caCertCredentialName: b, insecureSkipVerify: true",
                [
                    ".insecureSkipVerify: must not be set beside caCertificates, caCertCredentialName or caCrl, "
                    "which it would ignore"
                ],
            ),
            (
                "mode: MUTUAL, credentialName: a, subjectAltNames: [b], insecureSkipVerify: true",
                [
                    ".subjectAltNames: must not be set beside insecureSkipVerify: "
                    "names that nobody vouches for prove nothing"
                ],
            ),
            (
                "mode: ISTIO_MUTUAL, credentialName: a",
                [": must have no certificates in mode ISTIO_MUTUAL: the mesh issues them"],
            ),
            (
                "mode: ISTIO_MUTUAL, subjectAltNames: [a]",
                [".subjectAltNames: must not be set in mode ISTIO_MUTUAL: say in an AuthorizationPolicy who may call"],
            ),
            (
                "mode: SIMPLE, credentialName: a, minProtocolVersion: TLSV1_3, maxProtocolVersion: TLSV1_2",
                [".minProtocolVersion: must not be above maxProtocolVersion TLSV1_2"],
            ),
            (
                "mode: SIMPLE, credentialName: a, maxProtocolVersion: TLSV1_1",
                [".maxProtocolVersion: must not be below minProtocolVersion, which is TLSV1_2"],
            ),
            (
                "mode: SIMPLE, credentialName: a, cipherSuites: [RC4-MD5]",
                [
                    ".cipherSuites: must be cipher suites of TLS 1.2 by OpenSSL's names, "
                    "like ECDHE-ECDSA-AES256-GCM-SHA384: not 'RC4-MD5'"
                ],
            ),
            (
                "mode: MUTUAL, credentialName: a, verifyCertificateHash: [b], verifyCertificateSpki: [c]",
                [
                    ".verifyCertificateSpki[0]: must be the SHA-256 of a public key in base64, 44 characters, not 'c'",
                    ".verifyCertificateHash[0]: must be the SHA-256 of a certificate in 64 hexadecimal digits, not 'b'",
                ],
            ),
        )
    ),
    (
        "VirtualService",
        "{hosts: [a.example, '*.b.example'], tls: [{match: [{sniHosts: [a.example, c.b.example, c.example]}], "
        "route: [{destination: {host: a}}]}]}",
        [
            "spec.tls[0].match[0].sniHosts[2]: must be one of the hosts, or below one that is a wildcard, not 'c.example'",
        ],
    ),
    (
        "ServiceEntry",
        "{hosts: ['*.example.com'], resolution: DNS, ports: [{number: 80, name: a}, {number: 80, name: a}]}",
        [
            "spec.hosts[0]: must be a full name for DNS without endpoints: use DYNAMIC_DNS or NONE for wildcards",
            "spec.ports[1].number: must be unique: port 80 is already defined",
            "spec.ports[1].name: must be unique: port a is already defined",
        ],
    ),
    (
        "ServiceEntry",
        "{hosts: [a.b], resolution: STATIC, endpoints: [{address: c.d, ports: {x: 1}}], ports: [{number: 1, name: y}]}",
        [
            "spec.endpoints[0].address: must be an IP address for resolution STATIC, not 'c.d'",
            "spec.endpoints[0].ports.x: must be one of the ports' names: y",
        ],
    ),
    (
        "Sidecar",
        "{egress: [{hosts: [reviews]}]}",
        [
            "spec.egress[0].hosts[0]: must be namespace/host, like ./* or "
            "default/reviews.default.svc.cluster.local, not 'reviews'"
        ],
    ),
    (
        "Service",
        "{ports: [{port: 80}, {port: 80, name: A}]}",
        [
            "spec.ports[0].name: must be set when there are several ports",
            "spec.ports[1].name: must be lower-case letters, digits and -, not 'A'",
            "spec.ports[1].port: must be unique: TCP port 80 is already defined",
        ],
    ),
    ("Service", "{type: ExternalName}", ["spec.externalName: must be set for type ExternalName"]),
    (
        "Deployment",
        "{selector: {matchLabels: {a: b}}, template: {spec: {containers: [{name: a, imag: b}]}}}",
        ["spec.template.spec.containers[0].imag: unknown field; did you mean image?"],
    ),
    (
        "Deployment",
        "{selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: c}}, "
        "spec: {containers: [{name: a, image: b}]}}}",
        ["spec.template.metadata.labels: must have the labels that selector asks for"],
    ),
    (
        "Pod",
        "{volumes: [{name: a, emptyDir: {}, secret: {secretName: s}}, {name: b, configMap: {name: c, defaultMode: 4095}}, "
        "{name: c, secret: {secretName: s, items: [{key: k, path: ../p}]}}], containers: [{name: a, image: b}]}",
        [
            "spec.volumes[0]: must have one source, not secret and emptyDir together",
            "spec.volumes[1].configMap.defaultMode: must be file permissions from 0 to 0777 (511), not 4095: "
            "write an octal number like 0644",
            "spec.volumes[2].secret.items[0].path: must be a path inside the volume, without .. and not beginning "
            "with /, not '../p'",
        ],
    ),
    (
        "Pod",
        "{volumes: [{name: a}, {name: a}], containers: [{name: a, image: b, volumeMounts: [{name: x, mountPath: /m}, "
        "{name: a, mountPath: /m}]}]}",
        [
            "spec.volumes[1].name: must be unique: volume a is already defined",
            "spec.containers[0].volumeMounts[0].name: must be the name of one of the pod's volumes, not 'x'",
            "spec.containers[0].volumeMounts[1].mountPath: must be unique: /m is already mounted",
        ],
    ),
    (
        "Pod",
        "{volumes: [{name: a}], containers: [{name: a, image: b, volumeMounts: [{name: a, mountPath: etc}, "
        "{name: a, mountPath: /a, subPath: ../b}]}]}",
        [
            "spec.containers[0].volumeMounts[0].mountPath: must be an absolute path such as /etc/config, without .. "
            "and not / itself, not 'etc'",
            "spec.containers[0].volumeMounts[1].subPath: must be a path inside the volume, without .. and not "
            "beginning with /, not '../b'",
        ],
    ),
    (
        "StatefulSet",
        "{selector: {matchLabels: {a: b}}, volumeClaimTemplates: [{metadata: {name: data}}], template: {metadata: "
        "{labels: {a: b}}, spec: {containers: [{name: a, image: b, volumeMounts: [{name: data, mountPath: /d}, "
        "{name: dat, mountPath: /e}]}]}}}",
        [
            "spec.template.spec.containers[0].volumeMounts[1].name: must be the name of one of the pod's volumes, "
            "not 'dat'",
        ],
    ),
    (
        "Pod",
        "{containers: [{name: a, image: b, env: [{name: A, value: 1}, {name: B, value: true}]}]}",
        [
            'spec.containers[0].env[0].value: must be text, not 1: write "1" in quotes',
            'spec.containers[0].env[1].value: must be text, not true: write "true" in quotes',
        ],
    ),
    (
        "Pod",
        "{containers: [{name: a, command: [b], readinessProbe: {tcpSocket: {port: 1}, exec: {command: [a]}}}]}",
        [
            "spec.containers[0].readinessProbe: must have only one of httpGet, tcpSocket, exec, grpc, "
            "not tcpSocket and exec together"
        ],
    ),
    ("Secret", "data: {a: '%'}", ["data.a: must be base64: use stringData for plain text"]),
    ("Secret", "stringData: {a b: x}", ["stringData: must be named with letters, digits, -, _ and . only, not 'a b'"]),
    ("ConfigMap", "binaryData: {a: '%'}", ["binaryData.a: must be base64: use data for plain text"]),
    (
        "ConfigMap",
        "data: {../b: x, .c: y}",
        ["data: must be named with letters, digits, -, _ and . only, not '../b'"],
    ),
    ("ConfigMap", "dta: {}", ["dta: unknown field; did you mean data?"]),
]


@pytest.mark.parametrize(("kind", "spec", "expected"), REFUSED)
def test_a_wrong_spec_is_refused_with_all_that_is_wrong(kind: str, spec: str, expected: list[str]) -> None:
    decoded = decode.decode_yaml(document(kind, spec))
    assert [str(violation) for violation in decoded.violations] == [
        f"{kind} default/a: {message}" for message in expected
    ]
    assert decoded.objects == ()


ENVELOPES = [
    ("kind: Service\n", "x.yaml:1: Service: apiVersion: must be set, like networking.istio.io/v1"),
    ("- a\n", "x.yaml:1: must be a mapping with apiVersion, kind and metadata"),
    (
        "apiVersion: v1\nkind: Servce\nmetadata: {name: a}",
        "x.yaml:1: Servce default/a: unknown kind Servce of v1; did you mean Service or ServiceEntry?",
    ),
    (
        "apiVersion: networking.istio.io/v2\nkind: Sidecar\nmetadata: {name: a}",
        "x.yaml:1: Sidecar default/a: kind Sidecar must have apiVersion networking.istio.io/v1 or "
        "networking.istio.io/v1beta1 or networking.istio.io/v1alpha3, not networking.istio.io/v2",
    ),
    ("apiVersion: v1\nkind: Namespace\n", "x.yaml:1: Namespace: metadata: must be a mapping with at least a name"),
    ("apiVersion: v1\nkind: Namespace\nmetadata: {}", "x.yaml:3: Namespace: metadata.name: must be set"),
    (
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  generateName: a-",
        "x.yaml:4: Namespace: metadata.generateName: must not be used: give every object a name, "
        "so that it can be changed later",
    ),
    (
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a_b",
        "x.yaml:4: Namespace a_b: metadata.name: must be at most 63 lower-case letters, digits and -, "
        "with no - at the ends, not 'a_b'",
    ),
    (
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b}",
        "x.yaml:3: Namespace a: metadata.namespace: must not be set: a Namespace belongs to the whole mesh",
    ),
    (
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\nspce: {}",
        "x.yaml:4: Namespace a: spce: unknown field; did you mean spec?",
    ),
    (
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels:\n    b c: d",
        "x.yaml:6: Namespace a: metadata.labels.b c: must be a label key like app or example.com/app, not 'b c'",
    ),
]


@pytest.mark.parametrize(("text", "expected"), ENVELOPES)
def test_a_wrong_envelope_is_refused_with_its_line(text: str, expected: str) -> None:
    assert complaints(text) == [expected]


def test_one_bad_document_does_not_lose_the_others() -> None:
    good = "apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n"
    text = "---\n".join((good % "a", "kind: [\n", good % "b", "kind: Namespace\n", good % "c"))
    decoded = decode.decode_yaml(text, "x.yaml")
    assert [item.name for item in decoded.objects] == ["a", "b", "c"]
    assert [str(violation) for violation in decoded.violations] == [
        "x.yaml:6:1: not valid YAML: did not find expected node content",
        "x.yaml:11: Namespace: apiVersion: must be set, like networking.istio.io/v1",
    ]


def test_an_object_defined_twice_is_refused_with_both_places() -> None:
    text = document("ServiceAccount", "") + "---\n" + document("ServiceAccount", "secrets: []")
    decoded = decode.decode_yaml(text, "x.yaml")
    assert [len(decoded.objects), *map(str, decoded.violations)] == [
        1,
        "x.yaml:6: ServiceAccount default/a: must be defined once: it is already defined at x.yaml:1",
    ]


def test_a_list_is_its_items_each_with_its_own_lines() -> None:
    text = "kind: List\napiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata:\n    name: a\n- 1\n"
    decoded = decode.decode_yaml(text, "x.yaml")
    assert [item.source.place("metadata.name") for item in decoded.objects] == ["x.yaml:7"]
    assert [str(violation) for violation in decoded.violations] == [
        "x.yaml:8: must be a mapping with apiVersion, kind and metadata"
    ]
    mapping = yaml.safe_load(text)
    assert decode.decode_mapping(mapping).objects == decoded.objects


def test_a_field_knows_its_line_also_after_the_namespace_was_filled_in() -> None:
    text = document("VirtualService", f"\n  hosts: [a]\n  http:\n  - timeout: 1s\n    {ROUTE}").replace(
        "{name: a}", "\n  name: a"
    )
    (item,) = decode.decode_yaml(text, "x.yaml", default_namespace="shop").objects
    assert item.key == ObjectKey("networking.istio.io", "VirtualService", "shop", "a")
    assert [
        item.source.line_of(path) for path in ("", "metadata.name", "spec.http[0].timeout", "spec.http[0].gone")
    ] == [
        1,
        4,
        8,
        8,
    ]


def test_a_field_that_is_null_is_not_there_and_status_is_left_out() -> None:
    text = document("Service", "{selector: null, clusterIP: None, ports: }") + "status: {loadBalancer: {}}\n"
    (item,) = decode.decode_yaml(text).objects
    assert b"status" not in item.body
    assert complaints(document("DestinationRule", "{host: null}")) == [
        "x.yaml:4: DestinationRule default/a: spec.host: must be set"
    ]


def test_an_unknown_mesh_setting_is_a_warning() -> None:
    decoded = decode.decode_yaml(document("MeshConfig", "{defaultConfig: {fromTheFuture: 1}}"))
    assert [len(decoded.objects), len(decoded.errors), *map(str, decoded.warnings)] == [
        1,
        0,
        "warning: MeshConfig default/a: spec.defaultConfig.fromTheFuture: unknown setting, kept without effect",
    ]


def test_specs_are_values() -> None:
    (item,) = decode.decode_yaml(document("VirtualService", f"{{hosts: [a], http: [{{{ROUTE}}}]}}")).objects
    assert isinstance(item.spec, VirtualService)
    with pytest.raises(ValueError, match="frozen"):
        item.spec.hosts = ("b",)  # type: ignore[misc]
    with pytest.raises(TypeError, match="never changes"):
        item.metadata.labels["a"] = "b"  # type: ignore[index]


@pytest.mark.parametrize("row", kinds.KINDS, ids=lambda row: row.kind)
def test_every_kind_has_a_json_schema(row: kinds.Kind) -> None:
    assert row.spec.model_json_schema()["additionalProperties"] is (row.kind == "MeshConfig")


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["1s", "a", "*"])
)
CONTENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
DOCUMENTS = list(yaml.safe_load_all(FULL))


def replaced(content: Any, steps: list[int], leaf: Any) -> Any:
    """Return the content with one value, found by following the steps, replaced by the leaf."""
    if not steps or not content or not isinstance(content, dict | list):
        return leaf
    keys = sorted(content) if isinstance(content, dict) else range(len(content))
    key = keys[steps[0] % len(keys)]
    copy = dict(content) if isinstance(content, dict) else list(content)
    copy[key] = replaced(content[key], steps[1:], leaf)
    return copy


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(DOCUMENTS), st.lists(st.integers(0, 30), max_size=8), CONTENTS)
def test_no_mapping_makes_decoding_fail(content: dict[str, Any], steps: list[int], leaf: Any) -> None:
    changed = replaced(content, steps, leaf)
    if isinstance(changed, dict):
        decoded = decode.decode_mapping(changed)
        assert decoded.objects or decoded.violations or changed.get("kind") == "List"
        assert all(str(violation) for violation in decoded.violations)
        for item in decoded.objects:
            assert canonical_json(decode.encode(item)) == item.body


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, len(FULL)),
    st.integers(0, 40),
    st.text(max_size=5) | st.sampled_from(["[", "{", "*a", "&a", "---\n", "\t"]),
)
def test_no_text_makes_decoding_fail(start: int, length: int, insert: str) -> None:
    at = FULL.rfind("\n---", 0, start) + 1
    text = FULL[at:start] + insert + FULL[start + length : start + length + 800]
    assert all(str(violation) for violation in decode.decode_yaml(text, "x.yaml").violations)
