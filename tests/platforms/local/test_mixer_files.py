"""What is handed over to the Mixer process is read back as the same mesh, and never half of it."""

import json
from pathlib import Path

import pytest

from lateen.api.config_set import ConfigSet
from lateen.api.decode import decode_yaml
from lateen.api.mesh.settings import mesh_config
from lateen.errors import Unavailable
from lateen.model.snapshot import Inputs, Snapshot, first_snapshot
from lateen.model.workload import Locality, Workload, WorkloadKey
from lateen.model.workloads import Workloads
from lateen.platforms.local import mixer_files

CONFIG = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {clusterIP: 10.0.0.9, selector: {app: reviews}, ports: [{name: http, port: 9080}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "trustDomain: example.org"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: other, namespace: istio-system}
data: {mesh: "trustDomain: other.org"}
---
apiVersion: v1
kind: Secret
metadata: {name: private}
stringData: {password: hidden}
"""
REVIEWS = Workload(
    WorkloadKey("default", "reviews-v1-abc"),
    "10.244.1.7",
    {"app": "reviews", "version": "v1"},
    service_account="bookinfo-reviews",
    ports={"http": 9080},
    owner="Deployment/reviews-v1",
    locality=Locality("here", "there"),
)


def a_mesh() -> Snapshot:
    decoded = decode_yaml(CONFIG, "mesh.yaml")
    assert not decoded.errors
    config = ConfigSet(decoded.objects)
    return first_snapshot(Inputs(config, Workloads().apply([REVIEWS]), mesh=mesh_config(config)))


def test_the_mesh_is_read_back(tmp_path: Path) -> None:
    mixer_files.write(tmp_path, mixer_files.hand_over(a_mesh()))
    found = mixer_files.restore(mixer_files.read(tmp_path))
    assert list(found.workloads) == [REVIEWS]
    assert found.mesh.trust_domain == "example.org"
    assert found.services == a_mesh().services
    assert found.endpoints == a_mesh().endpoints


def test_what_does_not_concern_it_is_not_handed_over(tmp_path: Path) -> None:
    content = mixer_files.hand_over(a_mesh())
    assert b"hidden" not in content.documents
    assert b"other.org" not in content.documents


def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    mixer_files.write(tmp_path, mixer_files.hand_over(a_mesh()))
    place = tmp_path / mixer_files.DIRECTORY
    assert place.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in place.iterdir()} == {0o600}


def test_equal_content_has_equal_fingerprints() -> None:
    first, second = (mixer_files.hand_over(a_mesh()) for _ in range(2))
    assert mixer_files.digest(first) == mixer_files.digest(second)
    assert mixer_files.digest(first) != mixer_files.digest(mixer_files.hand_over(first_snapshot(Inputs(ConfigSet()))))


def test_equal_content_is_not_written_again(tmp_path: Path) -> None:
    mixer_files.write(tmp_path, mixer_files.hand_over(a_mesh()))
    place = tmp_path / mixer_files.DIRECTORY
    before = {path.name: path.stat().st_ino for path in place.iterdir()}
    mixer_files.write(tmp_path, mixer_files.hand_over(a_mesh()))
    assert {path.name: path.stat().st_ino for path in place.iterdir()} == before


def test_a_document_that_is_not_understood_is_left_out() -> None:
    content = mixer_files.hand_over(a_mesh())
    documents = json.loads(content.documents)
    documents["documents"].insert(0, {"apiVersion": "lateen.dev/v9", "kind": "Unheard", "metadata": {"name": "x"}})
    strange = mixer_files.HandedOver(json.dumps(documents).encode(), content.workloads)
    assert mixer_files.restore(strange).services == a_mesh().services


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"version": 7, "documents": []}'])
def test_files_of_another_form_are_refused(text: bytes) -> None:
    content = mixer_files.hand_over(a_mesh())
    with pytest.raises(Unavailable, match="another release"):
        mixer_files.restore(mixer_files.HandedOver(text, content.workloads))


def test_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot read"):
        mixer_files.read(tmp_path)
