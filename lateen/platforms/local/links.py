"""The mesh's addresses and links: what they are, and how `ip -batch` is told to make them. Pure.

One bridge in the mesh namespace, one veth pair a sandbox: one end (named after the address) on the bridge, the other
is the sandbox's `eth0`. The hardware address follows from the IP address, so that what neighbours remember of an
address stays right when another sandbox takes it over.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network

MESH = IPv4Network("10.244.0.0/16")
NODE = IPv4Address("10.244.0.1")
PROBES = IPv4Address("10.244.0.2")
HOST = IPv4Address("10.244.0.254")
SERVICES = IPv4Network("10.96.0.0/16")
EXTERNAL_SERVICES = IPv4Network("240.240.0.0/16")
NAMESERVER = IPv4Address("10.96.0.10")
HOST_NAME = "host.lateen.internal"
BRIDGE = "br0"


@lru_cache(maxsize=MESH.num_addresses)
def is_for_sandboxes(address: str) -> bool:
    """Whether a sandbox may have this address: in the mesh's network, and not one of the node's own."""
    try:
        parsed = IPv4Address(address)
    except ValueError:
        return False
    reserved = (NODE, PROBES, HOST, MESH.network_address, MESH.broadcast_address)
    return parsed in MESH and parsed not in reserved


def is_automatic(address: str) -> bool:
    """Whether an IPv4 address was given to a ServiceEntry's host because it wrote none."""
    return IPv4Address(address) in EXTERNAL_SERVICES


def bridge_end(address: str) -> str:
    """The name of a sandbox's link in the mesh namespace, such as `v1-23` for 10.244.1.23."""
    third, fourth = IPv4Address(address).packed[2:]
    return f"v{third}-{fourth}"


def hardware_address(address: str) -> str:
    """The locally administered MAC that belongs to an IPv4 address, such as `0a:58:0a:f4:01:17`."""
    return "0a:58:" + ":".join(f"{octet:02x}" for octet in IPv4Address(address).packed)


def mesh_links() -> str:
    """The batch that sets up a fresh mesh namespace.

    The default route leads nowhere: it only lets packets for the outside get as far as the rule that redirects them.
    """
    addresses = (f"{NODE}/16", f"{PROBES}/16", f"{HOST}/32")
    return _batch(
        "link set lo up",
        f"link add {BRIDGE} address {hardware_address(str(NODE))} type bridge",
        *(f"addr add {address} dev {BRIDGE}" for address in addresses),
        f"link set {BRIDGE} up",
        f"route add default dev {BRIDGE} src {NODE}",
    )


def bridge_side(address: str, holder_pid: str) -> str:
    """The batch, run in the mesh namespace, that gives the sandbox of `holder_pid` its `eth0`."""
    mac = hardware_address(address)
    return _batch(
        f"link add {bridge_end(address)} type veth peer name eth0 address {mac} netns {holder_pid}",
        f"link set {bridge_end(address)} master {BRIDGE} up",
    )


def sandbox_side(address: str) -> str:
    """The batch, run in the sandbox, that brings its links up."""
    return _batch(
        "link set lo up",
        f"addr add {address}/16 dev eth0",
        "link set eth0 up",
        f"route add default via {NODE}",
    )


def _batch(*commands: str) -> str:
    return "".join(f"{command}\n" for command in commands)
