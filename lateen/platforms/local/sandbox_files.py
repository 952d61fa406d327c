"""The files that a sandbox is made from: links, rules, and what its processes find in /etc."""

import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path

from lateen.platforms.local import interception, links
from lateen.platforms.local.protocol import Refused, SandboxSpec

WORD = re.compile(r"[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([-.A-Za-z0-9]{0,62}[A-Za-z0-9])?")
_NSSWITCH = Path("/etc/nsswitch.conf")
_NO_RULES = "table ip lateen {\n}\n"


def contents(spec: SandboxSpec, host_nsswitch: str) -> dict[str, str]:
    """What a sandbox is made from: file name → content. Of the host's nsswitch.conf only the line `hosts` changes."""
    hosts = {
        "localhost": "127.0.0.1",
        spec.hostname: spec.address,
        links.HOST_NAME: str(links.HOST),
        **spec.hosts,
    }
    search = f"search {' '.join(spec.search)}\n" if spec.search else ""
    settings = spec.interception
    return {
        "links": links.sandbox_side(spec.address),
        "rules": interception.sandbox_rules(settings, spec.nameserver) if settings else _NO_RULES,
        "resolv.conf": f"nameserver {spec.nameserver}\n{search}options ndots:5\n",
        "hosts": "".join(f"{address}\t{name}\n" for name, address in hosts.items()),
        "nsswitch.conf": _nsswitch(host_nsswitch),
    }


def write(directory: Path, spec: SandboxSpec, own: Path) -> None:
    """Writes the files of a sandbox; `own` is the mesh's run directory."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o755, parents=True)
    host_nsswitch = _NSSWITCH.read_text() if _NSSWITCH.exists() else ""
    for name, content in contents(spec, host_nsswitch).items():
        (directory / name).write_text(content)
    if spec.mounts:
        (directory / "mounts").write_text(mount_plan(spec, own))


def mount_plan(spec: SandboxSpec, own: Path) -> str:
    """What `mounting.py` is told: the mounts, and what must not be covered by them, our own files in /etc included."""
    etc = (f"/etc/{name}" for name in ("resolv.conf", "hosts", "nsswitch.conf"))
    visible = (str(own), *etc, *spec.visible)
    return json.dumps({"mounts": [asdict(mount) for mount in spec.mounts], "own": str(own), "visible": visible})


def check(spec: SandboxSpec) -> None:
    if not WORD.fullmatch(spec.id):
        raise Refused("bad_request", f"sandbox id {spec.id!r} is not a word of letters, digits, dots and dashes")
    if not _HOST_NAME.fullmatch(spec.hostname):
        raise Refused("bad_request", f"host name {spec.hostname!r} of sandbox {spec.id} is no name for a host")
    if not links.is_for_sandboxes(spec.address):
        raise Refused(
            "bad_request",
            f"address {spec.address!r} of sandbox {spec.id} is not free for use in {links.MESH}",
        )
    for mount in spec.mounts:
        if not mount.source.startswith("/") or not mount.target.startswith("/"):
            raise Refused("bad_request", f"{mount.what} of sandbox {spec.id} needs absolute paths to be mounted")


def _nsswitch(host: str) -> str:
    kept = (line for line in host.splitlines() if line.split(":")[0].strip() != "hosts")
    return "\n".join((*kept, "hosts: files dns", ""))
