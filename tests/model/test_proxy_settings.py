"""How proxies are started: which of several settings holds for a workload."""

from datetime import timedelta
from typing import Any

import pytest

from lateen.api.config_set import ConfigSet
from lateen.api.decode import decode_yaml
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.model.proxy_settings import ProxySettings, proxy_settings

MESH = MeshConfig.model_validate({"defaultConfig": {"concurrency": 2, "proxyMetadata": {"A": "mesh", "B": "mesh"}}})


def config(*specs: tuple[str, str]) -> ConfigSet:
    text = "\n---\n".join(
        f"apiVersion: networking.istio.io/v1\nkind: ProxyConfig\nmetadata: {{name: c{number}, namespace: {place}}}\nspec: {spec}"
        for number, (place, spec) in enumerate(specs)
    )
    decoded = decode_yaml(text, "x.yaml")
    assert not decoded.violations
    return ConfigSet(decoded.objects)


def settled(written: ConfigSet, **annotations: str) -> ProxySettings:
    return proxy_settings(written, MESH, "shop", {"app": "cart"}, annotations)


ROOT = ("istio-system", "{concurrency: 3, environmentVariables: {A: root}}")
NAMESPACE = ("shop", "{concurrency: 4}")
OWN = ("shop", "{selector: {matchLabels: {app: cart}}, concurrency: 5}")
OTHER = ("shop", "{selector: {matchLabels: {app: till}}, concurrency: 6}")


@pytest.mark.parametrize(
    ("written", "concurrency"),
    [((), 2), ((ROOT,), 3), ((NAMESPACE, ROOT), 4), ((OTHER, OWN, NAMESPACE, ROOT), 5), ((OTHER,), 2)],
)
def test_the_nearest_setting_holds(written: tuple[Any, ...], concurrency: int) -> None:
    assert settled(config(*written)).concurrency == concurrency


def test_variables_are_laid_over_each_other() -> None:
    assert settled(config(ROOT)).environment == {"A": "root", "B": "mesh"}


def test_the_annotation_wins() -> None:
    own = {"proxy.istio.io/config": "concurrency: 7\ndrainDuration: 1s\nproxyMetadata: {A: own}\n"}
    found = proxy_settings(config(OWN), MESH, "shop", {"app": "cart"}, own)
    assert found == ProxySettings(7, {"A": "own", "B": "mesh"}, timedelta(seconds=1))


@pytest.mark.parametrize("text", ["{", "concurrency: [", "concurrency: many", "- a", "plain"])
def test_an_annotation_that_cannot_be_read_counts_as_not_there(text: str) -> None:
    own = {"proxy.istio.io/config": text, "sidecar.istio.io/logLevel": "loud"}
    assert proxy_settings(config(), MESH, "shop", {}, own) == ProxySettings(2, {"A": "mesh", "B": "mesh"})
