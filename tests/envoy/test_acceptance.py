"""The real Envoy accepts, without a warning, everything that a plan can ask for."""

import json
import subprocess
from pathlib import Path

import pytest

from lateen.envoy.bootstrap import bootstrap
from lateen.envoy.cache import ResourceCache
from lateen.envoy.resources import resource_set
from lateen.plan.telemetry_types import LogFile
from lateen.plan.types import ProxyPlan

from .acceptance import accepted_by_envoy, envoy_path
from .plans import GATEWAY, SIDECAR, logged, lookup


@pytest.mark.parametrize("plan", [SIDECAR, GATEWAY], ids=["sidecar", "gateway"])
def test_everything_that_a_plan_can_hold_is_accepted(plan: ProxyPlan) -> None:
    assert accepted_by_envoy(resource_set(plan, lookup, ResourceCache())) == ""


def test_a_log_format_of_the_users_own_is_accepted() -> None:
    logs = (
        LogFile("/dev/stdout", format="%RESPONSE_CODE% %DURATION%"),
        LogFile("/dev/stdout", json=True, format='{"code": "%RESPONSE_CODE%"}'),
    )
    sets = [
        resource_set(ProxyPlan(**{**_fields(GATEWAY), "telemetry": logged(log)}), lookup, ResourceCache())
        for log in logs
    ]
    assert accepted_by_envoy(*sets) == ""


def test_the_bootstrap_is_accepted(tmp_path: Path) -> None:
    config = tmp_path / "bootstrap.json"
    sockets = {"xds_socket": "/x", "sds_socket": "/s", "admin_socket": f"{tmp_path}/a", "mixer_socket": "/m"}
    sockets |= {"traces_socket": "/t", "metrics_socket": "/p", "metrics_path": "/workloads/a/b/metrics"}
    whole = bootstrap("sidecar~1~a.b~b.svc.c", "a.b", metadata={"A": 1}, **sockets)
    config.write_text(json.dumps(whole))
    command = [envoy_path(), "--mode", "validate", "-c", config, "-l", "warning"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def _fields(plan: ProxyPlan) -> dict[str, object]:
    return {name: getattr(plan, name) for name in plan.__slots__}
