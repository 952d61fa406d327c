"""What the control plane hands over to the Mixer process: files in the run directory, each replaced as a whole.

The Mixer process starts from them without the control plane, and goes on with the last ones while there is none.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from lateen.api import decode
from lateen.api.config_set import ConfigSet
from lateen.api.core.config_map import ConfigMap
from lateen.api.core.service import Service
from lateen.api.kinds import KINDS
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.api.mesh.settings import CONFIG_MAP_NAME, ROOT_NAMESPACE, mesh_config
from lateen.api.networking.service_entry import ServiceEntry
from lateen.api.objects import ConfigObject
from lateen.api.structs import Struct
from lateen.errors import Unavailable
from lateen.model.snapshot import Inputs, Snapshot, first_snapshot
from lateen.model.workload import Locality, Workload, WorkloadKey
from lateen.model.workloads import Workloads

MIXER_SOCKET: Final = "mixer.sock"
ADMIN_SOCKET: Final = "mixer-admin.sock"
DIRECTORY: Final = "mixer"
GROUPS: Final = frozenset({"config.istio.io", "lateen.dev", "telemetry.istio.io"})
"""The groups whose objects the Mixer process works by; with them go services and the settings of the mesh."""

_KINDS: Final = (Service, ServiceEntry)
_DOCUMENTS: Final = "documents.json"
_WORKLOADS: Final = "workloads.json"
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The content of the files; equal content means that nothing is new."""

    documents: bytes
    workloads: bytes


def hand_over(snapshot: Snapshot) -> HandedOver:
    """Write down what of the mesh concerns the Mixer process."""
    documents = b",\n".join(item.body for item in _concerned(snapshot))
    workloads = json.dumps([_record(workload) for workload in sorted(snapshot.workloads, key=lambda each: each.key)])
    return HandedOver(
        b'{"version":%d,"documents":[\n%s\n]}' % (_VERSION, documents),
        b'{"version":%d,"workloads":%s}' % (_VERSION, workloads.encode()),
    )


def digest(content: HandedOver) -> str:
    """Return a short fingerprint of the content."""
    return hashlib.sha256(content.documents + content.workloads).hexdigest()[:16]


def write(directory: Path, content: HandedOver) -> None:
    """Put the files in place, below the run directory. Raises `Unavailable`."""
    place = directory / DIRECTORY
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        for name, text in ((_WORKLOADS, content.workloads), (_DOCUMENTS, content.documents)):
            _replace(place / name, text)
    except OSError as error:
        raise Unavailable(f"cannot write {place} for the Mixer process: {error.strerror}") from None


def read(directory: Path) -> HandedOver:
    """Read what is in place. Raises `Unavailable`."""
    place = directory / DIRECTORY
    try:
        return HandedOver((place / _DOCUMENTS).read_bytes(), (place / _WORKLOADS).read_bytes())
    except OSError as error:
        raise Unavailable(f"cannot read {error.filename}: {error.strerror}") from None


def marks(directory: Path) -> tuple[tuple[int, int], ...]:
    """Return what is another one once a file was replaced. Raises `Unavailable`."""
    place = directory / DIRECTORY
    try:
        found = [(place / name).stat() for name in (_DOCUMENTS, _WORKLOADS)]
    except OSError as error:
        raise Unavailable(f"cannot read {error.filename}: {error.strerror}") from None
    return tuple((one.st_ino, one.st_mtime_ns) for one in found)


def restore(content: HandedOver) -> Snapshot:
    """Derive the mesh that was handed over; documents that this release does not understand are left out.

    Raises `Unavailable` for files of another release.
    """
    decoded = decode.combine(decode.decode_mapping(each) for each in _listed(content.documents, "documents"))
    config = ConfigSet(decoded.objects)
    workloads = Workloads().apply(map(_workload, _listed(content.workloads, "workloads")))
    mesh = mesh_config(config).model_copy(update={"discovery_selectors": ()})
    return first_snapshot(Inputs(config, workloads, mesh=mesh))


def _concerned(snapshot: Snapshot) -> Iterator[ConfigObject[Struct]]:
    """Choose the objects that the Mixer process is to know, in an order that does not change.

    These are no others than proxies know of, so that no selectors of namespaces have to be looked at again.
    """
    for row in KINDS:
        if row.group in GROUPS or row.spec in _KINDS:
            yield from snapshot.config.of(row)
    everything = snapshot.inputs.config
    yield from everything.of(MeshConfig)
    settings = everything.shelf(ConfigMap, ROOT_NAMESPACE).get(CONFIG_MAP_NAME)
    if settings is not None:
        yield settings


def _replace(path: Path, content: bytes) -> None:
    """Put a file in place in one step, readable by its owner only."""
    if path.exists() and path.read_bytes() == content:
        return
    beside = path.with_name(f".{path.name}")
    beside.touch(mode=0o600)
    beside.write_bytes(content)
    beside.replace(path)


def _listed(text: bytes, field: str) -> Sequence[Mapping[str, Any]]:
    try:
        content = json.loads(text)
    except ValueError:
        content = {}
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        raise Unavailable(f"the {field} that the control plane handed over are of another release")
    found: Sequence[Mapping[str, Any]] = content[field]
    return found


def _record(workload: Workload) -> dict[str, object]:
    return {**asdict(workload), "membership": None}


def _workload(record: Mapping[str, Any]) -> Workload:
    fields = {**record, "key": WorkloadKey(*record["key"]), "locality": Locality(*record["locality"])}
    return Workload(**fields)
