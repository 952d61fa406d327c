"""Volumes as containers find them: real processes, with a real supervisor and agent."""

from pathlib import Path

import pytest

from lateen.platforms.local import namespaces

from .live_mesh import output, until
from .test_agent import Running, running

pytestmark = pytest.mark.live

SETTINGS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: COLOR}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {token: t0p}
"""

WEB = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 1
  volumes:
  - {name: settings, configMap: {name: settings}}
  - {name: keys, secret: {secretName: keys}}
  - {name: shared, emptyDir: {}}
  - {name: tmp, emptyDir: {}}
  initContainers:
  - {name: first, command: [sh, -c, "echo from first > /lateen-shared/first"],
     volumeMounts: [{name: shared, mountPath: /lateen-shared}]}
  containers:
  - name: one
    command: [sh, -c, "cat /etc/lateen-test/color /lateen-keys/token /lateen-shared/first; touch /tmp/one; exec sleep 100"]
    volumeMounts:
    - {name: settings, mountPath: /etc/lateen-test}
    - {name: keys, mountPath: /lateen-keys}
    - {name: shared, mountPath: /lateen-shared}
    - {name: tmp, mountPath: /tmp}
    readinessProbe: {exec: {command: [test, -f, /etc/lateen-test/color]}, periodSeconds: 1}
  - name: two
    command: [sh, -c, "while :; do cat /lateen-shared/first; sleep 0.1; done"]
    volumeMounts: [{name: shared, mountPath: /lateen-shared}]
"""

DATABASE = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  selector: {matchLabels: {app: db}}
  volumeClaimTemplates: [{metadata: {name: data}}]
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: db
        command: [sh, -c, "echo VERSION >> /var/lib/lateen-test/journal; cat /var/lib/lateen-test/journal; exec sleep 100"]
        volumeMounts: [{name: data, mountPath: /var/lib/lateen-test}]
"""


async def inside(up: Running, user: str, *command: str) -> str:
    """What a command prints in the sandbox of the only pod, entered as `lateen exec` does."""
    ids = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--") if user == "user" else ()
    holder: int = up.rows[0]["holder_pid"]
    return await output(*ids, *namespaces.enter_argv(holder, command, rootless=user != "root"))


def log(up: Running, container: str) -> str:
    paths = (each["log"] for row in up.rows for each in row["containers"] if each["name"] == container)
    return "".join(Path(path).read_text() for path in paths if path)


async def test_containers_read_config_share_folders_and_see_changes(user: str) -> None:
    async with running(user, settings=SETTINGS.replace("COLOR", "red"), web=WEB) as up:
        (row,) = await up.ready(1)
        assert log(up, "one") == "redt0pfrom first\n"
        await until(lambda: "from first" in log(up, "two"))
        assert not Path("/etc/lateen-test").exists() and not Path("/lateen-keys").exists()
        assert not Path("/tmp/one").exists()
        assert await inside(up, user, "stat", "--dereference", "--format=%a", "/lateen-keys/token") == "600"
        up.write("settings", SETTINGS.replace("COLOR", "green"))
        volume = up.directory / "w" / "web.default" / "volumes" / "settings"
        await until(lambda: (volume / "color").read_text() == "green")
        assert await inside(up, user, "cat", "/etc/lateen-test/color") == "green"
        assert [each["pid"] for each in up.rows[0]["containers"]] == [each["pid"] for each in row["containers"]]
        (up.folder / "web.yaml").unlink()
        await until(lambda: up.rows == [], 10)
        assert not volume.exists()


async def test_a_pod_waits_for_its_config_and_says_so(user: str) -> None:
    async with running(user, web=WEB) as up:
        expected = "web: waits for what it mounts: volume settings: ConfigMap settings does not exist"
        await until(lambda: expected in up.told, 10)
        up.write("settings", SETTINGS.replace("COLOR", "red"))
        await up.ready(1)


async def test_a_stateful_sets_data_outlive_its_pods(user: str) -> None:
    async with running(user, db=DATABASE.replace("VERSION", "one")) as up:
        await until(lambda: log(up, "db") == "one\n", 10)
        up.write("db", DATABASE.replace("VERSION", "two"))
        await until(lambda: log(up, "db").endswith("one\ntwo\n"), 20)
        assert (up.directory / "claims" / "default" / "data-db-0" / "journal").read_text() == "one\ntwo\n"
        assert not Path("/var/lib/lateen-test").exists()
