"""MeshConfig: the settings of the mesh as a whole, with Istio's defaults."""

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum

from pydantic import Field

from lateen.api.core.label_selector import LabelSelector
from lateen.api.fields import (
    EMPTY_MAP,
    Bool,
    Count,
    Duration,
    ExportScope,
    FreeFormMap,
    Ignored,
    NonEmpty,
    Port,
    PositiveDuration,
    StringMap,
)
from lateen.api.mesh.ca_certificates import CaCertificates
from lateen.api.mesh.extension_providers import ExtensionProvider
from lateen.api.mesh.metric_providers import Address, StatsMatcher
from lateen.api.networking.destination_rule import (
    Http2Upgrade,
    LocalityLoadBalancing,
    TcpKeepalive,
    TrafficPolicy,
    ZoneAwareLoadBalancing,
)
from lateen.api.networking.gateway import TlsVersion
from lateen.api.networking.sidecar import OutboundTrafficPolicy
from lateen.api.networking.virtual_service import HttpRetry
from lateen.api.structs import Checked, OpenStruct, Problem, Struct
from lateen.api.telemetry.formats import FormatText, is_json_object
from lateen.api.telemetry.tracing import ProxyTracing


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


class ForwardClientCertificate(StrEnum):
    """What is done with the header that tells the client's certificate."""

    UNDEFINED = "UNDEFINED"
    SANITIZE = "SANITIZE"
    FORWARD_ONLY = "FORWARD_ONLY"
    APPEND_FORWARD = "APPEND_FORWARD"
    SANITIZE_SET = "SANITIZE_SET"
    ALWAYS_FORWARD_ONLY = "ALWAYS_FORWARD_ONLY"


class GatewayTopology(OpenStruct):
    """What stands in front of the gateways."""

    num_trusted_proxies: Count = 0
    forward_client_cert_details: ForwardClientCertificate = ForwardClientCertificate.UNDEFINED
    proxy_protocol: FreeFormMap | None = None


class ProxyDefaults(OpenStruct):
    """How proxies are run, unless a ProxyConfig or an annotation says otherwise."""

    concurrency: Count | None = None
    drain_duration: Duration = timedelta(seconds=45)
    termination_drain_duration: Duration = timedelta(seconds=5)
    proxy_admin_port: Port = 15000
    status_port: Port = 15020
    proxy_metadata: StringMap = EMPTY_MAP
    gateway_topology: GatewayTopology | None = None
    hold_application_until_proxy_starts: Bool = False
    availability_zone: Ignored = None
    binary_path: Ignored = None
    ca_certificates_pem: Ignored = None
    config_path: Ignored = None
    connection_settings: Ignored = None
    control_plane_auth_policy: Ignored = None
    custom_config_file: Ignored = None
    discovery_address: Ignored = None
    discovery_refresh_delay: Ignored = None
    envoy_access_log_service: Ignored = None
    envoy_metrics_service: Ignored = None
    extra_stat_tags: Ignored = None
    file_flush_interval: Ignored = None
    file_flush_min_size_kb: Ignored = None
    image: Ignored = None
    interception_mode: Ignored = None
    mesh_id: Ignored = None
    parent_shutdown_duration: Ignored = None
    private_key_provider: Ignored = None
    proxy_bootstrap_template_path: Ignored = None
    proxy_headers: Ignored = None
    proxy_stats_matcher: StatsMatcher | None = None
    readiness_probe: Ignored = None
    runtime_values: Ignored = None
    sds: Ignored = None
    service_cluster: Ignored = None
    stat_name_length: Ignored = None
    stats_compression: Ignored = None
    statsd_udp_address: Address | None = None
    tracing: ProxyTracing | None = None
    tracing_service_name: Ignored = None
    zipkin_address: Ignored = None


class DefaultProviders(OpenStruct):
    """The extensionProviders that count where a Telemetry names none."""

    metrics: tuple[NonEmpty, ...] = ()
    tracing: tuple[NonEmpty, ...] = ()
    access_logging: tuple[NonEmpty, ...] = ()


class TlsLimits(Struct):
    """What the TLS between the mesh's proxies must be at least; without suites and curves Envoy's are used."""

    min_protocol_version: TlsVersion = TlsVersion.TLS_AUTO
    cipher_suites: tuple[NonEmpty, ...] = ()
    ecdh_curves: tuple[NonEmpty, ...] = ()


class MeshConfig(Checked, OpenStruct):
    """Settings of the whole mesh; what is not set is as in Istio."""

    outbound_traffic_policy: OutboundTrafficPolicy = Field(default_factory=OutboundTrafficPolicy)
    inbound_traffic_policy: InboundTrafficPolicy = Field(default_factory=InboundTrafficPolicy)
    access_log_file: str = ""
    access_log_encoding: AccessLogEncoding = AccessLogEncoding.TEXT
    access_log_format: FormatText = ""
    default_config: ProxyDefaults = Field(default_factory=ProxyDefaults)
    connect_timeout: PositiveDuration = timedelta(seconds=10)
    protocol_detection_timeout: Duration = timedelta()
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
    ca: Ignored = None
    certificates: Ignored = None
    config_sources: Ignored = None
    disable_envoy_listener_log: Ignored = None
    enable_envoy_access_log_service: Ignored = None
    enable_prometheus_merge: Bool = True
    enable_tracing: Bool = True
    hbone_idle_timeout: Ignored = None
    inbound_cluster_stat_name: Ignored = None
    ingress_class: Ignored = None
    ingress_controller_mode: Ignored = None
    ingress_selector: Ignored = None
    ingress_service: Ignored = None
    outbound_cluster_stat_name: Ignored = None
    proxy_http_port: Ignored = None
    service_scope_configs: Ignored = None
    service_settings: Ignored = None
    tls_defaults: Ignored = None
    verify_certificate_at_client: Ignored = None

    @property
    def tells_gateways_of_clients(self) -> bool:
        """True where connections to gateways begin with the client's address, in the form of the PROXY protocol."""
        topology = self.default_config.gateway_topology
        return topology is not None and topology.proxy_protocol is not None

    def problems(self) -> Iterator[Problem]:
        if self.access_log_encoding is AccessLogEncoding.JSON and not is_json_object(self.access_log_format or "{}"):
            yield Problem("must be a JSON object: accessLogEncoding is JSON", "accessLogFormat")
