"""What an AuthorizationPolicy may say, and what its author is told."""

from textwrap import dedent

import pytest

from lateen.api.decode import decode_yaml

HEAD = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a}
"""


def faults(spec: str) -> list[str]:
    """What is wrong with a policy, as `path: message`."""
    decoded = decode_yaml(HEAD + dedent(spec), "policy.yaml")
    return [f"{one.path}: {one.message}" for one in decoded.violations]


@pytest.mark.parametrize(
    "spec",
    [
        "spec: {}",
        "spec: {rules: [{}]}",
        "spec: {rules: []}",
        "spec: {action: CUSTOM, provider: {name: p}, rules: [{}]}",
        "spec: {rules: [{to: [{operation: {hosts: ['a.example.com:*', '*.b'], paths: ['/a/{*}/{**}', '*/x', '*']}}]}]}",
        "spec: {rules: [{from: [{source: {serviceAccounts: [a, ns/b], ipBlocks: [10.0.0.1]}}]}]}",
        "spec: {rules: [{when: [{key: 'request.auth.claims[a][b]', values: ['x*']}]}]}",
        "spec: {rules: [{when: [{key: 'experimental.envoy.filters.network.mysql_proxy[db.t]', values: [x]}]}]}",
        "spec: {targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: g}]}",
    ],
)
def test_what_istio_accepts_is_accepted(spec: str) -> None:
    assert faults(spec) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("spec: {rules: null}", "spec.rules: must not be null: write `rules: [{}]` to match every request"),
        ("spec: {action: null}", "spec.action: must not be null: leave the field out"),
        ("spec: {rules: [{from: null}]}", "spec.rules[0].from: must not be null: leave from out to ask nothing of it"),
        ("spec: {rules: [{from: []}]}", "spec.rules[0].from: must not be an empty list"),
        ("spec: {rules: [{from: [{}]}]}", "spec.rules[0].from[0].source: must be set"),
        ("spec: {rules: [{from: [{source: {}}]}]}", "spec.rules[0].from[0].source: must have at least one field"),
        (
            "spec: {rules: [{from: [{source: {principals: []}}]}]}",
            "spec.rules[0].from[0].source.principals: must not be an empty list: leave principals out",
        ),
        (
            "spec: {rules: [{from: [{source: {principals: ['spiffe://a/b']}}]}]}",
            "spec.rules[0].from[0].source.principals[0]: must be written without spiffe://",
        ),
        (
            "spec: {rules: [{from: [{source: {namespaces: ['a*b']}}]}]}",
            "spec.rules[0].from[0].source.namespaces[0]: must have * only at its beginning or only at its end",
        ),
        (
            "spec: {rules: [{from: [{source: {serviceAccounts: ['a*']}}]}]}",
            "spec.rules[0].from[0].source.serviceAccounts[0]: must be a service account",
        ),
        (
            "spec: {rules: [{from: [{source: {serviceAccounts: [a], namespaces: [b]}}]}]}",
            "spec.rules[0].from[0].source.serviceAccounts: must not come together with principals or namespaces",
        ),
        (
            "spec: {rules: [{to: [{operation: {paths: [admin]}}]}]}",
            "spec.rules[0].to[0].operation.paths[0]: must begin with / or *",
        ),
        (
            "spec: {rules: [{to: [{operation: {paths: ['/a/{**}/b']}}]}]}",
            "spec.rules[0].to[0].operation.paths[0]: must have {**} only as its last segment",
        ),
        (
            "spec: {rules: [{to: [{operation: {methods: [get]}}]}]}",
            "spec.rules[0].to[0].operation.methods[0]: must be in upper case",
        ),
        (
            "spec: {rules: [{to: [{operation: {ports: ['0']}}]}]}",
            "spec.rules[0].to[0].operation.ports[0]: must be a port",
        ),
        (
            "spec: {rules: [{when: [{key: request.header, values: [a]}]}]}",
            "spec.rules[0].when[0].key: must be a known key, not 'request.header'; did you mean",
        ),
        ("spec: {rules: [{when: [{key: source.ip}]}]}", "spec.rules[0].when[0]: must have values or notValues"),
        (
            "spec: {rules: [{when: [{key: source.ip, values: [x]}]}]}",
            "spec.rules[0].when[0].values[0]: must be an IP address or a range",
        ),
        ("spec: {action: CUSTOM, rules: [{}]}", "spec.provider.name: must be set with action CUSTOM"),
        ("spec: {provider: {name: p}}", "spec.provider: must not be set with action ALLOW"),
        ("spec: {ruels: []}", "spec.ruels: unknown field; did you mean rules?"),
        (
            "spec: {selector: {matchLabels: {a: b}}, targetRefs: [{kind: Gateway, name: g}]}",
            "spec: must have only one of selector, targetRef, targetRefs",
        ),
    ],
)
def test_what_could_mean_less_than_it_seems_is_refused(spec: str, expected: str) -> None:
    found = faults(spec)
    assert len(found) == 1 and found[0].startswith(expected), found
