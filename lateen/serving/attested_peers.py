"""Who the other side of a connection is, by the names in its certificate, and what is known of it beside."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from lateen.mixer.directory import NOTHING_KNOWN, Directory, Facts
from lateen.mixer.values import Value
from lateen.names import UNKNOWN, Identity, PeerName, parse_identity, parse_instance_name, parse_peer_name


class Said(NamedTuple):
    """What a certificate says of its holder: its identity, the instance that holds it, what that is an instance of."""

    identity: Identity | None = None
    instance: tuple[str, str] | None = None
    peer: PeerName | None = None


@lru_cache(maxsize=4096)
def said_by_certificate(text: str) -> Said:
    """Read a certificate as Envoy passes it on: PEM, URL-encoded."""
    # Loaded with the first certificate: a process that only collects traces sees none.
    from cryptography import x509

    from lateen.auth import trust

    try:
        found = x509.load_pem_x509_certificate(unquote(text).encode())
    except ValueError:
        return Said()
    uris = trust.alternative_names(found, x509.UniformResourceIdentifier)
    return said_by_names(uris, trust.alternative_names(found, x509.DNSName))


def said_by_names(uris: Iterable[str], hosts: Iterable[str]) -> Said:
    """Read the alternative names of a certificate; one with several URIs says nothing."""
    uris, hosts = tuple(uris), tuple(hosts)
    return Said(
        parse_identity(uris[0]) if len(uris) == 1 else None,
        next(filter(None, map(parse_instance_name, hosts)), None),
        next(filter(None, map(parse_peer_name, hosts)), None),
    )


def facts(said: Said, directory: Directory) -> Facts:
    """Return what is known of the holder of a certificate that was verified."""
    identity, instance, peer = said
    if identity is None:
        return NOTHING_KNOWN
    found: dict[str, Value] = {"namespace": identity.namespace}
    if instance is not None and instance[1] == identity.namespace:
        workload = directory.instance(identity.namespace, instance[0])
        found |= directory.facts(workload) if workload else _attested(instance, peer)
    return {**found, "principal": identity.principal}


def _attested(instance: tuple[str, str], peer: PeerName | None) -> Mapping[str, Value]:
    """Return the facts of an instance that is not in the directory, such as one that has just gone."""
    name, namespace = instance
    found: dict[str, Value] = {"name": name, "uid": f"kubernetes://{name}.{namespace}"}
    if peer is not None:
        labels = {"app": peer.app, "version": peer.version}
        found["labels"] = {key: value for key, value in labels.items() if value != UNKNOWN}
        found["workload.name"], found["workload.namespace"] = peer.workload, namespace
        found["workload.uid"] = f"istio://{namespace}/workloads/{peer.workload}"
    return found
