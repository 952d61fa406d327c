"""The mesh-wide settings that plans depend on, taken out of MeshConfig as one small value."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from lateen.api.mesh.mesh_config import InboundMode, MeshConfig, TlsLimits
from lateen.api.networking.destination_rule import (
    ConnectionPool,
    Http2Upgrade,
    LocalityLoadBalancing,
    OutlierDetection,
    TcpKeepalive,
    ZoneAwareLoadBalancing,
)
from lateen.api.networking.gateway import TlsVersion
from lateen.api.networking.virtual_service import HttpRetry
from lateen.model.view import ProxyView
from lateen.plan.types import OWN_DOMAIN, USUAL_TLS, Keepalive, MeshTrust, Retry, TlsBounds

SAFE_RETRY: Final = Retry(
    attempts=2,
    conditions=("connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes"),
)
"""What is tried again when nobody says otherwise: only what surely did not reach the application."""

SAFE_INBOUND_RETRY: Final = Retry(attempts=2, conditions=("reset-before-request",), avoids_previous_hosts=False)
"""What a server's proxy tries again: a kept connection that the application closed at the same moment."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where no rule says otherwise.

    With `describes_endpoints`, somebody may ask a calling proxy for single facts of a workload that it has chosen.
    """

    connect_timeout: timedelta = timedelta(seconds=10)
    keepalive: Keepalive | None = None
    pool: ConnectionPool | None = None
    outliers: OutlierDetection | None = None
    localities: LocalityLoadBalancing | None = None
    zones: ZoneAwareLoadBalancing | None = None
    upgrades_to_http2: bool = False
    name_refresh: timedelta = timedelta(seconds=60)
    reaches_by_localhost: bool = False
    retry: Retry = SAFE_RETRY
    inbound_retry: Retry = SAFE_INBOUND_RETRY
    root_namespace: str = "istio-system"
    domain: str = "cluster.local"
    auto_mtls: bool = True
    trust: MeshTrust = OWN_DOMAIN
    tls: TlsBounds = USUAL_TLS
    describes_endpoints: bool = False


def of_view(view: ProxyView) -> Defaults:
    """Read the defaults out of the mesh's settings, and what the proxies of a view are asked for beside them."""
    mesh = view.mesh
    by_settings = mesh.extension_providers or mesh.access_log_format or mesh.default_config.statsd_udp_address
    by_objects = view.telemetries or view.mixer or view.envoy_filters or view.limits
    return of_mesh(mesh, view.domain, describes_endpoints=bool(by_settings or by_objects))


def of_mesh(mesh: MeshConfig, domain: str, *, describes_endpoints: bool = False) -> Defaults:
    """Read the defaults out of the mesh's settings."""
    policy = mesh.default_traffic_policy
    return Defaults(
        connect_timeout=mesh.connect_timeout,
        keepalive=keepalive(mesh.tcp_keepalive),
        pool=policy.connection_pool if policy else None,
        outliers=policy.outlier_detection if policy else None,
        localities=mesh.locality_lb_setting,
        zones=mesh.zone_aware_lb_setting,
        name_refresh=mesh.dns_refresh_rate,
        reaches_by_localhost=mesh.inbound_traffic_policy.mode is InboundMode.LOCALHOST,
        upgrades_to_http2=mesh.h2_upgrade_policy is Http2Upgrade.UPGRADE,
        retry=retry(mesh.default_http_retry_policy, SAFE_RETRY),
        inbound_retry=retry(mesh.default_inbound_http_retry_policy, SAFE_INBOUND_RETRY),
        root_namespace=mesh.root_namespace,
        domain=domain,
        auto_mtls=mesh.enable_auto_mtls,
        trust=trust(mesh),
        tls=_tls_bounds(mesh.tls_defaults),
        describes_endpoints=describes_endpoints,
    )


def _tls_bounds(limits: TlsLimits) -> TlsBounds:
    lowest = limits.min_protocol_version
    version = TlsVersion.TLSV1_2 if lowest is TlsVersion.TLS_AUTO else lowest
    return TlsBounds(version, limits.cipher_suites, limits.ecdh_curves)


def trust(mesh: MeshConfig) -> MeshTrust:
    """Read whom the mesh's proxies believe; below TLS 1.2 there is nothing."""
    limits = mesh.mesh_mtls
    foreign = (domain for each in mesh.ca_certificates for domain in each.trust_domains)
    return MeshTrust(
        domains=tuple(dict.fromkeys((mesh.trust_domain, *mesh.trust_domain_aliases, *foreign))),
        min_version=TlsVersion.TLSV1_3 if limits.min_protocol_version is TlsVersion.TLSV1_3 else TlsVersion.TLSV1_2,
        cipher_suites=limits.cipher_suites,
        curves=limits.ecdh_curves,
    )


def keepalive(setting: TcpKeepalive | None) -> Keepalive | None:
    """Read TCP keepalive; None when nobody asks for it."""
    return Keepalive(setting.probes, setting.time, setting.interval) if setting else None


def retry(policy: HttpRetry | None, default: Retry) -> Retry:
    """Settle a retry policy: the default's conditions hold where it names none.

    Numbers among the conditions are status codes. `attempts: 0` turns retries off.
    """
    if policy is None:
        return default
    if policy.attempts == 0:
        return Retry(attempts=0, conditions=())
    written = [part.strip() for part in policy.retry_on.split(",") if part.strip()]
    conditions = [part for part in written if not part.isdecimal()]
    codes = tuple(int(part) for part in written if part.isdecimal())
    if codes and "retriable-status-codes" not in conditions:
        conditions.append("retriable-status-codes")
    ignores = policy.retry_ignore_previous_hosts
    return Retry(
        attempts=policy.attempts,
        conditions=tuple(conditions) or default.conditions,
        status_codes=codes,
        per_try_timeout=policy.per_try_timeout,
        backoff=policy.backoff or default.backoff,
        avoids_previous_hosts=default.avoids_previous_hosts if ignores is None else ignores,
        crosses_localities=bool(policy.retry_remote_localities),
    )
