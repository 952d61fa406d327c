"""How proxies are started: which of several settings holds for a workload."""

from datetime import timedelta
from typing import Any

import pytest

from lateen.api.config_set import ConfigSet
from lateen.api.decode import decode_yaml
from lateen.api.mesh.mesh_config import MeshConfig, ProxyDefaults, TracingServiceName
from lateen.model.proxy_settings import ProxySettings, effective, faults, live_parts, proxy_settings

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


def test_what_a_workload_says_is_laid_over_the_mesh_s_field_by_field() -> None:
    mesh = ProxyDefaults.model_validate(
        {"proxyHeaders": {"server": {"value": "mesh"}, "requestId": {"disabled": True}}, "tracing": {"sampling": 1}}
    )
    own = live_parts({"proxy.istio.io/config": "{concurrency: 2, proxyHeaders: {server: {disabled: true}}}"})
    assert own == '{"proxyHeaders": {"server": {"disabled": true}}}'
    found = effective(mesh, own).model_dump(by_alias=True, exclude_unset=True)
    assert found == {
        "proxyHeaders": {"server": {"value": "mesh", "disabled": True}, "requestId": {"disabled": True}},
        "tracing": {"sampling": 1},
    }
    assert effective(mesh, "") is mesh


@pytest.mark.parametrize(
    ("limit", "threads"), [("2", 2), ("1500m", 2), ("100m", 1), ("0.5", 1), ("", None), ("many", None), ("0", 1)]
)
def test_a_limit_of_processors_says_how_many_threads_there_are(limit: str, threads: int | None) -> None:
    found = proxy_settings(config(), MeshConfig(), "shop", {}, {"sidecar.istio.io/proxyCPULimit": limit})
    assert found.concurrency == threads
    said = proxy_settings(config(), MESH, "shop", {}, {"sidecar.istio.io/proxyCPULimit": limit})
    assert said.concurrency == 2


def test_the_environment_says_how_a_proxy_ends() -> None:
    own = "{proxyMetadata: {EXIT_ON_ZERO_ACTIVE_CONNECTIONS: 'true', MINIMUM_DRAIN_DURATION: 2s}}"
    found = proxy_settings(config(), MESH, "shop", {}, {"proxy.istio.io/config": own})
    assert (found.waits_for_connections, found.minimum_drain) == (True, timedelta(seconds=2))
    assert r"listener\..*\.downstream_cx_active" in found.statistics.patterns
    assert not settled(config()).waits_for_connections


def test_start_settings_are_read() -> None:
    own = """
        runtimeValues: {a.b: "1"}
        fileFlushInterval: 3s
        fileFlushMinSizeKb: 4
        statsCompression: false
        tracingServiceName: CANONICAL_NAME_ONLY
        connectionSettings: {globalDownstreamConnectionLimit: 7}
        """
    found = proxy_settings(config(), MESH, "shop", {}, {"proxy.istio.io/config": own})
    assert (found.runtime, found.connections, found.log_flush, found.log_flush_kb) == (
        {"a.b": "1"},
        7,
        timedelta(seconds=3),
        4,
    )
    assert (found.statistics.compressed, found.service_name) == (False, TracingServiceName.CANONICAL_NAME_ONLY)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("concurrency: many", "concurrency must be a whole number, not 'many'"),
        ("- a", " must be like defaultConfig of MeshConfig"),
        ("proxyHeaders: {servers: {}}", "proxyHeaders.servers unknown field; did you mean server?"),
    ],
)
def test_a_wrong_annotation_says_what_is_wrong(text: str, fault: str) -> None:
    assert faults({"proxy.istio.io/config": text}) == (fault,)
