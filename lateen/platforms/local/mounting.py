"""Mounts a pod's volumes inside its sandbox: a program that runs once, while the sandbox is made.

    python -I -S mounting.py PLAN        (PLAN: a JSON file, see `Plan`)

It runs as root of the sandbox's own mount namespace, so nothing that it does is seen outside. Where a mount path does
not exist on the machine, the folder above it is rebuilt in memory: a tmpfs in its place into which everything that was
there is bound again, so that the missing name can be added. That also works for `/`, which is then changed by
pivot_root. What exists stays what it is, files, sockets and mounts alike; only names added to a rebuilt folder itself
are seen in the sandbox alone.

Exit status: 0, or 1 after one line that says which volume cannot be mounted and why. Standard library only.
"""

import ctypes
import json
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# from the kernel's mount.h
_READ_ONLY, _NO_SUID, _NO_DEVICES, _NO_EXEC = 1, 2, 4, 8
_REMOUNT, _BIND, _RECURSIVE = 32, 4096, 16384
_DETACH = 2
# what a remount must repeat: statvfs and mount number the same flags differently
_REPEATED_FLAGS = (
    (os.ST_RDONLY, _READ_ONLY),
    (os.ST_NOSUID, _NO_SUID),
    (os.ST_NODEV, _NO_DEVICES),
    (os.ST_NOATIME, 1024),
    (os.ST_NODIRATIME, 2048),
    (os.ST_RELATIME, 1 << 21),
)

_ROOT = Path("/")
_OLD_ROOT = Path("/.lateen-old-root")
_CLOSED = (Path("/proc"), Path("/sys"))
_MOST_ENTRIES = 5000
# as which users that a user namespace does not know are shown
_OVERFLOW_ID = 65534

_libc = ctypes.CDLL(None, use_errno=True)


class CannotMount(Exception):
    """A volume cannot be mounted; the message says why and what would be right."""


@dataclass(frozen=True)
class Wanted:
    """One mount: `source` on the machine is to be seen at `target`; `what` names it for people."""

    source: str
    target: str
    read_only: bool
    what: str


@dataclass(frozen=True)
class Plan:
    """What a sandbox's file system shall look like.

    Sources below `own` belong to the mesh: folders may be made in them. `visible` are the paths that stay seen when a
    mount covers a folder above them.
    """

    mounts: tuple[Wanted, ...]
    own: str
    visible: tuple[str, ...] = ()

    @staticmethod
    def read(text: str) -> "Plan":
        """The plan that a JSON text says."""
        told: dict[str, Any] = json.loads(text)
        mounts = tuple(Wanted(**each) for each in told["mounts"])
        return Plan(mounts, told["own"], tuple(told["visible"]))


@dataclass
class FileSystem:
    """The sandbox's file system while it is changed; knows which of its folders are ours to add names to."""

    own: Path
    _ours: dict[Path, bool] = field(default_factory=lambda: {_ROOT: False})
    _has_old_root: bool = False

    def mount(self, wanted: Wanted, source: int) -> None:
        """Shows what the open `source` stands for at the target."""
        target = Path(wanted.target).resolve()
        if any(target.is_relative_to(closed) for closed in _CLOSED):
            raise CannotMount(f"{target} belongs to the kernel: choose a mount path outside /proc and /sys")
        self._make_place(target, is_folder=stat.S_ISDIR(os.fstat(source).st_mode))
        _mount(_opened(source), target, _BIND | _RECURSIVE)
        is_own = Path(wanted.source).resolve().is_relative_to(self.own)
        _set_flags(target, read_only=wanted.read_only, is_own=is_own)
        self._ours = {path: ours for path, ours in self._ours.items() if target not in path.parents}
        self._ours[target] = is_own and wanted.source != wanted.target

    def finish(self) -> None:
        """Lets go of the root that was replaced, if it was."""
        if self._has_old_root:
            _check(_libc.umount2(bytes(_OLD_ROOT), _DETACH), _OLD_ROOT)
            _OLD_ROOT.rmdir()

    def _make_place(self, target: Path, *, is_folder: bool) -> None:
        """Makes sure that there is something to mount on."""
        if target.exists():
            if target.is_dir() != is_folder:
                found, given = ("folder", "file") if target.is_dir() else ("file", "folder")
                raise CannotMount(f"{target} is a {found} on this machine, and the volume gives a {given} for it")
            return
        above = next(path for path in target.parents if path.exists())
        if not above.is_dir():
            raise CannotMount(f"{above} is no folder: nothing can be mounted below it")
        if not self._is_ours(above):
            self._rebuild(above)
        target.parent.mkdir(parents=True, exist_ok=True)
        _make_empty(target, is_folder=is_folder)

    def _is_ours(self, folder: Path) -> bool:
        """Whether names may be added to a folder: the mount that it is on decides."""
        return next(self._ours[path] for path in (folder, *folder.parents) if path in self._ours)

    def _rebuild(self, folder: Path) -> None:
        """Puts a tmpfs in a folder's place and binds into it all that was there."""
        names = _entries(folder)
        if folder == _ROOT:
            self._replace_root()
            self._fill(folder, _OLD_ROOT, names - {_OLD_ROOT.name})
            return
        before = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        _mount("tmpfs", folder, 0, "tmpfs", _looks_like(before))
        self._fill(folder, Path(_opened(before)), names)
        os.close(before)

    def _replace_root(self) -> None:
        # any folder will do for the moment of the change: the tmpfs moves from it to the root
        moment = Path("/tmp")  # noqa: S108
        old_root = moment / _OLD_ROOT.name
        _mount("tmpfs", moment, 0, "tmpfs", "mode=755")
        old_root.mkdir()
        _check(_libc.pivot_root(bytes(moment), bytes(old_root)), _ROOT)
        os.chdir(_ROOT)
        self._has_old_root = True

    def _fill(self, folder: Path, before: Path, names: frozenset[str]) -> None:
        """Shows in a new folder what was in the one before, each thing under its name."""
        self._ours[folder] = True
        for name in names:
            place, thing = folder / name, before / name
            if thing.is_symlink():
                place.symlink_to(thing.readlink())
                continue
            _make_empty(place, is_folder=thing.is_dir())
            _mount(str(thing), place, _BIND | _RECURSIVE)
            self._ours.setdefault(place, False)


def carry_out(plan: Plan) -> None:
    """Makes all mounts of a plan, the outer ones before those inside them."""
    wanted = sorted((*plan.mounts, *_kept_visible(plan)), key=lambda each: len(Path(each.target).parts))
    # before anything is covered
    opened = [(each, _open(each)) for each in wanted]
    files = FileSystem(Path(plan.own).resolve())
    for each, source in opened:
        try:
            files.mount(each, source)
        except (CannotMount, OSError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else problem
            raise CannotMount(f"{each.what} cannot be mounted at {each.target}: {reason}") from None
    files.finish()


def _kept_visible(plan: Plan) -> Iterator[Wanted]:
    """The paths that must be shown again because a mount covers them."""
    targets = {Path(each.target).resolve() for each in plan.mounts}
    for path in dict.fromkeys(Path(each).resolve() for each in plan.visible):
        if path.exists() and path not in targets and not targets.isdisjoint(path.parents):
            yield Wanted(str(path), str(path), False, str(path))


def _make_empty(place: Path, *, is_folder: bool) -> None:
    """Makes a folder or a file, only to be mounted on."""
    if is_folder:
        place.mkdir()
    else:
        place.touch(0o644, exist_ok=False)


def _open(wanted: Wanted) -> int:
    try:
        return os.open(wanted.source, os.O_PATH)
    except OSError as error:
        raise CannotMount(f"{wanted.what} cannot be read at {wanted.source}: {error.strerror}") from None


def _opened(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


def _entries(folder: Path) -> frozenset[str]:
    names = frozenset(entry.name for entry in folder.iterdir())
    if len(names) > _MOST_ENTRIES:
        raise CannotMount(
            f"{folder} has {len(names)} entries, too many to add one for a sandbox alone: make the mount path"
        )
    return names


def _looks_like(folder: int) -> str:
    """The options by which a tmpfs gets the owner and permissions of a folder."""
    found = os.fstat(folder)
    strangers = _OVERFLOW_ID in (found.st_uid, found.st_gid)
    owner = "" if strangers else f",uid={found.st_uid},gid={found.st_gid}"
    return f"mode={stat.S_IMODE(found.st_mode):o}{owner}"


def _set_flags(target: Path, *, read_only: bool, is_own: bool) -> None:
    """Makes a mount read-only if asked, and lets programs be run from volumes of ours if the kernel allows it."""
    found = os.statvfs(target).f_flag
    kept = sum(ours for theirs, ours in _REPEATED_FLAGS if found & theirs)
    wanted = kept | (_READ_ONLY if read_only else 0)
    no_exec = _NO_EXEC if found & os.ST_NOEXEC else 0
    if is_own and no_exec:
        try:
            _mount("none", target, _REMOUNT | _BIND | wanted)
        except PermissionError:
            # an ordinary user cannot take back what the machine's administrator has set
            _mount("none", target, _REMOUNT | _BIND | wanted | no_exec)
    elif wanted != kept:
        _mount("none", target, _REMOUNT | _BIND | wanted | no_exec)


def _mount(source: str, target: Path, flags: int, kind: str = "none", options: str = "") -> None:
    flag_word = ctypes.c_ulong(flags)
    _check(_libc.mount(source.encode(), bytes(target), kind.encode(), flag_word, options.encode() or None), target)


def _check(result: int, path: Path) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))


def main() -> int:
    """Carries out the plan in the file that the command line names."""
    try:
        carry_out(Plan.read(Path(sys.argv[1]).read_text()))
    except (CannotMount, OSError) as problem:
        print(problem)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
