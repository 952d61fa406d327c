"""An Egress and the objects that it stands for."""

import pytest

from lateen.api.changes import Remove, Upsert
from lateen.api.config_set import ConfigSet
from lateen.api.decode import decode_yaml
from lateen.api.objects import ConfigObject
from lateen.api.structs import Struct
from lateen.api.traffic.expansion import EXPANDED_FROM


def egress(spec: str) -> ConfigObject[Struct]:
    text = f"apiVersion: lateen.dev/v1\nkind: Egress\nmetadata: {{name: shop, namespace: default}}\nspec: {spec}"
    decoded = decode_yaml(text, "shop.yaml")
    assert not decoded.violations
    return decoded.objects[0]


def names(config: ConfigSet) -> list[str]:
    return sorted(str(item.key) for item in config if item.key.kind != "Egress")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{hosts: [a.example]}", ["ServiceEntry default/egress-shop"]),
        (
            "{hosts: [a.example], originateTls: {}}",
            ["DestinationRule default/egress-shop", "ServiceEntry default/egress-shop"],
        ),
        (
            "{hosts: [a.example, b.example], gateway: {}}",
            [
                "DestinationRule default/egress-shop-gateway",
                "Gateway default/egress-shop",
                "ServiceEntry default/egress-shop",
                "VirtualService default/egress-shop",
                "VirtualService default/egress-shop-1",
            ],
        ),
    ],
)
def test_one_object_stands_for_several(spec: str, expected: list[str]) -> None:
    config = ConfigSet([egress(spec)])
    assert names(config) == expected
    made = [item for item in config if item.key.kind != "Egress"]
    assert {item.metadata.annotations[EXPANDED_FROM] for item in made} == {"shop"}
    assert {item.source.place() for item in made} == {"shop.yaml:1"}


def test_what_it_stands_for_follows_its_changes() -> None:
    whole = ConfigSet([egress("{hosts: [a.example, b.example], gateway: {}}")])
    small = whole.apply([Upsert(egress("{hosts: [a.example]}"))])
    assert small == ConfigSet([egress("{hosts: [a.example]}")])
    assert len(small.apply([Remove(egress("{hosts: [a.example]}").key)])) == 0
