"""MeshConfig: the settings of the mesh as a whole, with Istio's defaults."""

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, Field, Strict

from lateen.api.core.label_selector import LabelSelector
from lateen.api.fields import (
    EMPTY_MAP,
    Bool,
    Count,
    Duration,
    ExportScope,
    FreeForm,
    FreeFormMap,
    NonEmpty,
    Port,
    Positive,
    PositiveDuration,
    StringMap,
)
from lateen.api.mesh.ca_certificates import CaCertificates
from lateen.api.mesh.connection_settings import ConnectionSettings
from lateen.api.mesh.extension_providers import ExtensionProvider
from lateen.api.mesh.metric_providers import Address, StatsMatcher
from lateen.api.mesh.proxy_headers import ForwardClientCertificate, ProxyHeaders
from lateen.api.networking.destination_rule import (
    Http2Upgrade,
    LocalityLoadBalancing,
    TcpKeepalive,
    TrafficPolicy,
    ZoneAwareLoadBalancing,
)
from lateen.api.networking.gateway import TlsVersion
from lateen.api.networking.sidecar import OutboundTrafficPolicy
from lateen.api.networking.tls import CipherSuites
from lateen.api.networking.virtual_service import HttpRetry
from lateen.api.structs import Checked, NoEffect, OpenStruct, Problem, Struct
from lateen.api.telemetry.formats import FormatText, is_json_object
from lateen.api.telemetry.tracing import ProxyTracing

_OWN_ENVOY: Final = "proxies run the Envoy that Lateen was installed with"
_OWN_BOOTSTRAP: Final = "proxies are started with a bootstrap of Lateen's own"
_NO_INGRESS: Final = "Ingress is no kind here: write a Gateway and VirtualServices"
_ONE_CLUSTER: Final = "with one cluster every service is both local and global"
_STATISTICS: Final = "statistics carry the names of clusters, by which lateen's own commands read them"

_CURVES: Final = ("P-256", "P-384", "P-521", "X25519", "X25519MLKEM768")


def _check_curve(name: str) -> str:
    if name not in _CURVES:
        raise ValueError(f"must be one of {', '.join(_CURVES)}, not {name!r}")
    return name


Curve = Annotated[str, AfterValidator(_check_curve)]


class AccessLogEncoding(StrEnum):
    """How a line of the access log is written."""

    TEXT = "TEXT"
    JSON = "JSON"


class InboundMode(StrEnum):
    """Where the proxy sends what it accepts for its workload: the workload's address or localhost."""

    PASSTHROUGH = "PASSTHROUGH"
    LOCALHOST = "LOCALHOST"


class InboundTrafficPolicy(Struct):
    """Where the proxy sends what it accepts for its workload."""

    mode: InboundMode = InboundMode.PASSTHROUGH


class Normalization(StrEnum):
    """What is done to paths before they are matched."""

    DEFAULT = "DEFAULT"
    NONE = "NONE"
    BASE = "BASE"
    MERGE_SLASHES = "MERGE_SLASHES"
    DECODE_AND_MERGE_SLASHES = "DECODE_AND_MERGE_SLASHES"


class PathNormalization(Struct):
    """What is done to paths before they are matched; DEFAULT is BASE."""

    normalization: Normalization = Normalization.DEFAULT


class GatewayTopology(OpenStruct):
    """What stands in front of the gateways."""

    num_trusted_proxies: Count = 0
    forward_client_cert_details: ForwardClientCertificate = ForwardClientCertificate.UNDEFINED
    proxy_protocol: FreeFormMap | None = None


class InterceptionMode(StrEnum):
    """How connections get into the proxy. Only REDIRECT is done here."""

    REDIRECT = "REDIRECT"
    TPROXY = "TPROXY"
    NONE = "NONE"


class TracingServiceName(StrEnum):
    """What traces call the workload."""

    APP_LABEL_AND_NAMESPACE = "APP_LABEL_AND_NAMESPACE"
    CANONICAL_NAME_ONLY = "CANONICAL_NAME_ONLY"
    CANONICAL_NAME_AND_NAMESPACE = "CANONICAL_NAME_AND_NAMESPACE"


class ProxyDefaults(OpenStruct):
    """How proxies are run, unless a ProxyConfig or an annotation says otherwise."""

    concurrency: Count | None = None
    drain_duration: Duration = timedelta(seconds=45)
    termination_drain_duration: Duration = timedelta(seconds=5)
    proxy_admin_port: Port = 15000
    status_port: Port = 15020
    proxy_metadata: StringMap = EMPTY_MAP
    gateway_topology: GatewayTopology | None = None
    proxy_headers: ProxyHeaders | None = None
    connection_settings: ConnectionSettings | None = None
    hold_application_until_proxy_starts: Bool = False
    file_flush_interval: PositiveDuration | None = None
    file_flush_min_size_kb: Positive | None = None
    interception_mode: InterceptionMode = InterceptionMode.REDIRECT
    proxy_stats_matcher: StatsMatcher | None = None
    runtime_values: StringMap = EMPTY_MAP
    stats_compression: Bool = True
    statsd_udp_address: Address | None = None
    tracing: ProxyTracing | None = None
    tracing_service_name: TracingServiceName = TracingServiceName.APP_LABEL_AND_NAMESPACE
    availability_zone: Annotated[FreeForm, NoEffect("label the pods with istio-locality: REGION.ZONE instead")] = None
    binary_path: Annotated[FreeForm, NoEffect(_OWN_ENVOY)] = None
    ca_certificates_pem: Annotated[FreeForm, NoEffect("write the roots in caCertificates of MeshConfig instead")] = None
    config_path: Annotated[FreeForm, NoEffect(_OWN_BOOTSTRAP)] = None
    control_plane_auth_policy: Annotated[
        FreeForm, NoEffect("proxies speak mutual TLS with the control plane, always")
    ] = None
    custom_config_file: Annotated[FreeForm, NoEffect(_OWN_BOOTSTRAP)] = None
    discovery_address: Annotated[FreeForm, NoEffect("proxies find the control plane by a socket of their machine")] = (
        None
    )
    discovery_refresh_delay: Annotated[FreeForm, NoEffect("nothing is polled: changes are pushed")] = None
    envoy_access_log_service: Annotated[
        FreeForm, NoEffect("name a provider with envoyHttpAls or envoyTcpAls in extensionProviders instead")
    ] = None
    envoy_metrics_service: Annotated[
        FreeForm, NoEffect("name a provider with openTelemetryMetrics in extensionProviders instead")
    ] = None
    extra_stat_tags: Annotated[
        FreeForm, NoEffect("labels that a Telemetry adds are kept as they are, without being listed")
    ] = None
    image: Annotated[FreeForm, NoEffect("proxies are processes of the installed Envoy, not containers")] = None
    mesh_id: Annotated[FreeForm, NoEffect("a mesh here is told apart by its name (lateen up --name)")] = None
    parent_shutdown_duration: Annotated[FreeForm, NoEffect("there are no hot restarts: a proxy is started anew")] = None
    private_key_provider: Annotated[FreeForm, NoEffect("the stock Envoy computes with keys itself")] = None
    proxy_bootstrap_template_path: Annotated[FreeForm, NoEffect(_OWN_BOOTSTRAP)] = None
    readiness_probe: Annotated[FreeForm, NoEffect("workloads of this machine have the probes of their pods")] = None
    sds: Annotated[FreeForm, NoEffect("certificates come over SDS, always")] = None
    service_cluster: Annotated[FreeForm, NoEffect("proxies are named after label app and namespace")] = None
    stat_name_length: Annotated[FreeForm, NoEffect("the names of Envoy's statistics have no bound any more")] = None
    zipkin_address: Annotated[FreeForm, NoEffect("write tracing.zipkin.address instead")] = None

    @property
    def tells_gateways_of_clients(self) -> bool:
        """True where connections to gateways begin with the client's address, in the form of the PROXY protocol."""
        return self.gateway_topology is not None and self.gateway_topology.proxy_protocol is not None


class DefaultProviders(OpenStruct):
    """The extensionProviders that count where a Telemetry names none."""

    metrics: tuple[NonEmpty, ...] = ()
    tracing: tuple[NonEmpty, ...] = ()
    access_logging: tuple[NonEmpty, ...] = ()


class TlsLimits(Struct):
    """What TLS must be at least; without suites and curves Envoy's are used."""

    min_protocol_version: TlsVersion = TlsVersion.TLS_AUTO
    cipher_suites: CipherSuites = ()
    ecdh_curves: tuple[Curve, ...] = ()


class MeshConfig(Checked, OpenStruct):
    """Settings of the whole mesh; what is not set is as in Istio."""

    outbound_traffic_policy: OutboundTrafficPolicy = Field(default_factory=OutboundTrafficPolicy)
    inbound_traffic_policy: InboundTrafficPolicy = Field(default_factory=InboundTrafficPolicy)
    access_log_file: str = ""
    access_log_encoding: AccessLogEncoding = AccessLogEncoding.TEXT
    access_log_format: FormatText = ""
    default_config: ProxyDefaults = Field(default_factory=ProxyDefaults)
    connect_timeout: PositiveDuration = timedelta(seconds=10)
    protocol_detection_timeout: Duration | None = None
    dns_refresh_rate: PositiveDuration = timedelta(seconds=60)
    tcp_keepalive: TcpKeepalive | None = None
    trust_domain: NonEmpty = "cluster.local"
    trust_domain_aliases: tuple[str, ...] = ()
    ca_certificates: tuple[CaCertificates, ...] = ()
    root_namespace: NonEmpty = "istio-system"
    enable_auto_mtls: Bool = True
    mesh_mtls: TlsLimits = Field(default_factory=TlsLimits)
    default_http_retry_policy: HttpRetry | None = None
    default_inbound_http_retry_policy: HttpRetry | None = None
    default_traffic_policy: TrafficPolicy | None = None
    locality_lb_setting: LocalityLoadBalancing | None = None
    zone_aware_lb_setting: ZoneAwareLoadBalancing | None = None
    h2_upgrade_policy: Http2Upgrade = Http2Upgrade.DO_NOT_UPGRADE
    path_normalization: PathNormalization = Field(default_factory=PathNormalization)
    extension_providers: tuple[ExtensionProvider, ...] = ()
    default_providers: DefaultProviders = Field(default_factory=DefaultProviders)
    default_service_export_to: tuple[ExportScope, ...] = ()
    default_virtual_service_export_to: tuple[ExportScope, ...] = ()
    default_destination_rule_export_to: tuple[ExportScope, ...] = ()
    discovery_selectors: tuple[LabelSelector, ...] = ()
    policy_check_fail_open: Bool = False
    proxy_listen_port: Port = 15001
    proxy_inbound_listen_port: Port = 15006
    proxy_http_port: Annotated[int, Strict(), Field(ge=0, le=65535)] = 0
    tls_defaults: TlsLimits = Field(default_factory=TlsLimits)
    enable_prometheus_merge: Bool = True
    enable_tracing: Bool = True
    verify_certificate_at_client: Bool = True
    ca: Annotated[
        FreeForm, NoEffect("certificates are signed by the mesh's own authority, or by that of lateen up --ca-dir")
    ] = None
    certificates: Annotated[FreeForm, NoEffect("there are no components that need certificates for host names")] = None
    config_sources: Annotated[FreeForm, NoEffect("files and folders are given to lateen up and lateen apply")] = None
    disable_envoy_listener_log: Annotated[FreeForm, NoEffect("listeners write no logs beside those of calls")] = None
    enable_envoy_access_log_service: Annotated[
        FreeForm, NoEffect("name a provider with envoyHttpAls or envoyTcpAls in extensionProviders instead")
    ] = None
    hbone_idle_timeout: Annotated[FreeForm, NoEffect("there is no ambient mode, and so no HBONE")] = None
    inbound_cluster_stat_name: Annotated[FreeForm, NoEffect(_STATISTICS)] = None
    ingress_class: Annotated[FreeForm, NoEffect(_NO_INGRESS)] = None
    ingress_controller_mode: Annotated[FreeForm, NoEffect(_NO_INGRESS)] = None
    ingress_selector: Annotated[FreeForm, NoEffect(_NO_INGRESS)] = None
    ingress_service: Annotated[FreeForm, NoEffect(_NO_INGRESS)] = None
    outbound_cluster_stat_name: Annotated[FreeForm, NoEffect(_STATISTICS)] = None
    service_scope_configs: Annotated[FreeForm, NoEffect(_ONE_CLUSTER)] = None
    service_settings: Annotated[FreeForm, NoEffect(_ONE_CLUSTER)] = None

    def problems(self) -> Iterator[Problem]:
        if self.access_log_encoding is AccessLogEncoding.JSON and not is_json_object(self.access_log_format or "{}"):
            yield Problem("must be a JSON object: accessLogEncoding is JSON", "accessLogFormat")
