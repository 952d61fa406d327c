"""A pod's volumes on disk: made before its sandbox, and kept as the config says while it lives.

Files from the config are laid out as Kubernetes does it: the visible names are links into a folder `..data`, which is
itself a link that is replaced in one step. A reader sees all files of one version; whoever watches a folder sees one
change.
"""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Final

from lateen.api.core.volume import Volume
from lateen.platforms.local import volumes
from lateen.platforms.local.environment import Sources, expand, resolve_environment
from lateen.platforms.local.pods import PodDesign
from lateen.platforms.local.protocol import Mount
from lateen.platforms.local.volumes import Contents, File, Files, Place

_CURRENT: Final = "..data"
_FOLDER: Final = ("a folder", stat.S_ISDIR)
_FILE: Final = ("a file", stat.S_ISREG)
_HOST_PATH_TYPES: Final[Mapping[str, tuple[str, Callable[[int], bool]]]] = {
    "Directory": _FOLDER,
    "DirectoryOrCreate": _FOLDER,
    "File": _FILE,
    "FileOrCreate": _FILE,
    "Socket": ("a unix socket", stat.S_ISSOCK),
    "CharDevice": ("a character device", stat.S_ISCHR),
    "BlockDevice": ("a block device", stat.S_ISBLK),
}
"""What a hostPath of each type must lead to; any other type is not checked."""


class PodVolumes:
    """The folders of one pod's volumes. `home` is the folder where the pod's relative paths begin."""

    def __init__(
        self,
        design: PodDesign,
        run_directory: Path,
        home: str,
        contents: Callable[[str], Contents],
        sources: Callable[[str], Sources],
    ) -> None:
        self._design = design
        self._run_directory = run_directory
        self._home = home
        self._contents = contents
        self._sources = sources
        self._places = volumes.places(design.spec)
        self._volumes = tuple({place.volume.name: place.volume for place in self._places}.values())
        self._written: dict[str, Files] = {}

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """What the pod's sandbox is to mount."""
        return tuple(
            Mount(
                source=str(self._source(place)),
                target=os.path.normpath(place.mount.mount_path),
                what=f"volume {place.volume.name}",
                read_only=place.mount.read_only or _is_read_only(place),
            )
            for place in self._places
        )

    def prepare(self) -> tuple[str, ...]:
        """Make everything that is to be mounted; what stands in the way is returned, in words for the user."""
        return (*self._write(), *self._make_folders())

    def refresh(self) -> tuple[str, ...]:
        """Bring the files of a pod that runs up to date.

        Files of which something is missing now stay as they are; what is missing is returned.
        """
        return self._write()

    def _write(self) -> tuple[str, ...]:
        problems: list[str] = []
        contents = self._contents(self._design.namespace)
        for volume in filter(volumes.is_written, self._volumes):
            wanted = volumes.files(volume, self._design, contents)
            if isinstance(wanted, tuple):
                problems.extend(f"volume {volume.name}: {missing.text}" for missing in wanted)
            elif self._written.get(volume.name) != wanted:
                try:
                    write_files(self._folder(volume), wanted)
                except OSError as error:
                    problems.append(f"volume {volume.name}: cannot write {error.filename} ({error.strerror})")
                else:
                    self._written[volume.name] = wanted
        return tuple(problems)

    def _make_folders(self) -> Iterator[str]:
        for volume in self._volumes:
            if volume.host_path is not None:
                yield from _host_path_problems(volume.name, self._folder(volume), volume.host_path.type)
            elif not volumes.is_written(volume):
                _make_open_folder(self._folder(volume))
        for place in self._places:
            source = self._source(place)
            if not source.exists():
                if volumes.is_written(place.volume):
                    yield f"volume {place.volume.name} has no file {self._inside(place)}"
                elif place.volume.host_path is None:
                    _make_open_folder(source)
                elif self._inside(place):
                    yield f"volume {place.volume.name}: {source} does not exist on this machine; make it"

    def _folder(self, volume: Volume) -> Path:
        return volumes.folder(volume, self._design, self._run_directory, self._home)

    def _source(self, place: Place) -> Path:
        return self._folder(place.volume) / self._inside(place)

    def _inside(self, place: Place) -> str:
        """Give the part of a volume that is wanted, its variables replaced by those of the container."""
        if not place.mount.sub_path_expr:
            return place.mount.sub_path
        sources = self._sources(self._design.namespace)
        environment = resolve_environment(place.container, self._design.facts, sources, {})
        return expand(place.mount.sub_path_expr, environment.variables).lstrip("/")


def write_files(folder: Path, files: Files) -> None:
    """Make a folder hold exactly these files, in one step as seen by readers. Nothing happens where it does already."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    current = folder / _CURRENT
    if current.is_symlink() and read_files(folder) == files:
        return
    before = current.readlink() if current.is_symlink() else None
    version = Path(tempfile.mkdtemp(prefix="..", dir=folder))
    version.chmod(0o755)
    for path, file in files.items():
        _write(version / path, file)
    _point(current, version.name)
    _show(folder, {PurePath(path).parts[0] for path in files})
    if before:
        shutil.rmtree(folder / before, ignore_errors=True)


def read_files(folder: Path) -> dict[str, File]:
    """Read back what `write_files` wrote."""
    current = folder / _CURRENT
    found = (Path(above, name) for above, _, names in os.walk(f"{current}/") for name in names)
    return {
        str(path.relative_to(current)): File(path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) for path in found
    }


def _write(path: Path, file: File) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(file.content)
        os.fchmod(descriptor, file.mode)


def _show(folder: Path, names: set[str]) -> None:
    """Make the visible names lead into the current version, and remove those that lead nowhere any more."""
    for name in names:
        if not (folder / name).is_symlink():
            _point(folder / name, f"{_CURRENT}/{name}")
    for entry in folder.iterdir():
        if entry.is_symlink() and entry.name != _CURRENT and entry.name not in names:
            entry.unlink()


def _point(link: Path, target: str) -> None:
    new = link.with_name(f"..new-{link.name}")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    new.symlink_to(target)
    new.replace(link)


def _make_open_folder(folder: Path) -> None:
    """Make a folder that every user of the pod may write to; the run directory above keeps others out."""
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o777)


def _host_path_problems(name: str, path: Path, kind: str) -> Iterator[str]:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield f"volume {name}: {path} cannot be used ({error.strerror}); make it, nothing is made on the machine here"
        return
    wanted, fits = _HOST_PATH_TYPES.get(kind, ("", bool))
    if wanted and not fits(mode):
        yield f"volume {name}: {path} is not {wanted}, as type {kind} says"


def _is_read_only(place: Place) -> bool:
    claim = place.volume.persistent_volume_claim
    return volumes.is_written(place.volume) or (claim is not None and claim.read_only)
