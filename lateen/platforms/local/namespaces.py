"""How namespaces are made and entered: argument lists and shell scripts.

Every namespace is held by a `sleep` that dies with the supervisor. The chain of commands that leads to it is one
process from beginning to end (each step replaces the one before), so the pid that the supervisor started is the
holder's. `setpriv --pdeathsig` comes last in the chain because entering a user namespace clears the setting.
"""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lateen.platforms.local import interception, links
from lateen.platforms.local.tools import tool

READY = "ready"
_HOLD = "exec </dev/null >/dev/null 2>&1 sleep infinity"


def enter_argv(holder_pid: int, command: Sequence[str], *, rootless: bool) -> tuple[str, ...]:
    """The command line that runs `command` in the sandbox (or mesh namespace) of a holder, as root of that namespace.

    The working directory becomes `/`. To be run by the user who owns the mesh.
    """
    user = ("--user", "--preserve-credentials") if rootless else ()
    return (tool("nsenter"), "--target", str(holder_pid), *user, "--net", "--mount", "--uts", "--", *command)


def child_argv(holder_pid: int, command: Sequence[str], *, rootless: bool, cwd: str | None = None) -> tuple[str, ...]:
    """Like `enter_argv`, for a process that must not outlive the supervisor."""
    moved = (tool("env"), f"--chdir={cwd}") if cwd else ()
    return enter_argv(holder_pid, dying_with_us((*moved, *command)), rootless=rootless)


def mesh_holder_argv(files: Path, *, rootless: bool) -> tuple[str, ...]:
    """The command line that makes and holds the mesh namespace; prints `ready` when it is set up.

    `files` is a directory with what `mesh_files` lists.
    """
    user = ("--user", "--map-root-user") if rootless else ()
    return (tool("unshare"), *user, *_unshared(_set_up(files)))


def mesh_files() -> Mapping[str, str]:
    """What the mesh namespace is made from: file name → content."""
    return {
        "links": links.mesh_links(),
        "rules": interception.mesh_rules(),
        "resolv.conf": f"nameserver {links.NODE}\n",
    }


def sandbox_holder_argv(
    files: Path, mesh_holder_pid: int, address: str, hostname: str, *, rootless: bool
) -> tuple[str, ...]:
    """The command line that makes and holds a sandbox; prints `ready` when it is set up.

    `files` holds `links` and, as far as wanted, `rules`, `resolv.conf`, `hosts`, `nsswitch.conf`, `mounts`.
    """
    mounts = shlex.quote(str(files / "mounts"))
    mounting = shlex.join((sys.executable, "-I", "-S", str(Path(__file__).with_name("mounting.py"))))
    steps = (
        f"ip_in_mesh() {{ nsenter --net=/proc/{mesh_holder_pid}/ns/net ip -batch -; }}",
        f"printf {shlex.quote(links.bridge_side(address, '%s'))} $$ | ip_in_mesh",
        *_set_up(files),
        # last, so that what is covered in /etc is carried along
        f"if [ -e {mounts} ]; then {mounting} {mounts}; fi",
        f"hostname {shlex.quote(hostname)}",
    )
    making = (tool("unshare"), *_unshared(steps))
    return enter_argv(mesh_holder_pid, making, rootless=rootless)


def remove_link_argv(mesh_holder_pid: int, address: str, *, rootless: bool) -> tuple[str, ...]:
    """The command line that unlinks a sandbox at once, instead of when the kernel comes to it."""
    return enter_argv(mesh_holder_pid, (tool("ip"), "link", "del", links.bridge_end(address)), rootless=rootless)


def route_services_argv(mesh_holder_pid: int, rules: Sequence[Path], *, rootless: bool) -> tuple[str, ...]:
    """The command line that puts rules for service addresses in place, and has packets passed on between sandboxes."""
    settings = (
        ("ipv4/ip_forward", 1),
        ("ipv4/conf/all/send_redirects", 0),
        (f"ipv4/conf/{links.BRIDGE}/send_redirects", 0),
        # else the bridge translates addresses by itself, and drops what is to go back where it came from
        ("bridge/bridge-nf-call-iptables", 0),
    )
    steps = (
        "set -e",
        "say() { if [ -e /proc/sys/net/$1 ]; then echo $2 > /proc/sys/net/$1; fi; }",
        *(f"say {name} {value}" for name, value in settings),
        *(f"nft -f {shlex.quote(str(each))}" for each in rules),
    )
    return child_argv(mesh_holder_pid, ("sh", "-c", "\n".join(steps)), rootless=rootless)


def dying_with_us(command: Sequence[str]) -> tuple[str, ...]:
    """The command line that runs `command` until it ends or the process that started it does."""
    return (tool("setpriv"), "--pdeathsig", "KILL", "--", *command)


def _unshared(steps: Sequence[str]) -> tuple[str, ...]:
    # slave: what the host mounts later is seen inside too, what is mounted inside never leaves
    return (
        "--net",
        "--mount",
        "--uts",
        "--propagation",
        "slave",
        "--",
        *dying_with_us(("sh", "-c", _script(steps))),
    )


def _set_up(files: Path) -> Sequence[str]:
    quoted = shlex.quote(str(files))
    return (
        f"cd {quoted}",
        "ip -batch links",
        "if [ -e rules ]; then nft -f rules; fi",
        # a symbolic link such as systemd-resolved's is followed: the file that it names is covered
        "for each in resolv.conf hosts nsswitch.conf; do"
        " if [ -e $each ] && [ -e /etc/$each ]; then mount --bind $each /etc/$each; fi; done",
        "cd /",
    )


def _script(steps: Sequence[str]) -> str:
    return "\n".join(("set -e", *steps, f"echo {READY}", _HOLD))
