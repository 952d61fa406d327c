"""Tables from dumps that a real Envoy gave."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from lateen.auth import trust
from lateen.cli import envoy_summary, proxy_config
from lateen.cli.failures import BadInput
from tests.auth.authorities import REVIEWS
from tests.serving.identity import authority, credentials

DUMPS = Path(__file__).parent / "dumps"


def dump(page: str) -> Any:
    return json.loads((DUMPS / f"{page}.json").read_text())


def rows(what: str, **filters: str | int) -> list[tuple[object, ...]]:
    section = envoy_summary.SECTIONS[what]
    return [tuple(row) for row in section.tell(dump(section.page), proxy_config.row_filter(what, filters))]


def test_listeners_by_port_with_the_match_of_every_chain() -> None:
    assert rows("listeners") == [
        (
            "10.96.0.7",
            3306,
            "ALL",
            "Clusters: outbound|3306|v1|mysql.default.svc.cluster.local 90, "
            "outbound|3306||mysql.default.svc.cluster.local 10",
        ),
        ("0.0.0.0", 9080, "Trans: raw_buffer; App: http/1.1,h2c", "Route: 9080"),
        ("0.0.0.0", 9080, "ALL", "Cluster: PassthroughCluster"),
        ("127.0.0.1", 39001, "Port: 39001", "Cluster: BlackHoleCluster"),
        ("127.0.0.1", 39001, "ALL", "Cluster: PassthroughCluster"),
        ("127.0.0.1", 39006, "Port: 9080; Addr: 10.244.1.0/24", "Cluster: inbound|9080||"),
        ("127.0.0.1", 39006, "SNI: a.example; Trans: tls", "Cluster: InboundPassthroughCluster"),
        ("127.0.0.1", 39021, "ALL", "Cluster: xds"),
        ("127.0.0.1", 39053, "ALL", "Filter: envoy.filters.udp.dns_filter"),
    ]


def test_policies_with_their_filters_and_rules() -> None:
    rules = {"rules": {"policies": {"ns[a]-policy[b]-rule[0]": {}}}}
    passed_over = {"extension_config": {"name": "x", "typed_config": rules}}
    chain = [
        {"name": "envoy.filters.http.jwt_authn", "typed_config": {}},
        {"name": "envoy.filters.http.rbac", "typed_config": {"shadow_rules": {"policies": {"any[0]": {}}}}},
        {"name": "envoy.filters.http.rbac", "typed_config": passed_over},
    ]
    found = [
        {"name": "policies|inbound|9080", "typed_config": {"default_filter_chain": {"filters": chain}}},
        {"name": "policies|inbound|80", "typed_config": {}},
    ]
    part = {"@type": "x.EcdsConfigDump", "ecds_filters": [{"ecds_filter": one} for one in found]}
    told = envoy_summary.SECTIONS["policies"].tell({"configs": [part]}, lambda _: True)
    assert [tuple(row) for row in told] == [
        ("policies|inbound|80", "none", ""),
        ("policies|inbound|9080", "jwt_authn, rbac, rbac", "any[0], ns[a]-policy[b]-rule[0]"),
    ]


def test_routes_in_their_order_of_matching() -> None:
    reviews = ("9080", "reviews.default.svc.cluster.local:9080", "reviews + 3 more")
    v1, v2 = (f"outbound|9080|{subset}|reviews.default.svc.cluster.local" for subset in ("v1", "v2"))
    assert rows("routes", fqdn="reviews.default.svc.cluster.local") == [
        (*reviews, "/* if end-user", "reviews.default", v2),
        (*reviews, "/*", "reviews.default", f"{v1} 90, {v2} 10"),
    ]
    assert [row[3:] for row in rows("routes", fqdn="details.default.svc.cluster.local")] == [
        ("/old", "", "redirect"),
        ("regex /x.*", "", "answer 503"),
        ("/api/*", "", "outbound|9080||details.default.svc.cluster.local"),
    ]
    assert rows("routes")[-1][:2] == ("inbound|9080||", "inbound|http|9080")


def test_clusters_with_the_rule_that_they_come_from() -> None:
    assert rows("clusters", fqdn="reviews.default.svc.cluster.local") == [
        ("reviews.default.svc.cluster.local", 9080, "v1", "outbound", "STATIC", "reviews.default"),
        ("reviews.default.svc.cluster.local", 9080, "v2", "outbound", "EDS", ""),
    ]
    assert rows("clusters", direction="inbound") == [("", 9080, "", "inbound", "ORIGINAL_DST", "")]
    assert ("BlackHoleCluster", None, "", "", "STATIC", "") in rows("clusters")


def test_endpoints_with_their_health() -> None:
    v2 = "outbound|9080|v2|reviews.default.svc.cluster.local"
    assert rows("endpoints", cluster=v2) == [
        ("10.244.0.10:9080", "HEALTHY", "OK", v2),
        ("10.244.0.11:9080", "DRAINING", "OK", v2),
    ]
    assert [row[0] for row in rows("endpoints", status="unhealthy")] == ["10.244.0.12:9080"]


def test_an_ejected_endpoint_fails_the_outlier_check() -> None:
    host = {"address": {"socket_address": {"address": "10.0.0.1", "port_value": 80}}}
    host["health_status"] = {"failed_outlier_check": True, "eds_health_status": "HEALTHY"}
    status = {"cluster_statuses": [{"name": "c", "host_statuses": [host]}]}
    assert envoy_summary.SECTIONS["endpoints"].tell(status, lambda _: True) == (
        ("10.0.0.1:80", "HEALTHY", "FAILED", "c"),
    )


def test_json_gives_the_resources_of_which_a_row_matches() -> None:
    section = envoy_summary.SECTIONS["listeners"]
    found = section.select(dump("config_dump"), proxy_config.row_filter("listeners", {"port": 9080}))
    assert [listener["name"] for listener in found] == ["0.0.0.0_9080"]


def test_a_bootstrap_is_shown_without_the_list_of_what_envoy_was_built_with() -> None:
    node = {"id": "sidecar~x", "extensions": [{"name": "x"}]}
    part = {"@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump", "bootstrap": {"node": node}}
    assert envoy_summary.bootstrap({"configs": [part]}) == {"node": {"id": "sidecar~x"}}


def test_only_destination_rules_are_named_as_such() -> None:
    path = "/api/v1/namespaces/default/service/web"
    cluster = {"name": "outbound|80||web", "metadata": {"filter_metadata": {"istio": {"config": path}}}}
    dump = {
        "configs": [
            {
                "@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump",
                "dynamic_active_clusters": [{"cluster": cluster}],
            }
        ]
    }
    (row,) = envoy_summary.SECTIONS["clusters"].tell(dump, lambda _: True)
    assert row.destination_rule == ""


def test_an_empty_dump_is_no_error() -> None:
    for section in envoy_summary.SECTIONS.values():
        assert section.tell({}, lambda _: True) == ()
    assert envoy_summary.bootstrap({}) == {}


def test_a_filter_of_another_kind_is_refused() -> None:
    with pytest.raises(BadInput, match="--subset does not apply to routes; these do: --route, --fqdn"):
        proxy_config.row_filter("routes", {"subset": "v1"})


def test_secrets_with_every_authority_that_is_believed() -> None:
    old, new = authority(), authority()
    mine = credentials(new, REVIEWS, old)
    own = {"certificate_chain": _inline(mine.chain_pem), "private_key": _inline("[redacted]")}
    part = {
        "@type": "type.googleapis.com/envoy.admin.v3.SecretsConfigDump",
        "dynamic_active_secrets": [
            {"name": "ROOTCA", "secret": {"validation_context": {"trusted_ca": _inline(mine.bundle.pem)}}},
            {"name": "default", "secret": {"tls_certificate": own}},
        ],
        "dynamic_warming_secrets": [{"name": "kubernetes://shop", "secret": {"name": "kubernetes://shop"}}],
    }
    found = [tuple(row) for row in envoy_summary.SECTIONS["secrets"].tell({"configs": [part]}, lambda _: True)]
    issued = mine.certificate.issued
    ends = f"{issued.not_after:%Y-%m-%dT%H:%M:%SZ}", f"{issued.not_before:%Y-%m-%dT%H:%M:%SZ}"
    assert found[0] == ("default", "Cert Chain", "ACTIVE", "true", f"{issued.serial:x}", *ends)
    assert {row[4] for row in found[1:3]} == {f"{each.root.serial_number:x}" for each in (old, new)}
    assert [row[:4] for row in found[1:3]] == [("ROOTCA", "CA", "ACTIVE", "true")] * 2
    assert found[3] == ("kubernetes://shop", "", "WARMING", "false", "", "", "")


def test_secrets_with_the_authorities_of_every_trust_domain() -> None:
    ours, partners = authority(), authority("partner.example")
    told = {
        "trust_domains": [
            {"name": domain, "trust_bundle": _inline(trust.certificate_pem(each.root))}
            for domain, each in (("cluster.local", ours), ("partner.example", partners))
        ]
    }
    context = {"custom_validator_config": {"name": "envoy.tls.cert_validator.spiffe", "typed_config": told}}
    part = {
        "@type": "type.googleapis.com/envoy.admin.v3.SecretsConfigDump",
        "dynamic_active_secrets": [{"name": "ROOTCA", "secret": {"validation_context": context}}],
    }
    found = [tuple(row) for row in envoy_summary.SECTIONS["secrets"].tell({"configs": [part]}, lambda _: True)]
    assert [row[4] for row in found] == [f"{each.root.serial_number:x}" for each in (ours, partners)]


def _inline(text: str) -> dict[str, str]:
    return {"inline_bytes": base64.b64encode(text.encode()).decode()}


def test_a_gateway_s_servers_with_their_certificates() -> None:
    def chain(name: str, secret: str, *, asks: bool) -> dict[str, object]:
        context: dict[str, object] = {
            "common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": secret}]},
            "require_client_certificate": asks,
        }
        return {
            "filter_chain_match": {"server_names": [name], "transport_protocol": "tls"},
            "filters": [{"typed_config": {"rds": {"route_config_name": f"https.443.{name}"}}}],
            "transport_socket": {"typed_config": context},
        }

    chains = [
        chain("a", "kubernetes://a", asks=False),
        chain("b", "kubernetes://b", asks=True),
        chain("c", "default", asks=True),
    ]
    listener = {"address": {"socket_address": {"address": "0.0.0.0", "port_value": 443}}, "filter_chains": chains}
    page = {
        "@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump",
        "dynamic_listeners": [{"active_state": {"listener": listener}}],
    }
    told = envoy_summary.SECTIONS["listeners"].tell({"configs": [page]}, lambda _: True)
    assert [row[2:] for row in told] == [
        ("SNI: a; Trans: tls", "Route: https.443.a (TLS: kubernetes://a)"),
        ("SNI: b; Trans: tls", "Route: https.443.b (TLS: kubernetes://b, asks for the client's)"),
        ("SNI: c; Trans: tls", "Route: https.443.c"),
    ]
