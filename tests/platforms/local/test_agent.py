"""The node agent with a real supervisor, real namespaces and real processes."""

import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import envoy
import pytest

from .live_mesh import home_of, live_mesh, python_for, until

pytestmark = pytest.mark.live

ENVOY = Path(envoy.__path__[0], "_bin", "envoy")

SERVER = """
import http.server, os, pathlib, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        broken = pathlib.Path(sys.argv[2], "broken").exists()
        self.send_response(503 if broken else 200)
        self.end_headers()
    def log_message(self, *_): pass
print("serving as", os.environ.get("ROLE"), flush=True)
http.server.HTTPServer(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
"""

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, version: v1}}
    spec:
      terminationGracePeriodSeconds: 1
      initContainers:
      - {name: first, image: any, command: [sh, -c, "echo $(POD) > ./$HOSTNAME.init"],
         env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]}
      containers:
      - name: web
        image: any
        command: [python3, ./server.py, "8000", .]
        env: [{name: ROLE, value: VALUE}]
        ports: [{name: http, containerPort: 8000}]
        readinessProbe: {httpGet: {port: http, path: /}, periodSeconds: 1, failureThreshold: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
"""


@dataclass
class Running:
    """A mesh whose control plane is an agent that follows a folder of config."""

    folder: Path
    directory: Path = Path()

    @property
    def state(self) -> dict[str, Any]:
        with contextlib.suppress(FileNotFoundError):
            state: dict[str, Any] = json.loads((self.directory / "rows.json").read_text())
            return state
        return {"workloads": [], "published": [], "settled": False}

    @property
    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.state["workloads"]
        return rows

    @property
    def reports(self) -> list[str]:
        return self._read("reports").splitlines()

    @property
    def told(self) -> str:
        return self._read("told")

    def log(self, path: str) -> str:
        return Path(path).read_text()

    def _read(self, name: str) -> str:
        file = self.directory / name
        return file.read_text() if file.exists() else ""

    def show(self) -> None:
        for name in ("control-plane.log", "told", "reports"):
            print(f"--- {name}\n{self._read(name)}")
        print(json.dumps(self.state, indent=1))

    def write(self, name: str, text: str) -> None:
        new = self.folder / f"{name}.new"
        new.write_text(text)
        new.replace(self.folder / f"{name}.yaml")

    async def ready(self, count: int) -> list[dict[str, Any]]:
        await until(lambda: [row["is_ready"] for row in self.rows] == [True] * count, 20)
        return self.rows


@contextlib.asynccontextmanager
async def running(user: str, **files: str) -> AsyncIterator[Running]:
    """A mesh that is run by an agent, with these files of config; the apps' folder is the same."""
    with home_of(user) as (folder, prefix):
        (folder / "server.py").write_text(SERVER)
        up = Running(folder)
        for name, text in files.items():
            up.write(name, text)
        folder.chmod(0o777)
        program = Path(__file__).with_name("agent_program.py")
        argv = json.dumps([python_for(prefix), str(program), str(ENVOY), str(folder)])
        async with live_mesh(user, control_plane=argv) as mesh:
            up.directory = mesh.directory
            try:
                yield up
            except AssertionError:
                up.show()
                raise


def deployment(replicas: int = 1, role: str = "one") -> str:
    return WEB.replace("REPLICAS", str(replicas)).replace("VALUE", role)


async def test_a_deployment_runs_scales_and_goes(user: str) -> None:
    async with running(user, web=deployment()) as up:
        (row,) = await up.ready(1)
        assert row["owner"] == "Deployment/web"
        assert [each["name"] for each in row["containers"]] == ["first", "web", "istio-proxy"]
        assert up.reports[:2] == [f"{row['name']} unready", f"{row['name']} ready"]
        assert (up.folder / f"{row['name']}.init").read_text().strip() == row["name"]
        await until(lambda: [each["ready_targets"] for each in up.state["published"]] == [1])
        up.write("web", deployment(2))
        rows = await up.ready(2)
        assert row["name"] in [each["name"] for each in rows]
        (up.folder / "web.yaml").unlink()
        await until(lambda: up.state["workloads"] == [], 10)
        assert up.reports[-4:].count(f"{row['name']} unready") == 1
        assert f"{row['name']} removed" in up.reports[-2:]


async def test_a_changed_template_replaces_the_old_pod_only_when_the_new_one_is_ready() -> None:
    async with running("root", web=deployment(role="one")) as up:
        (old,) = await up.ready(1)
        up.write("web", deployment(role="two"))
        await until(lambda: len(up.rows) == 1 and up.rows[0]["name"] != old["name"], 20)
        (new,) = await up.ready(1)
        assert up.reports.index(f"{new['name']} ready") < up.reports.index(f"{old['name']} unready", 1)
        assert "serving as two" in up.log(new["containers"][1]["log"])


async def test_a_killed_app_leaves_the_mesh_at_once_and_comes_back() -> None:
    async with running("root", web=deployment()) as up:
        (row,) = await up.ready(1)
        os.kill(row["containers"][1]["pid"], signal.SIGKILL)
        await until(lambda: up.reports[-1].endswith("unready"), 1)
        await until(lambda: up.rows[0]["restarts"] == 1)
        (again,) = await up.ready(1)
        assert again["name"] == row["name"]
        assert "web ended (killed by SIGKILL) and is restarted" in up.told


async def test_a_failing_readiness_probe_takes_the_endpoint_out_and_brings_it_back() -> None:
    async with running("root", web=deployment()) as up:
        await up.ready(1)
        (up.folder / "broken").touch()
        await until(lambda: up.reports[-1].endswith("unready"), 5)
        (up.folder / "broken").unlink()
        await until(lambda: up.reports[-1].endswith(" ready"))
        assert up.rows[0]["restarts"] == 0


async def test_a_new_control_plane_takes_everything_over_untouched(user: str) -> None:
    async with running(user, web=deployment(2)) as up:
        before = await up.ready(2)
        reports = len(up.reports)
        control_plane = up.state["pid"]
        os.kill(control_plane, signal.SIGKILL)
        await until(lambda: up.state["pid"] != control_plane and len(up.reports) > reports, 10)
        after = await up.ready(2)
        assert pids(after) == pids(before)
        assert [line.rpartition(" ")[2] for line in up.reports[reports:]] == ["ready", "ready"]


async def test_an_app_that_cannot_be_found_is_named_and_starts_when_the_config_is_repaired() -> None:
    broken = deployment().replace("[python3, ./server.py", "[no-such-program")
    async with running("root", web=broken) as up:
        await until(lambda: "no-such-program" in up.told, 10)
        await until(lambda: up.rows[0]["status"] == "CannotStart")
        up.write("web", deployment())
        await up.ready(1)


def pids(rows: list[dict[str, Any]]) -> list[int]:
    return [container["pid"] for row in rows for container in row["containers"]]
