"""Roots of other trust domains as users write them."""

import json
from datetime import timedelta

import pytest

from lateen.api.decode import decode_yaml
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.plan import defaults
from lateen.platforms.local.mesh_identity import foreign_roots_of
from tests.auth.authorities import by_hand

PEM = by_hand("partner root", end=timedelta(days=36500)).pem.decode()


def written(**entry: object) -> str:
    spec = {"trustDomain": "own.example", "trustDomainAliases": ["old.example"], "caCertificates": [entry]}
    return json.dumps(
        {"apiVersion": "mesh.istio.io/v1alpha1", "kind": "MeshConfig", "metadata": {"name": "mesh"}, "spec": spec}
    )


def settings(**entry: object) -> MeshConfig:
    decoded = decode_yaml(written(**entry), "mesh.yaml")
    assert decoded.errors == ()
    spec = decoded.objects[0].spec
    assert isinstance(spec, MeshConfig)
    return spec


def test_a_root_is_for_the_trust_domains_that_it_is_written_for() -> None:
    mesh = settings(pem=PEM, trustDomains=["partner.example", "second.example"])
    assert [(root.trust_domain, root.pem) for root in foreign_roots_of(mesh)] == [
        ("partner.example", PEM),
        ("second.example", PEM),
    ]
    assert defaults.trust(mesh).domains == ("own.example", "old.example", "partner.example", "second.example")


def test_a_root_without_trust_domains_is_for_the_meshs_own() -> None:
    mesh = settings(pem=PEM)
    assert {root.trust_domain for root in foreign_roots_of(mesh)} == {"own.example", "old.example"}
    assert defaults.trust(mesh).domains == ("own.example", "old.example")


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"pem": "no certificate"}, "spec.caCertificates[0].pem: must be certificates in PEM"),
        ({"pem": PEM.replace("M", "A", 30)}, "spec.caCertificates[0].pem: must be certificates in PEM"),
        ({"pem": PEM, "trustDomains": ["Partner"]}, "spec.caCertificates[0].trustDomains[0]: must be a trust domain"),
        ({"pem": PEM, "trustDomain": "a"}, "trustDomain"),
        ({"trustDomains": ["a"]}, "spec.caCertificates[0].pem: must be set"),
        ({"spiffeBundleUrl": "https://a/b"}, "must be set: certificates in PEM; the bundle behind spiffeBundleUrl is"),
    ],
)
def test_what_is_wrong_is_told(entry: dict[str, object], told: str) -> None:
    assert told in "\n".join(map(str, decode_yaml(written(**entry), "mesh.yaml").violations))
