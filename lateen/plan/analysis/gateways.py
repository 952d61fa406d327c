"""Gateways: servers that get into each other's way, certificates that serve badly, ports that nobody can call."""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple, cast

from lateen import names
from lateen.api.core.secret import Secret
from lateen.api.networking.gateway import Gateway, Server
from lateen.api.objects import ConfigObject
from lateen.model import visibility
from lateen.model.workload import Workload
from lateen.plan import secrets
from lateen.plan.analysis.references import credentials, gateway_homes
from lateen.plan.analysis.world import Found, World, at


class _Opened(NamedTuple):
    """A server, and the Gateway that it is of."""

    gateway: ConfigObject[Gateway]
    server: Server
    position: int


def conflicts(world: World) -> Found:
    """Yield servers that open a port for a host which an older Gateway of the same workloads serves there."""
    opened: defaultdict[tuple[object, ...], dict[str, _Opened]] = defaultdict(dict)
    for item in world.gateways.values():
        for position, server in enumerate(item.spec.servers):
            place = (tuple(sorted(item.spec.selector.items())), server.port.number, server.bind)
            for text in server.hosts:
                scope, host = visibility.scoped_host(text, item.namespace)
                key = f"{scope}/{host}"
                winner = opened[place].setdefault(key, _Opened(item, server, position))
                if winner.gateway is not item:
                    says = f"is already open for {host} by {winner.gateway.key}: that one serves it"
                    yield at(item.key, f"spec.servers[{position}]"), f"port {server.port.number} {says}"


def shared_certificates(world: World) -> Found:
    """Yield servers of different Gateways with one certificate: browsers reuse a connection for the other's hosts."""
    first: dict[tuple[object, ...], ConfigObject[Gateway]] = {}
    for item, path, credential in credentials(world):
        place = (tuple(sorted(item.spec.selector.items())), credential)
        winner = first.setdefault(place, item)
        if winner is not item:
            says = (
                f"{winner.key} has the same certificate: a client that keeps its HTTP/2 connection for both hosts gets "
                "404 or 421; make it one Gateway, or give each its certificate"
            )
            yield at(item.key, path), says


def bad_credentials(world: World) -> Found:
    """Yield Secrets that a gateway cannot serve with."""
    seen: set[object] = set()
    for item, path, credential in credentials(world):
        name = names.secret_of_credential(credential)
        for home in sorted(gateway_homes(world, item)):
            secret = secrets_of(world, home).get(name)
            if secret is None or (secret.key, item.key) in seen:
                continue
            seen.add((secret.key, item.key))
            if reason := secrets.certificate_fault(secret):
                yield at(item.key, path), f"{secret.key} is of no use as a certificate: {reason}"


def secrets_of(world: World, namespace: str) -> Mapping[str, ConfigObject[Secret]]:
    """Return the Secrets of a namespace by name."""
    return cast(Mapping[str, ConfigObject[Secret]], world.config.shelf(Secret, namespace))


def ports_off_services(world: World) -> Found:
    """Yield servers on ports that no Service of the gateway's workloads has."""
    for item in world.gateways.values():
        workloads = list(world.selected_everywhere(item.spec.selector))
        known = _service_ports(world, workloads)
        for position, server in enumerate(item.spec.servers):
            if known and server.port.number not in known and not server.socket:
                listed = ", ".join(map(str, sorted(known)))
                says = f"is not one of the gateway's Service, which has {listed}: nobody reaches it"
                yield at(item.key, f"spec.servers[{position}].port.number"), f"port {server.port.number} {says}"


def _service_ports(world: World, workloads: list[Workload]) -> set[int]:
    found: set[int] = set()
    seen: set[tuple[object, ...]] = set()
    for one in workloads:
        kind = (one.key.namespace, tuple(sorted(one.labels.items())))
        if kind not in seen:
            seen.add(kind)
            for service in world.services_selecting(one.key.namespace, one.labels):
                for port in service.ports:
                    target = port.target if isinstance(port.target, int) else one.ports.get(port.target, port.number)
                    found.update((port.number, target))
    return found
