"""What a pod's volumes are on this machine: folders, the files in them, and where containers see them. Pure.

Volumes of a pod live below its own folder in the run directory and go with it; claims live beside the pods, as long as
the mesh. All containers of a pod share one view of the file system: what one of them mounts, the others see too.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from lateen.api.config_set import ConfigSet
from lateen.api.core.config_map import ConfigMap
from lateen.api.core.container import Container, VolumeMount
from lateen.api.core.pod import PodSpec
from lateen.api.core.secret import Secret
from lateen.api.core.volume import (
    ConfigMapProjection,
    ConfigMapVolume,
    DownwardFile,
    KeyToPath,
    SecretProjection,
    SecretVolume,
    Volume,
)
from lateen.platforms.local.containers import is_proxy
from lateen.platforms.local.environment import Missing, field_value, resource_value
from lateen.platforms.local.pods import PodDesign

Entries = Mapping[str, bytes]

_DEFAULT_MODE: Final = 0o644
_SECRET_MODE: Final = 0o600
_NOT_FOR_STRANGERS: Final = 0o770


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The ConfigMaps and Secrets of a pod's namespace as bytes, by name; None for absent ones."""

    config_map: Callable[[str], Entries | None]
    secret: Callable[[str], Entries | None]


@dataclass(frozen=True, slots=True)
class File:
    """One file of a volume."""

    content: bytes
    mode: int = _DEFAULT_MODE


Files = Mapping[str, File]
"""Files by their path inside the volume."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a container wants a volume: `inside` is the part of the volume that it wants."""

    volume: Volume
    container: Container
    mount: VolumeMount


def contents_of(config: ConfigSet, namespace: str) -> Contents:
    """Give the ConfigMaps and Secrets of a namespace as volumes have them."""

    def config_map(name: str) -> Entries | None:
        found = config.shelf(ConfigMap, namespace).get(name)
        return found.spec.contents() if found is not None and isinstance(found.spec, ConfigMap) else None

    def secret(name: str) -> Entries | None:
        found = config.shelf(Secret, namespace).get(name)
        return found.spec.contents() if found is not None and isinstance(found.spec, Secret) else None

    return Contents(config_map=config_map, secret=secret)


def places(pod: PodSpec) -> tuple[Place, ...]:
    """List what is mounted, one place a path: the first container that asks for a path gets it."""
    chosen: dict[PurePath, Place] = {}
    for place in _asked_places(pod):
        first = chosen.setdefault(PurePath(place.mount.mount_path), place)
        if _is_same(first, place) and first.mount.read_only:
            chosen[PurePath(place.mount.mount_path)] = place
    return tuple(chosen.values())


def notices(pod: PodSpec) -> Iterator[str]:
    """Say what is special about a pod's volumes here, and what does not work."""
    chosen = {PurePath(place.mount.mount_path): place for place in places(pod)}
    for place in _asked_places(pod):
        first = chosen[PurePath(place.mount.mount_path)]
        if not _is_same(first, place):
            yield (
                f"mounts {_shown(first)} and {_shown(place)} at {place.mount.mount_path}: its containers share one file"
                f" system here, so both see {first.volume.name}"
            )


def foreign(pod: PodSpec) -> Iterator[str]:
    """List the volumes that only a cluster has."""
    return (f"volume {volume.name} ({volume.foreign})" for volume in pod.volumes if volume.foreign)


def claims(pod: PodSpec) -> tuple[str, ...]:
    """List the volumes whose data outlive the pod."""
    return tuple(volume.name for volume in pod.volumes if volume.persistent_volume_claim)


def is_written(volume: Volume) -> bool:
    """Tell whether a volume's files are written here, from the config or from what is known of the pod."""
    return any((volume.config_map, volume.secret, volume.projected, volume.downward_api))


def folder(volume: Volume, design: PodDesign, run_directory: Path, home: str) -> Path:
    """Give the folder (or file) of the machine that stands for a volume; `home` is where relative paths begin."""
    if volume.host_path is not None:
        return Path(home, volume.host_path.path)
    if volume.persistent_volume_claim is not None:
        return run_directory / "claims" / design.namespace / volume.persistent_volume_claim.claim_name
    return run_directory / "w" / design.sandbox / "volumes" / volume.name


def files(volume: Volume, design: PodDesign, contents: Contents) -> Files | tuple[Missing, ...]:
    """Give the files of a volume that is written here, or everything that is missing for it."""
    collected: dict[str, File] = {}
    missing: list[Missing] = []
    for part in _parts(volume, design, contents):
        if isinstance(part, Missing):
            missing.append(part)
        else:
            collected.update(part)
    return tuple(missing) or collected


def _asked_places(pod: PodSpec) -> Iterator[Place]:
    volumes = {volume.name: volume for volume in pod.volumes if not volume.foreign}
    for container in (*pod.init_containers, *pod.containers):
        for mount in container.volume_mounts:
            if mount.name in volumes and not is_proxy(container):
                yield Place(volumes[mount.name], container, mount)


def _is_same(one: Place, other: Place) -> bool:
    return _asked(one.mount) == _asked(other.mount)


def _asked(mount: VolumeMount) -> tuple[str, str, str]:
    return mount.name, mount.sub_path, mount.sub_path_expr


def _shown(place: Place) -> str:
    return f"{place.volume.name} (container {place.container.name})"


def _parts(volume: Volume, design: PodDesign, contents: Contents) -> Iterator[Files | Missing]:
    if volume.config_map is not None:
        yield from _config_map(volume.config_map, contents, volume.config_map.default_mode)
    if volume.secret is not None:
        yield from _secret(volume.secret, contents, volume.secret.default_mode)
    if volume.downward_api is not None:
        for item in volume.downward_api.items:
            yield _fact(item, design, volume.downward_api.default_mode)
    if volume.projected is not None:
        mode = volume.projected.default_mode
        for source in volume.projected.sources:
            if source.config_map is not None:
                yield from _config_map(source.config_map, contents, mode)
            if source.secret is not None:
                yield from _secret(source.secret, contents, mode)
            for item in source.downward_api.items if source.downward_api else ():
                yield _fact(item, design, mode)


def _config_map(
    wanted: ConfigMapVolume | ConfigMapProjection, contents: Contents, mode: int | None
) -> Iterator[Files | Missing]:
    what = f"ConfigMap {wanted.name}"
    entries = contents.config_map(wanted.name)
    return _selected(what, entries, wanted.items, _DEFAULT_MODE if mode is None else mode, optional=wanted.optional)


def _secret(wanted: SecretVolume | SecretProjection, contents: Contents, mode: int | None) -> Iterator[Files | Missing]:
    """Give a Secret's files. Users of the machine who are strangers to the mesh never get a permission."""
    name = wanted.secret_name if isinstance(wanted, SecretVolume) else wanted.name
    default = _SECRET_MODE if mode is None else mode
    for part in _selected(f"Secret {name}", contents.secret(name), wanted.items, default, optional=wanted.optional):
        if isinstance(part, Missing):
            yield part
        else:
            yield {path: File(file.content, file.mode & _NOT_FOR_STRANGERS) for path, file in part.items()}


def _selected(
    what: str, entries: Entries | None, items: tuple[KeyToPath, ...], mode: int, *, optional: bool
) -> Iterator[Files | Missing]:
    if entries is None:
        if not optional:
            yield Missing(f"{what} does not exist")
        return
    if not items:
        yield {key: File(content, mode) for key, content in entries.items()}
    for item in items:
        if item.key in entries:
            yield {item.path: File(entries[item.key], mode if item.mode is None else item.mode)}
        elif not optional:
            yield Missing(f"{what} has no key {item.key}")


def _fact(item: DownwardFile, design: PodDesign, default_mode: int | None) -> Files | Missing:
    text = _fact_text(item, design)
    if isinstance(text, Missing):
        return text
    modes = (item.mode, default_mode, _DEFAULT_MODE)
    return {item.path: File(text.encode(), next(mode for mode in modes if mode is not None))}


def _fact_text(item: DownwardFile, design: PodDesign) -> str | Missing:
    facts = design.facts
    if item.field_ref is not None:
        listed = {"metadata.labels": facts.labels, "metadata.annotations": facts.annotations}
        texts = listed.get(item.field_ref.field_path)
        return field_value(item.field_ref.field_path, facts) if texts is None else _lines(texts)
    wanted = item.resource_field_ref
    containers = (*design.spec.init_containers, *design.spec.containers)
    container = next((each for each in containers if wanted and each.name == wanted.container_name), None)
    if wanted is None or container is None:
        return Missing(f"file {item.path} needs resourceFieldRef.containerName to name one of the pod's containers")
    return resource_value(wanted.resource, container)


def _lines(texts: Mapping[str, str]) -> str:
    """Write labels or annotations as a pod reads them: `key="value"`, a line each, in order of the keys."""
    quoted = ((key, text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")) for key, text in texts.items())
    return "\n".join(f'{key}="{text}"' for key, text in sorted(quoted))
