"""The virtual hosts of a sidecar: the names under which clients call a host, and the routes behind them."""

from dataclasses import dataclass
from typing import Final

from lateen import names
from lateen.api.networking.sidecar import OutboundMode, OutboundTrafficPolicy
from lateen.api.objects import ObjectKey
from lateen.model.service import Service
from lateen.plan import destinations
from lateen.plan.destinations import Dangling
from lateen.plan.diagnostics import Notes
from lateen.plan.directory import Directory
from lateen.plan.matches import ANY_REQUEST
from lateen.plan.types import Forward, Origin, Respond, Route, Target, TcpChain, VirtualHost

EVERY_AUTHORITY: Final = ("*",)
MESH_CONFIG: Final = ObjectKey("mesh.istio.io", "MeshConfig", "", "mesh")


def of_service(
    service: Service, port: int, client_namespace: str, domain: str, routes: tuple[Route, ...]
) -> VirtualHost:
    """Return the virtual host of a service's port in the table that all HTTP services of the port share."""
    hosts = list(names.host_aliases(service.host, client_namespace, domain))
    if service.headless:
        # The pods of a headless Service have names below the Service's.
        hosts += [f"*.{host}" for host in hosts]
    hosts += [bracketed(address) for address in single_addresses(service)]
    return VirtualHost(names.virtual_host(service.host, port), tuple(hosts), routes)


def of_host(host: str, port: int, client_namespace: str, domain: str, routes: tuple[Route, ...]) -> VirtualHost:
    """Return the virtual host of a host that is no service but has rules."""
    return VirtualHost(names.virtual_host(host, port), names.host_aliases(host, client_namespace, domain), routes)


def single_addresses(service: Service) -> tuple[str, ...]:
    """List a service's addresses without those that are ranges."""
    return tuple(address for address in service.addresses if "/" not in address)


def bracketed(address: str) -> str:
    """Return an address as it stands in an authority: IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address


@dataclass(frozen=True, slots=True)
class UnknownTraffic:
    """What becomes of requests to unknown hosts and of connections to unknown addresses."""

    requests: VirtualHost
    connections: TcpChain


def unknown_traffic(policy: OutboundTrafficPolicy, directory: Directory, notes: Notes) -> UnknownTraffic:
    """Settle the mesh's, or a Sidecar's, policy for what is not in the registry."""
    if policy.mode is OutboundMode.REGISTRY_ONLY:
        blocked = Route(ANY_REQUEST, Respond(502), name=names.BLOCK_ALL)
        return UnknownTraffic(
            VirtualHost(names.BLOCK_ALL, EVERY_AUTHORITY, (blocked,)), TcpChain((Target(names.BLACK_HOLE_CLUSTER),))
        )
    cluster = names.PASSTHROUGH_CLUSTER
    dynamic = policy.mode is OutboundMode.ALLOW_ANY_DYNAMIC_DNS
    if policy.egress_proxy is not None:
        found = destinations.find(directory, policy.egress_proxy, directory.view.namespace, 0)
        if isinstance(found, Dangling):
            notes.add(_policy_origin(directory), f"egressProxy has no effect: {found.reason}")
        else:
            cluster = found.cluster
    asked = (
        Forward((Target(names.DYNAMIC_DNS_CLUSTER),), resolves_host=True) if dynamic else Forward((Target(cluster),))
    )
    allowed = Route(ANY_REQUEST, asked, name=names.ALLOW_ANY)
    return UnknownTraffic(VirtualHost(names.ALLOW_ANY, EVERY_AUTHORITY, (allowed,)), TcpChain((Target(cluster),)))


def _policy_origin(directory: Directory) -> Origin:
    sidecar = directory.view.sidecar
    if sidecar is not None and sidecar.spec.outbound_traffic_policy is not None:
        return Origin(sidecar.key, "spec.outboundTrafficPolicy")
    return Origin(MESH_CONFIG, "outboundTrafficPolicy")
