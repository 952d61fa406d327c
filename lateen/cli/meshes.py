"""Finds the running mesh that a command means, by the run directories of this user and the locks in them."""

import os
from pathlib import Path
from typing import Final, NamedTuple

from lateen.cli.failures import BadInput, NotRunning
from lateen.platforms.local import directories, lock

DEFAULT_NAME: Final = "default"


class Mesh(NamedTuple):
    """A mesh's name and its run directory."""

    name: str
    directory: Path

    @property
    def api_socket(self) -> Path:
        """Where the control plane answers HTTP."""
        return self.directory / "api.sock"

    @property
    def supervisor_socket(self) -> Path:
        """Where the supervisor answers."""
        return self.directory / "supervisor.sock"

    @property
    def supervisor_log(self) -> Path:
        """Where a detached supervisor writes."""
        return self.directory / "supervisor.log"

    @property
    def supervisor_pid(self) -> int | None:
        """The pid of the supervisor while it lives."""
        return lock.holder(self.directory)

    @property
    def is_running(self) -> bool:
        """Tell whether the supervisor lives."""
        return self.supervisor_pid is not None


def named(name: str) -> Mesh:
    """Return this user's mesh of that name, whether it runs or not; raises `BadInput` for what cannot be a name."""
    try:
        return Mesh(name, directories.run_directory(name))
    except directories.UnusableDirectory as error:
        raise BadInput(str(error)) from None


def known() -> tuple[Mesh, ...]:
    """List this user's meshes that run or that a killed supervisor left behind, by name."""
    return tuple(named(name) for name in directories.meshes())


def running() -> tuple[Mesh, ...]:
    """List this user's meshes that run, by name."""
    return tuple(mesh for mesh in known() if mesh.is_running)


def choose(name: str | None) -> Mesh:
    """Find the running mesh that is meant: the named one, or the only one. Raises `NotRunning`, `BadInput`."""
    meshes = running()
    if name is not None:
        return _chosen(named(name), meshes)
    if not meshes:
        raise NotRunning("no mesh is running; `lateen up PATH…` starts one" + _meshes_of_root())
    if len(meshes) > 1:
        raise BadInput(f"several meshes are running; choose one with --name: {_names(meshes)}")
    return meshes[0]


def _chosen(mesh: Mesh, meshes: tuple[Mesh, ...]) -> Mesh:
    if mesh.is_running:
        return mesh
    others = f"running: {_names(meshes)}" if meshes else "no mesh is running"
    raise NotRunning(f"mesh '{mesh.name}' is not running; {others}" + _meshes_of_root())


def _names(meshes: tuple[Mesh, ...]) -> str:
    return ", ".join(mesh.name for mesh in meshes)


def _meshes_of_root() -> str:
    """Point at root's meshes where an ordinary user looks in vain."""
    try:
        names = directories.meshes(uid=0) if os.geteuid() else ()
    except PermissionError:
        return " (root has a mesh: try with sudo)"
    return f" (root has {', '.join(names)}: try with sudo)" if names else ""
