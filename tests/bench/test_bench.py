"""Every part of `python -m bench` measures something that can be, and leaves nothing behind."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench import startup
from lateen.platforms.local import directories, preflight

ROOT = Path(__file__).parent.parent.parent
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(bool(preflight.problems()), reason="this machine cannot run a mesh"),
]


def bench(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def measured(part: str) -> Any:
    run = bench(part, "--quick", "-o", "json")
    output, errors = run.communicate(timeout=100)
    assert run.returncode == 0, errors
    assert own_meshes(run) == []
    found = json.loads(output)
    assert found["machine"]["cores"] >= 1
    return found[part]


def own_meshes(run: "subprocess.Popen[str]") -> list[str]:
    return [name for name in directories.meshes() if name.endswith(f"-{run.pid}")]


def test_pushes_arrive_at_every_simulated_proxy() -> None:
    assert {(result["case"], result["clients"]) for result in measured("push")} >= {("W1", 20), ("W2", 20)}


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_both_pairs_of_proxies_carry_the_load() -> None:
    full_speed, fixed_rate = measured("dataplane")
    for result in (full_speed, fixed_rate):
        for side in ("lateen", "minimal"):
            for each in result["rounds"][side]:
                assert each["load"]["requests"] > 0
                assert 0 < each["load"]["p50_ms"] <= each["load"]["p99_ms"]
                assert each["client_cpu"] > 0 and each["server_cpu"] > 0
        assert all(0 < low <= middle <= high for low, middle, high in result["ratios"].values())


def test_a_start_passes_all_its_stages() -> None:
    (start,) = measured("startup")
    assert list(start["seconds"]) == list(startup.STAGES)
    assert 0 < start["seconds"][startup.STAGES[0]] < start["seconds"][startup.STAGES[1]]
    assert all(seconds > 0 for seconds in start["cpu"].values())


def test_private_memory_is_a_part_of_what_is_resident() -> None:
    found = measured("memory")
    assert set(found) == {"supervisor", "control plane", "a sidecar", "the ingress gateway"}
    assert all(0 < each["private"] <= each["rss"] for each in found.values())


def test_explaining_and_analyzing_are_measured() -> None:
    assert all(second > 0 for each in measured("explain") for second in each["seconds"])


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_measurement_takes_its_mesh_down(which: signal.Signals) -> None:
    run = bench("memory")
    deadline = time.monotonic() + 30
    while not own_meshes(run) and time.monotonic() < deadline:
        time.sleep(0.05)
    (mesh,) = own_meshes(run)
    run.send_signal(which)
    _, errors = run.communicate(timeout=40)
    assert run.returncode != 0, errors
    assert not directories.run_directory(mesh).exists()
