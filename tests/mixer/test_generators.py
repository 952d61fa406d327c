"""Attributes that the template kubernetes finds out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

from lateen.mixer import generators
from lateen.mixer.manifests import KNOWN
from lateen.mixer.values import ABSENT, Bag, Value
from tests.mixer.mixes import bag, document, ready_rules

REVIEWS: Mapping[str, Value] = {
    "name": "reviews-v3-1",
    "namespace": "default",
    "labels": {"app": "reviews"},
    "ip": ip_address("10.0.0.7"),
    "workload.name": "reviews-v3",
}
INSTANCE = document(
    "kubernetes",
    "attributes",
    """
    source_uid: source.uid | ""
    source_ip: source.ip | ip("0.0.0.0")
    attribute_bindings:
      source.ip: $out.source_pod_ip | ip("0.0.0.0")
      source.labels: $out.source_labels | emptyStringMap()
      source.namespace: $out.source_namespace | "default"
      source.workload.name: output.source_workload_name
      source.owner: output.source_owner
    """,
    "istio-system",
)
HANDLER = document("kubernetesenv", "handler", namespace="istio-system")
RULE = document(
    "rule",
    "kubeattrgen",
    "actions: [{handler: handler.kubernetesenv, instances: [attributes.kubernetes]}]",
    "istio-system",
)


@dataclass
class Directory:
    """Knows one workload."""

    uids: dict[str, Mapping[str, Value]] = field(default_factory=dict)
    addresses: dict[str, Mapping[str, Value]] = field(default_factory=dict)

    def by_uid(self, uid: str) -> Mapping[str, Value]:
        return self.uids.get(uid, {})

    def by_address(self, address: str) -> Mapping[str, Value]:
        return self.addresses.get(address, {})


KNOWS = Directory({"kubernetes://reviews-v3-1.default": REVIEWS}, {"10.0.0.7": REVIEWS})


def generated(values: Mapping[str, Value]) -> Bag:
    rules = ready_rules(INSTANCE, HANDLER, RULE)
    return generators.with_generated(rules, bag(values), "default", KNOWS, KNOWN)


def test_a_workload_is_found_by_its_id_or_else_by_its_address() -> None:
    for found in (
        generated({"source.uid": "kubernetes://reviews-v3-1.default"}),
        generated({"source.uid": "kubernetes://gone.default", "source.ip": ip_address("10.0.0.7")}),
    ):
        assert found.get("source.workload.name") == "reviews-v3"
        assert found.entry("source.labels", "app") == "reviews"
        assert found.get("source.owner") is ABSENT


def test_what_is_known_already_stays() -> None:
    found = generated({"source.uid": "kubernetes://reviews-v3-1.default", "source.namespace": "attested"})
    assert found.get("source.namespace") == "attested"


def test_a_stranger_has_only_what_the_bindings_say_for_strangers() -> None:
    found = generated({})
    assert (found.get("source.namespace"), found.get("source.labels")) == ("default", {})
    assert found.get("source.workload.name") is ABSENT
