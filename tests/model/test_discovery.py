"""Which namespaces proxies know of, and that what does not change stays the same object."""

import pytest

from lateen.api.config_set import ConfigSet
from lateen.api.core.service import Service
from lateen.api.decode import decode_yaml
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.model.discovery import discovered, is_discovered
from lateen.model.snapshot import Inputs, first_snapshot, next_snapshot, whole

NAMESPACES = """
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: shop, mesh: "yes"}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: bank, labels: {team: bank}}}
---
{apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: a, namespace: bank}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: a, namespace: plain}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: a, namespace: istio-system}, spec: {ports: [{port: 80}]}}
"""
CONFIG = ConfigSet(decode_yaml(NAMESPACES, "x.yaml").objects)
EMPTY = ConfigSet()


def choosing(*selectors: dict[str, object]) -> MeshConfig:
    return MeshConfig.model_validate({"discoverySelectors": selectors})


@pytest.mark.parametrize(
    ("selectors", "known"),
    [
        ((), {"shop", "bank", "plain"}),
        (({"matchLabels": {"team": "shop"}},), {"shop"}),
        (({"matchLabels": {"team": "shop"}}, {"matchLabels": {"team": "bank"}}), {"shop", "bank"}),
        (({"matchLabels": {"team": "shop", "mesh": "no"}},), set()),
        (({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]},), {"plain"}),
        (({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["bank"]}]},), {"shop", "plain"}),
        (({"matchLabels": {"kubernetes.io/metadata.name": "plain"}},), {"plain"}),
        (({},), {"shop", "bank", "plain"}),
    ],
)
def test_any_selector_chooses_and_the_root_namespace_always_counts(
    selectors: tuple[dict[str, object], ...], known: set[str]
) -> None:
    mesh = choosing(*selectors)
    services = discovered(CONFIG, mesh, EMPTY).of(Service)
    assert {item.namespace for item in services} == known | {"istio-system"}
    assert {name for name in ("shop", "bank", "plain") if is_discovered(CONFIG, mesh)(name)} == known


def test_without_selectors_and_without_a_change_nothing_is_made_anew() -> None:
    assert discovered(CONFIG, MeshConfig(), EMPTY) is CONFIG
    mesh = choosing({"matchLabels": {"team": "shop"}})
    first = discovered(CONFIG, mesh, EMPTY)
    assert discovered(CONFIG, mesh, first).shelves(Service) is first.shelves(Service)


def test_services_of_other_namespaces_are_there_for_whoever_has_no_sidecar() -> None:
    snapshot = first_snapshot(Inputs(CONFIG, mesh=choosing({"matchLabels": {"team": "shop"}})))
    hosts = {"a.shop.svc.cluster.local", "a.istio-system.svc.cluster.local"}
    assert snapshot.services.keys() == hosts
    everything = whole(snapshot)
    assert everything.services.keys() == hosts | {"a.bank.svc.cluster.local", "a.plain.svc.cluster.local"}
    again, _ = next_snapshot(snapshot, snapshot.inputs)
    assert whole(again, everything).services is everything.services
