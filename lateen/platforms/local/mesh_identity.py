"""What the mesh's settings say about identities: the trust domain, and how long certificates live."""

from datetime import timedelta
from typing import Final

from lateen.api.fields import parse_duration
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.auth import trust
from lateen.auth.trust import Root, TrustDomain
from lateen.errors import ConfigRejected

LIFETIME: Final = "SECRET_TTL"
"""Where Istio's proxies look for the lifetime of their certificates: in `defaultConfig.proxyMetadata`."""


def trust_domain_of(mesh: MeshConfig) -> TrustDomain:
    """Return the trust domain with its aliases; raises `ConfigRejected` for names that cannot be one."""
    return TrustDomain(mesh.trust_domain, mesh.trust_domain_aliases)


def foreign_roots_of(mesh: MeshConfig) -> tuple[Root, ...]:
    """Return the roots that are trusted besides the mesh's own; those for no trust domain are for the mesh's own."""
    own = (mesh.trust_domain, *mesh.trust_domain_aliases)
    return tuple(
        root
        for each in mesh.ca_certificates
        for domain in each.trust_domains or own
        for root in trust.read_roots(each.pem, domain)
    )


def lifetime_of(mesh: MeshConfig) -> timedelta | None:
    """Return how long workloads' certificates live; None where the authority decides. Raises `ConfigRejected`."""
    written = mesh.default_config.proxy_metadata.get(LIFETIME)
    if not written:
        return None
    try:
        found = parse_duration(written)
    except ValueError as error:
        raise ConfigRejected(f"defaultConfig.proxyMetadata.{LIFETIME} {error}") from None
    if found <= timedelta():
        raise ConfigRejected(f"defaultConfig.proxyMetadata.{LIFETIME} must be more than nothing, such as 24h")
    return found
