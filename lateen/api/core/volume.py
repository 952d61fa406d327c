"""Volumes: folders that the containers of a pod can mount, and what is in them."""

from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import AfterValidator, Field, Strict

from lateen.api.core.container import FieldReference, ResourceReference
from lateen.api.core.metadata import ObjectMeta
from lateen.api.fields import Bool, Ignored, NonEmpty, PathInside, is_label
from lateen.api.structs import Checked, Problem, Struct, alias, exactly_one


def _permissions(mode: int) -> int:
    if not 0 <= mode <= 0o777:
        raise ValueError(f"must be file permissions from 0 to 0777 (511), not {mode}: write an octal number like 0644")
    return mode


Mode = Annotated[int, Strict(), AfterValidator(_permissions)]
FilePath = Annotated[PathInside, Field(min_length=1)]


class KeyToPath(Struct):
    """Puts one entry into a file of another name."""

    key: NonEmpty
    path: FilePath
    mode: Mode | None = None


class ConfigMapVolume(Struct):
    """A ConfigMap as a folder of files."""

    name: NonEmpty
    items: tuple[KeyToPath, ...] = ()
    default_mode: Mode | None = None
    optional: Bool = False


class SecretVolume(Struct):
    """A Secret as a folder of files."""

    secret_name: NonEmpty
    items: tuple[KeyToPath, ...] = ()
    default_mode: Mode | None = None
    optional: Bool = False


class EmptyDirVolume(Struct):
    """A folder that lives as long as the pod."""

    medium: Ignored = None
    size_limit: Ignored = None


class HostPathVolume(Struct):
    """A file or folder of the machine."""

    path: NonEmpty
    type: str = ""


class ClaimVolume(Struct):
    """A folder that outlives the pod, by the name of its claim."""

    claim_name: NonEmpty
    read_only: Bool = False


class DownwardFile(Checked):
    """One fact about the pod as a file."""

    path: FilePath
    field_ref: FieldReference | None = None
    resource_field_ref: ResourceReference | None = None
    mode: Mode | None = None

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "field_ref", "resource_field_ref")


class DownwardVolume(Struct):
    """Facts about the pod as a folder of files."""

    items: tuple[DownwardFile, ...] = ()
    default_mode: Mode | None = None


class ConfigMapProjection(Struct):
    """A ConfigMap's entries among the files of a projected volume."""

    name: NonEmpty
    items: tuple[KeyToPath, ...] = ()
    optional: Bool = False


class SecretProjection(Struct):
    """A Secret's entries among the files of a projected volume."""

    name: NonEmpty
    items: tuple[KeyToPath, ...] = ()
    optional: Bool = False


class DownwardProjection(Struct):
    """Facts about the pod among the files of a projected volume."""

    items: tuple[DownwardFile, ...] = ()


class Projection(Checked):
    """One of the sources that share a projected volume."""

    config_map: ConfigMapProjection | None = None
    secret: SecretProjection | None = None
    downward_api: DownwardProjection | None = None
    cluster_trust_bundle: Ignored = None
    pod_certificate: Ignored = None
    service_account_token: Ignored = None

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, *type(self).model_fields)


class ProjectedVolume(Struct):
    """Several sources in one folder; of two files of one path, the later source's counts."""

    sources: tuple[Projection, ...] = ()
    default_mode: Mode | None = None


class Volume(Checked):
    """A named folder that containers can mount. One that names no source is an empty folder."""

    name: NonEmpty
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    empty_dir: EmptyDirVolume | None = None
    host_path: HostPathVolume | None = None
    persistent_volume_claim: ClaimVolume | None = None
    projected: ProjectedVolume | None = None
    downward_api: DownwardVolume | None = None
    aws_elastic_block_store: Ignored = None
    azure_disk: Ignored = None
    azure_file: Ignored = None
    cephfs: Ignored = None
    cinder: Ignored = None
    csi: Ignored = None
    ephemeral: Ignored = None
    fc: Ignored = None
    flex_volume: Ignored = None
    gce_persistent_disk: Ignored = None
    git_repo: Ignored = None
    glusterfs: Ignored = None
    image: Ignored = None
    iscsi: Ignored = None
    nfs: Ignored = None
    portworx_volume: Ignored = None
    rbd: Ignored = None
    vsphere_volume: Ignored = None

    def problems(self) -> Iterator[Problem]:
        if not is_label(self.name):
            yield Problem(f"must be lower-case letters, digits and -, not {self.name!r}", "name")
        chosen = [alias(name) for name in _SOURCES if getattr(self, name) is not None]
        if len(chosen) > 1:
            yield Problem(f"must have one source, not {' and '.join(chosen)} together")

    @property
    def foreign(self) -> str:
        """The kind of a volume that only a cluster has, as documents write it; empty for those that work anywhere."""
        return next((alias(name) for name in _FOREIGN if getattr(self, name) is not None), "")


_SOURCES: Final = tuple(name for name in Volume.model_fields if name != "name")
_FOREIGN: Final = _SOURCES[_SOURCES.index("downward_api") + 1 :]


class VolumeClaimTemplate(Struct):
    """A claim of its own for each pod of a StatefulSet, under the name by which containers mount it."""

    api_version: str = "v1"
    kind: str = "PersistentVolumeClaim"
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: Ignored = None
    status: Ignored = None
