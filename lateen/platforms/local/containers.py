"""What a container runs here: which command, in which folder, with which environment. Pure.

There are no images on this platform: a container runs the program that its `command` names on this machine, or the one
that the image map gives for its image.
"""

import os.path
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from lateen.api.core.container import Container
from lateen.platforms.local.environment import PodFacts, Sources, expand, resolve_environment
from lateen.platforms.local.injection import PROXY_CONTAINER, PROXY_IMAGE

ImageMap = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all containers of this machine stand on.

    `environment` is what every process starts from (PATH, HOME and the like), `folder` is where programs are looked up
    for objects that came from no file.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    image_map: ImageMap = field(default_factory=dict)
    folder: str = "/"


@dataclass(frozen=True, slots=True)
class Program:
    """What to run: an argument list, its whole environment, and an absolute folder."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: str


@dataclass(frozen=True, slots=True)
class Unrunnable:
    """Why a container cannot be run, one sentence for each reason; the first says most."""

    reason: str
    problems: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(self.problems)


def is_proxy(container: Container) -> bool:
    """Tell whether a container stands for the proxy itself, which the mesh brings along."""
    return container.image == PROXY_IMAGE and (container.name == PROXY_CONTAINER or not container.command)


def resolve_program(
    container: Container, facts: PodFacts, sources: Sources, ground: Ground, folder: str
) -> Program | Unrunnable:
    """Say what a container runs, or why it cannot; `folder` is that of the file which describes the pod."""
    home = folder or ground.folder
    directory = _join(home, container.working_dir)
    command = _command(container, ground.image_map)
    if command is None:
        return Unrunnable("ImageNotMapped", (_ways_out(container),))
    given = {**ground.environment, "HOSTNAME": facts.name, "PWD": directory}
    environment = resolve_environment(container, facts, sources, given)
    if environment.missing:
        return Unrunnable("CreateContainerConfigError", tuple(missing.text for missing in environment.missing))
    words = tuple(expand(word, environment.variables) for word in command)
    return Program((_program_path(words[0], directory), *words[1:]), environment.variables, directory)


def read_image_map(entries: Sequence[str]) -> ImageMap:
    """Read `IMAGE=COMMAND` as typed on a command line; raises `ValueError` that names the entry."""
    return dict(_read_image_map(entries))


def _read_image_map(entries: Sequence[str]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        image, equals, command = entry.partition("=")
        if not equals or not image.strip() or not command.strip():
            raise ValueError(f"image map entry {entry!r} must be IMAGE=COMMAND")
        yield image.strip(), command.strip()


def _command(container: Container, image_map: ImageMap) -> tuple[str, ...] | None:
    if container.command:
        return (*container.command, *container.args)
    mapped = next((image_map[name] for name in _image_names(container.image) if name in image_map), None)
    if mapped is None:
        return None
    return (*(shlex.split(mapped) if isinstance(mapped, str) else mapped), *container.args)


def _image_names(image: str) -> tuple[str, str]:
    """Give an image's name as written, and without tag and digest. A colon before a slash is that of a port."""
    without_digest = image.partition("@")[0]
    path, colon, tag = without_digest.rpartition(":")
    return image, path if colon and "/" not in tag else without_digest


def _ways_out(container: Container) -> str:
    return (
        f"container {container.name} has image {container.image} and no command, and images are not run here: "
        f"give it a command, or say what to run instead with --image-map {_image_names(container.image)[1]}=COMMAND"
    )


def _program_path(program: str, directory: str) -> str:
    """Resolve a program's path against the working directory; a bare name is left to PATH."""
    return _join(directory, program) if "/" in program else program


def _join(directory: str, path: str) -> str:
    return os.path.normpath(PurePath(directory, path))
