"""What one class of proxies may see of the mesh, and nothing else: the plan's only input."""

from dataclasses import dataclass, field
from typing import NamedTuple

from lateen.api.core.secret import Secret
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.api.networking.destination_rule import DestinationRule
from lateen.api.networking.envoy_filter import EnvoyFilter
from lateen.api.networking.gateway import Gateway
from lateen.api.networking.sidecar import Sidecar
from lateen.api.networking.virtual_service import VirtualService
from lateen.api.objects import ConfigObject, ObjectKey
from lateen.api.policy.api_key_authentication import ApiKeyAuthentication
from lateen.api.policy.external_processor import ExternalProcessor
from lateen.api.policy.rate_limit import RateLimit
from lateen.api.security.authorization_policy import AuthorizationPolicy
from lateen.api.security.oidc_login import OidcLogin
from lateen.api.security.request_authentication import RequestAuthentication
from lateen.api.structs import Struct
from lateen.api.telemetry.telemetry import Telemetry
from lateen.api.traffic.health_check import HealthCheck
from lateen.api.traffic.session_persistence import SessionPersistence
from lateen.model.callers import Caller
from lateen.model.key_sets import KeySet
from lateen.model.peers import ALL_TAKEN, PeerModes
from lateen.model.policies import Attachment
from lateen.model.protocol import Protocol
from lateen.model.proxy import Role
from lateen.model.service import Service
from lateen.model.workload import Locality


class OwnPort(NamedTuple):
    """A port of the workload itself that a service sends traffic to.

    `number` is the port that the application listens on, `service_port` what clients of `host` call.
    """

    number: int
    protocol: Protocol
    host: str
    service_port: int


class HostAddresses(NamedTuple):
    """A name for DNS that is no service's virtual address: headless Services and their pods."""

    host: str
    addresses: tuple[str, ...]


class Runs(NamedTuple):
    """Whose instances the workloads are, and as which account they run."""

    owner: str
    account: str


@dataclass(frozen=True, slots=True)
class ClassKey:
    """All of a proxy that its configuration can depend on; proxies with equal keys are one class.

    `labels` holds only those labels of the workload that some object selects by. `gateways` are the Gateways that
    select it, `gateway_ports` maps its Service's ports to target ports, `sidecar` is the Sidecar that scopes it.
    `peers` is what its workload takes from others; a gateway's open ports decide that themselves. `policies` are the
    AuthorizationPolicies, RequestAuthentications, OidcLogins, RateLimits, ExternalProcessors, ApiKeyAuthentications and
    Telemetries that concern it. `runs` is known where some object asks for it. `settings`
    are those of the workload's own proxy, as JSON. `metadata` are the texts of the proxy's node that its EnvoyFilters
    compare.
    """

    role: Role
    namespace: str
    own_ports: tuple[OwnPort, ...] = ()
    gateways: tuple[ObjectKey, ...] = ()
    gateway_ports: tuple[tuple[int, int], ...] = ()
    sidecar: ObjectKey | None = None
    labels: tuple[tuple[str, str], ...] = ()
    locality: Locality = Locality()
    network: str = ""
    peers: PeerModes = ALL_TAKEN
    policies: tuple[Attachment, ...] = ()
    runs: Runs | None = None
    envoy_filters: tuple[ObjectKey, ...] = ()
    settings: str = ""
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ProxyView:
    """What a proxy may see, after exportTo and Sidecar scope. Interned: equal views are one object.

    `services` are sorted by host. `virtual_services` are those that apply to the proxy's role (for a sidecar the ones
    of the gateway `mesh`, for a gateway the ones that name one of `gateways`), oldest first. `destination_rules` are
    the visible ones in the order of lookup: the client's namespace, then other namespaces, then the root namespace;
    so are `health_checks` and `sessions`.
    `secrets` are those Secrets of its own namespace that its Gateways and DestinationRules take certificates from.
    `names` is what DNS knows beside the services' own addresses. `authorization` and `authentication` are the policies
    of this class, `key_sets` the fetched keys that they verify tokens with. `logins` are the ones that a gateway asks
    for; the keys of their sessions are derived from `session_key`. `limits`, `processors`, `api_keys` and
    `telemetries` are further policies of this class. The parts of `key` can be read from the view.
    """

    key: ClassKey
    mesh: MeshConfig
    services: tuple[Service, ...] = ()
    virtual_services: tuple[ConfigObject[VirtualService], ...] = ()
    destination_rules: tuple[ConfigObject[DestinationRule], ...] = ()
    health_checks: tuple[ConfigObject[HealthCheck], ...] = ()
    sessions: tuple[ConfigObject[SessionPersistence], ...] = ()
    gateways: tuple[ConfigObject[Gateway], ...] = ()
    sidecar: ConfigObject[Sidecar] | None = None
    secrets: tuple[ConfigObject[Secret], ...] = ()
    names: tuple[HostAddresses, ...] = ()
    authorization: tuple[ConfigObject[AuthorizationPolicy], ...] = ()
    authentication: tuple[ConfigObject[RequestAuthentication], ...] = ()
    key_sets: tuple[KeySet, ...] = ()
    logins: tuple[ConfigObject[OidcLogin], ...] = ()
    limits: tuple[ConfigObject[RateLimit], ...] = ()
    processors: tuple[ConfigObject[ExternalProcessor], ...] = ()
    api_keys: tuple[ConfigObject[ApiKeyAuthentication], ...] = ()
    telemetries: tuple[ConfigObject[Telemetry], ...] = ()
    envoy_filters: tuple[ConfigObject[EnvoyFilter], ...] = ()
    session_key: bytes = field(default=b"", repr=False)
    mixer: tuple[ConfigObject[Struct], ...] = ()
    callers: tuple[Caller, ...] = ()
    domain: str = "cluster.local"

    @property
    def role(self) -> Role:
        """What the proxies of this class stand for."""
        return self.key.role

    @property
    def namespace(self) -> str:
        """The namespace of the proxies of this class."""
        return self.key.namespace

    @property
    def own_ports(self) -> tuple[OwnPort, ...]:
        """The workload's ports that services send traffic to."""
        return self.key.own_ports

    @property
    def gateway_ports(self) -> tuple[tuple[int, int], ...]:
        """The gateway's Service ports and the target ports behind them."""
        return self.key.gateway_ports

    @property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """Those labels of the workload that some object selects by."""
        return self.key.labels

    @property
    def peers(self) -> PeerModes:
        """What the workload takes from others."""
        return self.key.peers

    @property
    def locality(self) -> Locality:
        """Where the proxies of this class run."""
        return self.key.locality
