"""What the mesh's settings say about identities: the trust domain, and how long certificates live."""

from datetime import timedelta
from typing import Final

from lateen.api.fields import parse_duration
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.auth.trust import TrustDomain
from lateen.errors import ConfigRejected

LIFETIME: Final = "SECRET_TTL"
"""Where Istio's proxies look for the lifetime of their certificates: in `defaultConfig.proxyMetadata`."""


def trust_domain_of(mesh: MeshConfig) -> TrustDomain:
    """Return the trust domain with its aliases; raises `ConfigRejected` for names that cannot be one."""
    return TrustDomain(mesh.trust_domain, mesh.trust_domain_aliases)


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
