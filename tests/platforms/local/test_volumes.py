"""What a pod's volumes are: the files in them, where they are mounted, and what is said about them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from lateen.api.config_set import ConfigSet
from lateen.api.decode import decode_yaml
from lateen.platforms.local import pods, volumes
from lateen.platforms.local.containers import Ground
from lateen.platforms.local.environment import Missing, Sources
from lateen.platforms.local.notices import notices_of
from lateen.platforms.local.pods import PodDesign
from lateen.platforms.local.protocol import Mount
from lateen.platforms.local.volume_folders import PodVolumes, read_files, write_files
from lateen.platforms.local.volumes import File, contents_of

CONFIG = ConfigSet(
    decode_yaml(
        """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: red, size: big}
binaryData: {logo: /wA=}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {token: t0p}
"""
    ).objects
)
POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {tier: a, app: web}, annotations: {note: 'a"b'}}
spec:
  volumes: [VOLUMES]
  containers:
  - {name: web, command: [x], volumeMounts: [MOUNTS], resources: {limits: {cpu: 500m}}}
  MORE
"""
STATEFUL_SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce]}}]
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, command: [x], volumeMounts: [{name: data, mountPath: /data}]}]}
"""


def owner(text: str) -> pods.Owner:
    decoded = decode_yaml(text, "/config/app.yaml")
    assert not decoded.violations, decoded.violations
    (found,) = pods.desired_owners(ConfigSet(decoded.objects))
    return found


def pod(volume: str = "", mounts: str = "", more: str = "") -> pods.Owner:
    return owner(POD.replace("VOLUMES", volume).replace("MOUNTS", mounts).replace("MORE", more))


def design(found: pods.Owner, name: str = "web") -> PodDesign:
    return pods.design_pod(found, name, "10.244.1.1")


def folders(found: PodDesign, run: Path = Path("/run/m"), config: ConfigSet = CONFIG) -> PodVolumes:
    empty: Mapping[str, Mapping[str, str]] = {}
    sources = Sources(config_map=empty.get, secret=empty.get)
    home = found.folder or Ground().folder
    return PodVolumes(found, run, home, lambda name: contents_of(config, name), lambda _: sources)


FILES = {
    "{name: v, configMap: {name: settings}}": {
        "color": File(b"red"),
        "size": File(b"big"),
        "logo": File(b"\xff\x00"),
    },
    "{name: v, configMap: {name: settings, defaultMode: 0400, items: [{key: color, path: a/b}]}}": {
        "a/b": File(b"red", 0o400)
    },
    "{name: v, configMap: {name: settings, items: [{key: color, path: a, mode: 0755}]}}": {"a": File(b"red", 0o755)},
    "{name: v, configMap: {name: none, optional: true}}": {},
    "{name: v, configMap: {name: settings, optional: true, items: [{key: none, path: a}]}}": {},
    "{name: v, secret: {secretName: keys}}": {"token": File(b"t0p", 0o600)},
    "{name: v, secret: {secretName: keys, defaultMode: 0644}}": {"token": File(b"t0p", 0o640)},
    "{name: v, downwardAPI: {items: [{path: l, fieldRef: {fieldPath: metadata.labels}},"
    " {path: a, fieldRef: {fieldPath: metadata.annotations}, mode: 0600}]}}": {
        "l": File(b'app="web"\ntier="a"'),
        "a": File(b'note="a\\"b"', 0o600),
    },
    "{name: v, downwardAPI: {items: [{path: c, resourceFieldRef: {containerName: web, resource: limits.cpu}}]}}": {
        "c": File(b"500m")
    },
    "{name: v, projected: {defaultMode: 0440, sources: [{configMap: {name: settings, items: [{key: size, path: s}]}},"
    " {secret: {name: keys}}, {downwardAPI: {items: [{path: n, fieldRef: {fieldPath: metadata.name}}]}},"
    " {serviceAccountToken: {path: token}}]}}": {
        "s": File(b"big", 0o440),
        "token": File(b"t0p", 0o440),
        "n": File(b"web", 0o440),
    },
}


@pytest.mark.parametrize(("volume", "files"), FILES.items(), ids=range(len(FILES)))
def test_the_files_of_a_volume(volume: str, files: dict[str, File]) -> None:
    found = design(pod(volume))
    assert volumes.files(found.spec.volumes[0], found, contents_of(CONFIG, "default")) == files


ABSENT = {
    "{name: v, configMap: {name: none}}": "ConfigMap none does not exist",
    "{name: v, secret: {secretName: none}}": "Secret none does not exist",
    "{name: v, secret: {secretName: keys, items: [{key: none, path: a}]}}": "Secret keys has no key none",
    "{name: v, downwardAPI: {items: [{path: c, resourceFieldRef: {resource: limits.cpu}}]}}": (
        "file c needs resourceFieldRef.containerName to name one of the pod's containers"
    ),
}


@pytest.mark.parametrize(("volume", "text"), ABSENT.items(), ids=range(len(ABSENT)))
def test_what_is_missing_for_a_volume(volume: str, text: str) -> None:
    found = design(pod(volume))
    assert volumes.files(found.spec.volumes[0], found, contents_of(CONFIG, "default")) == (Missing(text),)


MOUNTS = {
    "files from the config, always read-only": (
        "{name: v, configMap: {name: settings}}",
        "{name: v, mountPath: /etc/v/}",
        ("/run/m/w/web.default/volumes/v", "/etc/v", True),
    ),
    "one of its files": (
        "{name: v, secret: {secretName: keys}}",
        "{name: v, mountPath: /t, subPath: token}",
        ("/run/m/w/web.default/volumes/v/token", "/t", True),
    ),
    "an empty folder": (
        "{name: v}",
        "{name: v, mountPath: /t, readOnly: true}",
        ("/run/m/w/web.default/volumes/v", "/t", True),
    ),
    "a folder of the machine, relative to the file that names it": (
        "{name: v, hostPath: {path: ./site}}",
        "{name: v, mountPath: /t}",
        ("/config/site", "/t", False),
    ),
    "a claim": (
        "{name: v, persistentVolumeClaim: {claimName: c}}",
        "{name: v, mountPath: /t}",
        ("/run/m/claims/default/c", "/t", False),
    ),
    "a part that is named after the pod": (
        "{name: v, emptyDir: {}}",
        "{name: v, mountPath: /t, subPathExpr: logs/$(NAME)}",
        ("/run/m/w/web.default/volumes/v/logs/web", "/t", False),
    ),
}


@pytest.mark.parametrize(("volume", "mount", "expected"), MOUNTS.values(), ids=MOUNTS)
def test_where_a_volume_is_seen(volume: str, mount: str, expected: tuple[str, str, bool]) -> None:
    named = "{name: web, command: [x]"
    text = POD.replace("VOLUMES", volume).replace("MOUNTS", mount).replace("MORE", "")
    variables = ", env: [{name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]"
    found = folders(design(owner(text.replace(named, named + variables))))
    source, target, read_only = expected
    assert found.mounts == (Mount(source=source, target=target, what="volume v", read_only=read_only),)


def test_each_pod_of_a_stateful_set_has_a_claim_of_its_own_for_ever() -> None:
    db = owner(STATEFUL_SET)
    sources = [each.source for name in ("db-0", "db-1") for each in folders(design(db, name)).mounts]
    assert sources == ["/run/m/claims/shop/data-db-0", "/run/m/claims/shop/data-db-1"]
    assert [notice.text for notice in notices_of(db)] == ["keeps what is written to data until the mesh ends"]


def test_the_first_container_gets_a_path_that_two_want() -> None:
    other = "- {name: b, command: [x], volumeMounts: [{name: two, mountPath: /x/}]}"
    found = pod("{name: one}, {name: two}", "{name: one, mountPath: /x}", other)
    assert [(place.volume.name, place.container.name) for place in volumes.places(found.template.spec)] == [
        ("one", "web")
    ]
    assert [notice.text for notice in notices_of(found)][1:] == [
        "mounts one (container web) and two (container b) at /x/: its containers share one file system here,"
        " so both see one"
    ]


def test_a_volume_that_one_container_only_reads_can_be_written_where_another_writes_it() -> None:
    other = "- {name: b, command: [x], volumeMounts: [{name: one, mountPath: /x}]}"
    found = pod("{name: one}", "{name: one, mountPath: /x, readOnly: true}", other)
    assert [mount.read_only for mount in folders(design(found)).mounts] == [False]


def test_volumes_of_a_cluster_are_named_and_not_mounted() -> None:
    found = pod("{name: share, nfs: {server: a, path: /}}", "{name: share, mountPath: /x}")
    assert folders(design(found)).mounts == ()
    assert notices_of(found)[0].text == "has no effect here: resources, volume share (nfs)"


def test_files_are_replaced_in_one_step_and_only_when_they_differ(tmp_path: Path) -> None:
    write_files(tmp_path / "v", {"a": File(b"1"), "deep/b": File(b"2", 0o600)})
    first = (tmp_path / "v" / "..data").readlink()
    write_files(tmp_path / "v", {"a": File(b"1"), "deep/b": File(b"2", 0o600)})
    assert (tmp_path / "v" / "..data").readlink() == first
    assert ((tmp_path / "v" / "a").read_text(), (tmp_path / "v" / "deep" / "b").read_text()) == ("1", "2")
    write_files(tmp_path / "v", {"a": File(b"3"), "c": File(b"4")})
    assert read_files(tmp_path / "v") == {"a": File(b"3"), "c": File(b"4")}
    assert sorted(entry.name for entry in (tmp_path / "v").iterdir() if not entry.name.startswith("..")) == ["a", "c"]
    assert len(list((tmp_path / "v").iterdir())) == 4


HOST_PATHS = [
    ("{path: /usr, type: Directory}", ()),
    ("{path: /usr}", ()),
    ("{path: /dev/null, type: CharDevice}", ()),
    ("{path: /usr, type: File}", ("volume v: /usr is not a file, as type File says",)),
    (
        "{path: /no/such, type: DirectoryOrCreate}",
        (
            "volume v: /no/such cannot be used (No such file or directory); make it,"
            " nothing is made on the machine here",
        ),
    ),
]


@pytest.mark.parametrize(("host_path", "problems"), HOST_PATHS)
def test_a_path_of_the_machine_must_be_what_its_type_says(host_path: str, problems: tuple[str, ...]) -> None:
    found = pod(f"{{name: v, hostPath: {host_path}}}", "{name: v, mountPath: /x}")
    assert folders(design(found)).prepare() == problems


def test_everything_that_can_be_made_is_made(tmp_path: Path) -> None:
    mounts = "{name: e, mountPath: /e, subPath: x/y}, {name: c, mountPath: /c}, {name: s, mountPath: /s, subPath: none}"
    found = pod("{name: e}, {name: c, configMap: {name: settings}}, {name: s, secret: {secretName: keys}}", mounts)
    assert folders(design(found), tmp_path).prepare() == ("volume s has no file none",)
    below = tmp_path / "w" / "web.default" / "volumes"
    assert (below / "e" / "x" / "y").stat().st_mode & 0o777 == 0o777
    assert (below / "c" / "color").read_text() == "red"


def test_what_was_deleted_stays_with_a_pod_that_runs(tmp_path: Path) -> None:
    found = design(pod("{name: c, configMap: {name: settings}}", "{name: c, mountPath: /c}"))
    folders(found, tmp_path).prepare()
    assert folders(found, tmp_path, ConfigSet()).refresh() == ("volume c: ConfigMap settings does not exist",)
    assert (tmp_path / "w" / "web.default" / "volumes" / "c" / "color").read_text() == "red"
