"""Which Secrets a proxy is given, what is read from them, and what is said of those that are of no use."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from lateen.model.proxy import Role
from lateen.plan import secrets
from lateen.plan.cache import PlanCache
from lateen.plan.planner import build_plan
from lateen.plan.types import ProxyPlan, ServedCertificate
from tests.envoy.identities import Authority
from tests.plan import worlds

AUTHORITY = Authority()
PAIR, OTHER = (AUTHORITY.pair(x509.DNSName("shop.example")) for _ in range(2))
GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: team}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 443, name: shop, protocol: HTTPS}, hosts: [shop.example], tls: {%s}}]
"""
AT = "Gateway team/edge spec.servers[0].tls"


def secret(name: str, namespace: str = "istio-system", **entries: str) -> str:
    data = {key.replace("_", "."): text for key, text in entries.items()}
    metadata = {"name": name, "namespace": namespace}
    return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})


def plan(tls: str, *written: str) -> ProxyPlan:
    return worlds.gateway_plan("\n---\n".join((GATEWAY % tls, *written)))


def given(made: ProxyPlan) -> list[str]:
    return [one.name for one in made.secrets]


def said(made: ProxyPlan) -> list[str]:
    return [str(diagnostic) for diagnostic in made.diagnostics]


def served(name: str, namespace: str = "istio-system", **more: str) -> str:
    return secret(name, namespace, tls_crt=PAIR.certificate, tls_key=PAIR.key, **more)


def test_a_gateway_is_given_what_its_servers_name_and_nothing_else() -> None:
    made = plan("mode: SIMPLE, credentialName: site", served("site"), served("other"), served("site-cacert"))
    assert (given(made), said(made)) == (["kubernetes://site"], [])


def test_secrets_come_from_the_namespace_of_the_workload_only() -> None:
    text = "\n---\n".join((GATEWAY % "mode: SIMPLE, credentialName: site", served("site", "team"), served("x")))
    view = worlds.view(worlds.snapshot(text), "istio-system", Role.GATEWAY, {"istio": "ingressgateway"})
    assert view.secrets == ()
    assert said(build_plan(view, PlanCache())) == [
        f"{AT}.credentialName: connections are refused: "
        "there is no Secret site in namespace istio-system, where the proxy runs"
    ]
    assert worlds.view(worlds.snapshot(text), "team", Role.GATEWAY, {"istio": "ingressgateway"}).secrets != ()


@pytest.mark.parametrize(
    ("tls", "written", "expected"),
    [
        ("credentialName: kubernetes://site", served("site", ca_crt=AUTHORITY.root), ["site-cacert", "site"]),
        ("credentialName: site", served("site", cacert=AUTHORITY.root), ["site-cacert", "site"]),
        (
            "credentialName: site, caCertCredentialName: them",
            served("site") + "\n---\n" + secret("them", ca_crt=AUTHORITY.root),
            ["them-cacert", "site"],
        ),
        (
            "credentialNames: [site, more]",
            served("site") + "\n---\n" + served("more") + "\n---\n" + secret("more-cacert", cacert=AUTHORITY.root),
            ["more-cacert", "site", "more"],
        ),
    ],
)
def test_authorities_are_found_in_all_the_places_that_they_may_be_in(
    tls: str, written: str, expected: list[str]
) -> None:
    made = plan(f"mode: MUTUAL, {tls}", written)
    assert (given(made), said(made)) == ([f"kubernetes://{name}" for name in expected], [])


def test_authorities_beside_a_secret_win_over_those_in_it() -> None:
    beside = Authority().root
    made = plan(
        "mode: MUTUAL, credentialName: site",
        served("site", ca_crt=AUTHORITY.root),
        secret("site-cacert", ca_crt=beside),
    )
    assert [one.certificates for one in made.secrets if not isinstance(one, ServedCertificate)] == [beside.encode()]  # type: ignore[union-attr]


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, password: bytes = b"") -> str:
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden).decode()


def self_signed(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> str:
    name, now = x509.Name([]), datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM).decode()


SMALL, ODD = rsa.generate_private_key(65537, 1024), ed25519.Ed25519PrivateKey.generate()
LOCKED = pem(ec.generate_private_key(ec.SECP256R1()), b"secret")


@pytest.mark.parametrize(
    ("entries", "field", "expected"),
    [
        ({"other": "x"}, "data", "has no certificate: it needs tls.crt and tls.key, or cert and key"),
        ({"tls_crt": PAIR.certificate}, "stringData.tls.crt", "has tls.crt without tls.key"),
        ({"tls_crt": "x", "tls_key": PAIR.key}, "stringData.tls.crt", "is no certificate in PEM"),
        (
            {"tls_crt": PAIR.certificate, "tls_key": "x"},
            "stringData.tls.key",
            "is no private key in PEM without a password",
        ),
        (
            {"tls_crt": PAIR.certificate, "tls_key": LOCKED},
            "stringData.tls.key",
            "is no private key in PEM without a password",
        ),
        ({"cert": PAIR.certificate, "key": OTHER.key}, "stringData.key", "is not the key of cert"),
        (
            {"tls_crt": AUTHORITY.root + PAIR.certificate, "tls_key": PAIR.key},
            "stringData.tls.crt",
            "must start with the certificate of the key; the ones that vouch for it follow",
        ),
        (
            {"tls_crt": self_signed(SMALL), "tls_key": pem(SMALL)},
            "stringData.tls.key",
            "is an RSA key of 1024 bits: it needs 2048",
        ),
        (
            {"tls_crt": self_signed(ODD), "tls_key": pem(ODD)},
            "stringData.tls.key",
            "is neither an RSA nor an ECDSA key: proxies take no other",
        ),
    ],
)
def test_a_certificate_of_no_use_is_not_given_and_its_fault_is_told(
    entries: dict[str, str], field: str, expected: str
) -> None:
    made = plan("mode: SIMPLE, credentialName: site", secret("site", **entries))
    assert (given(made), said(made)) == (
        [],
        [
            f"Secret istio-system/site {field}: {expected}",
            f"{AT}.credentialName: connections are refused: Secret istio-system/site is of no use",
        ],
    )
    (named,) = made.gateway[0].named
    assert [target.cluster for target in named.chain.targets] == ["BlackHoleCluster"]  # type: ignore[union-attr]
    assert named.tls is None


@pytest.mark.parametrize(
    ("entries", "field", "expected"),
    [
        ({}, "data", "has no authorities to verify others with: it needs ca.crt or cacert"),
        ({"ca_crt": "x"}, "stringData.ca.crt", "is no certificate in PEM"),
        ({"ca_crt": AUTHORITY.root, "ca_crl": "x"}, "stringData.ca.crl", "is no certificate revocation list in PEM"),
    ],
)
def test_without_good_authorities_no_client_is_let_in(entries: dict[str, str], field: str, expected: str) -> None:
    for mode in ("MUTUAL", "OPTIONAL_MUTUAL"):
        made = plan(f"mode: {mode}, credentialName: site", served("site", **entries))
        assert f"Secret istio-system/site {field}: {expected}" in said(made)
        assert made.gateway[0].named[0].tls is None


def test_of_two_certificates_the_good_one_is_served() -> None:
    made = plan("mode: SIMPLE, credentialNames: [site, gone]", served("site"))
    assert given(made) == ["kubernetes://site"]
    assert made.gateway[0].named[0].tls is not None
    assert said(made) == [
        f"{AT}.credentialNames[1]: is not served: "
        "there is no Secret gone in namespace istio-system, where the proxy runs"
    ]


def test_a_new_certificate_changes_its_secret_and_nothing_else() -> None:
    cache = PlanCache()
    first = worlds.snapshot("\n---\n".join((GATEWAY % "mode: SIMPLE, credentialName: site", served("site"))))
    renewed = secret("site", tls_crt=OTHER.certificate, tls_key=OTHER.key)
    text = "\n---\n".join((GATEWAY % "mode: SIMPLE, credentialName: site", renewed))
    second = worlds.snapshot(text, previous=first)
    before, after = (
        build_plan(worlds.view(world, "istio-system", Role.GATEWAY, {"istio": "ingressgateway"}), cache)
        for world in (first, second)
    )
    assert before.secrets != after.secrets
    assert before.gateway[0] is after.gateway[0]


def test_certificates_out_of_their_time_are_told() -> None:
    made = plan("mode: SIMPLE, credentialName: site", served("site"))
    (certificate,) = made.secrets
    assert isinstance(certificate, ServedCertificate)
    assert certificate.valid is not None
    start, end = certificate.valid
    assert list(secrets.untimely(made.secrets, start)) == []
    (late,) = secrets.untimely(made.secrets, end + timedelta(minutes=1))
    (early,) = secrets.untimely(made.secrets, start - timedelta(minutes=1))
    assert str(late) == (
        f"Secret istio-system/site stringData.tls.crt: expired on {end:%Y-%m-%d %H:%M} UTC: clients refuse it"
    )
    assert "is not valid before" in str(early)


def test_keys_are_not_shown() -> None:
    made = plan("mode: SIMPLE, credentialName: site", served("site"))
    assert "PRIVATE" not in repr(made)


RULE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: out}
spec: {hosts: [out.example], resolution: DNS, ports: [{number: 443, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: out}
spec:
  host: out.example
  %s
  trafficPolicy: {tls: {mode: MUTUAL, credentialName: mine}}
"""


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("workloadSelector: {matchLabels: {app: caller}}", ["kubernetes://mine", "kubernetes://mine-cacert"]),
        ("workloadSelector: {matchLabels: {app: other}}", []),
        ("", []),
    ],
)
def test_a_sidecar_is_given_secrets_only_by_rules_for_its_own_workload(selector: str, expected: list[str]) -> None:
    mine = served("mine", "default", ca_crt=AUTHORITY.root)
    made = worlds.plan(RULE % selector + "\n---\n" + mine, app="caller")
    assert given(made) == expected


def test_a_gateway_is_given_what_the_rules_for_its_destinations_name() -> None:
    mine = served("mine", ca_crt=AUTHORITY.root)
    made = worlds.gateway_plan(RULE % "exportTo: ['*']" + "\n---\n" + mine)
    assert given(made) == ["kubernetes://mine", "kubernetes://mine-cacert"]
