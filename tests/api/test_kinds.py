"""The table of kinds, as the command line and the decoder ask it."""

import pytest

from lateen.api import kinds

WORDS = {
    "vs": "VirtualService",
    "virtualservice": "VirtualService",
    "VirtualServices": "VirtualService",
    "virtualservices.networking.istio.io": "VirtualService",
    "deploy": "Deployment",
    "deployment.apps": "Deployment",
    "sts": "StatefulSet",
    "svc": "Service",
    "dr": "DestinationRule",
    "gw": "Gateway",
    "se": "ServiceEntry",
    "sa": "ServiceAccount",
    "cm": "ConfigMap",
    "ns": "Namespace",
    "po": "Pod",
    "secrets": "Secret",
}


@pytest.mark.parametrize(("word", "kind"), WORDS.items())
def test_a_word_finds_its_kind(word: str, kind: str) -> None:
    row = kinds.of_word(word)
    assert row is not None
    assert row.kind == kind


def test_an_unknown_word_finds_near_ones() -> None:
    assert kinds.of_word("virtalservice") is None
    assert "virtualservice" in kinds.near_words("virtalservice")


def test_no_two_kinds_share_a_word_or_a_spec_type() -> None:
    words = [word for row in kinds.KINDS for word in row.words]
    assert len(set(words)) == len(words)
    assert [kinds.of_spec(row.spec) for row in kinds.KINDS] == list(kinds.KINDS)


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
def test_every_version_of_istio_is_accepted(version: str) -> None:
    row = kinds.of_document(f"networking.istio.io/{version}", "Gateway")
    assert row is not None
    assert row.plural == "gateways"
