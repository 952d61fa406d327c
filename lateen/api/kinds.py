"""The table of kinds: one row says everything that decoding, listing, schemas and docs need to know of a kind."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from lateen.api.apps.deployment import Deployment
from lateen.api.apps.replica_set import ReplicaSet
from lateen.api.apps.stateful_set import StatefulSet
from lateen.api.core.config_map import ConfigMap
from lateen.api.core.namespace import Namespace
from lateen.api.core.persistent_volume_claim import PersistentVolumeClaim
from lateen.api.core.pod import Pod
from lateen.api.core.secret import Secret
from lateen.api.core.service import Service
from lateen.api.core.service_account import ServiceAccount
from lateen.api.discovery.endpoint_slice import EndpointSlice
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.api.mixer import adapters, templates
from lateen.api.mixer.descriptions import AdapterDescription, AttributeManifest, TemplateDescription
from lateen.api.mixer.handler import Handler
from lateen.api.mixer.instance import Instance
from lateen.api.mixer.rule import Rule
from lateen.api.mixer.services import HttpApiSpec, HttpApiSpecBinding, QuotaSpec, QuotaSpecBinding
from lateen.api.networking.destination_rule import DestinationRule
from lateen.api.networking.envoy_filter import EnvoyFilter
from lateen.api.networking.gateway import Gateway
from lateen.api.networking.proxy_config import ProxyConfig
from lateen.api.networking.service_entry import ServiceEntry
from lateen.api.networking.sidecar import Sidecar
from lateen.api.networking.virtual_service import VirtualService
from lateen.api.networking.workload_entry import WorkloadEntry
from lateen.api.networking.workload_group import WorkloadGroup
from lateen.api.policy.api_key_authentication import ApiKeyAuthentication
from lateen.api.policy.external_processor import ExternalProcessor
from lateen.api.policy.rate_limit import RateLimit
from lateen.api.security.authorization_policy import AuthorizationPolicy
from lateen.api.security.oidc_login import OidcLogin
from lateen.api.security.peer_authentication import PeerAuthentication
from lateen.api.security.request_authentication import RequestAuthentication
from lateen.api.structs import Struct
from lateen.api.telemetry.telemetry import Telemetry
from lateen.api.traffic.egress import Egress
from lateen.api.traffic.health_check import HealthCheck
from lateen.api.traffic.session_persistence import SessionPersistence


class Effect(StrEnum):
    """How much of a kind this release acts on."""

    FULL = "full"
    PARTIAL = "partial"
    NONE_YET = "none yet"


class Body(StrEnum):
    """Where in a document the fields of the spec type are."""

    SPEC = "spec"
    ROOT = "the document itself"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object that users write. `versions` are all accepted, the first is the preferred one."""

    kind: str
    plural: str
    spec: type[Struct]
    group: str = ""
    versions: tuple[str, ...] = ("v1",)
    short_names: tuple[str, ...] = ()
    effect: Effect = Effect.FULL
    namespaced: bool = True
    body: Body = Body.SPEC
    name_is_label: bool = False

    @property
    def api_versions(self) -> tuple[str, ...]:
        """The accepted `apiVersion`s, like `networking.istio.io/v1`."""
        return tuple(f"{self.group}/{version}" if self.group else version for version in self.versions)

    @property
    def words(self) -> tuple[str, ...]:
        """Everything that a user may call this kind on a command line, in lower case."""
        singular = self.kind.lower()
        qualified = (f"{singular}.{self.group}", f"{self.plural}.{self.group}") if self.group else ()
        return (singular, self.plural, *self.short_names, *qualified)


_NETWORKING: Final = "networking.istio.io"
_ISTIO_VERSIONS: Final = ("v1", "v1beta1", "v1alpha3")
_SECURITY: Final = "security.istio.io"
_SECURITY_VERSIONS: Final = ("v1", "v1beta1")
MIXER_GROUP: Final = "config.istio.io"
_MIXER_VERSIONS: Final = ("v1alpha2",)


_PLURALS: Final = MappingProxyType({"kubernetes": "kuberneteses", "listentry": "listentries", "logentry": "logentries"})


def _older_kinds() -> tuple[Kind, ...]:
    """Return the kinds of Mixer's first releases: one for each adapter and each template that is built in."""
    return tuple(
        Kind(row.name, _PLURALS.get(row.name, f"{row.name}s"), row.spec, MIXER_GROUP, _MIXER_VERSIONS)
        for row in (*templates.TEMPLATES, *adapters.ADAPTERS)
    )


KINDS: Final = (
    Kind("Namespace", "namespaces", Namespace, short_names=("ns",), namespaced=False, name_is_label=True),
    Kind("Service", "services", Service, short_names=("svc",), name_is_label=True),
    Kind("ServiceAccount", "serviceaccounts", ServiceAccount, short_names=("sa",), body=Body.ROOT),
    Kind("Pod", "pods", Pod, short_names=("po",)),
    Kind("ConfigMap", "configmaps", ConfigMap, short_names=("cm",), body=Body.ROOT),
    Kind("Secret", "secrets", Secret, body=Body.ROOT),
    Kind(
        "PersistentVolumeClaim", "persistentvolumeclaims", PersistentVolumeClaim, "", ("v1",), ("pvc",), Effect.PARTIAL
    ),
    Kind("Deployment", "deployments", Deployment, "apps", short_names=("deploy",)),
    Kind("StatefulSet", "statefulsets", StatefulSet, "apps", short_names=("sts",)),
    Kind("ReplicaSet", "replicasets", ReplicaSet, "apps", short_names=("rs",), effect=Effect.NONE_YET),
    Kind("EndpointSlice", "endpointslices", EndpointSlice, "discovery.k8s.io", effect=Effect.PARTIAL, body=Body.ROOT),
    Kind("VirtualService", "virtualservices", VirtualService, _NETWORKING, _ISTIO_VERSIONS, ("vs",), Effect.PARTIAL),
    Kind("DestinationRule", "destinationrules", DestinationRule, _NETWORKING, _ISTIO_VERSIONS, ("dr",), Effect.PARTIAL),
    Kind("Gateway", "gateways", Gateway, _NETWORKING, _ISTIO_VERSIONS, ("gw",), Effect.PARTIAL),
    Kind("ServiceEntry", "serviceentries", ServiceEntry, _NETWORKING, _ISTIO_VERSIONS, ("se",), Effect.PARTIAL),
    Kind("WorkloadEntry", "workloadentries", WorkloadEntry, _NETWORKING, _ISTIO_VERSIONS, ("we",), Effect.PARTIAL),
    Kind("WorkloadGroup", "workloadgroups", WorkloadGroup, _NETWORKING, _ISTIO_VERSIONS, ("wg",), Effect.PARTIAL),
    Kind("Sidecar", "sidecars", Sidecar, _NETWORKING, _ISTIO_VERSIONS, (), Effect.PARTIAL),
    Kind("ProxyConfig", "proxyconfigs", ProxyConfig, _NETWORKING, _ISTIO_VERSIONS),
    Kind("EnvoyFilter", "envoyfilters", EnvoyFilter, _NETWORKING, _ISTIO_VERSIONS, (), Effect.PARTIAL),
    Kind("PeerAuthentication", "peerauthentications", PeerAuthentication, _SECURITY, _SECURITY_VERSIONS, ("pa",)),
    Kind(
        "RequestAuthentication", "requestauthentications", RequestAuthentication, _SECURITY, _SECURITY_VERSIONS, ("ra",)
    ),
    Kind("AuthorizationPolicy", "authorizationpolicies", AuthorizationPolicy, _SECURITY, _SECURITY_VERSIONS, ("ap",)),
    Kind("OidcLogin", "oidclogins", OidcLogin, "lateen.dev"),
    Kind("Telemetry", "telemetries", Telemetry, "telemetry.istio.io", ("v1", "v1alpha1")),
    Kind("RateLimit", "ratelimits", RateLimit, "lateen.dev", short_names=("rl",)),
    Kind("ExternalProcessor", "externalprocessors", ExternalProcessor, "lateen.dev"),
    Kind("ApiKeyAuthentication", "apikeyauthentications", ApiKeyAuthentication, "lateen.dev", short_names=("aka",)),
    Kind("Egress", "egresses", Egress, "lateen.dev"),
    Kind("HealthCheck", "healthchecks", HealthCheck, "lateen.dev", short_names=("hc",)),
    Kind("SessionPersistence", "sessionpersistences", SessionPersistence, "lateen.dev"),
    Kind("rule", "rules", Rule, MIXER_GROUP, _MIXER_VERSIONS),
    Kind("instance", "instances", Instance, MIXER_GROUP, _MIXER_VERSIONS),
    Kind("handler", "handlers", Handler, MIXER_GROUP, _MIXER_VERSIONS),
    *_older_kinds(),
    Kind("attributemanifest", "attributemanifests", AttributeManifest, MIXER_GROUP, _MIXER_VERSIONS),
    Kind("adapter", "adapters", AdapterDescription, MIXER_GROUP, _MIXER_VERSIONS),
    Kind("template", "templates", TemplateDescription, MIXER_GROUP, _MIXER_VERSIONS),
    Kind("QuotaSpec", "quotaspecs", QuotaSpec, MIXER_GROUP, _MIXER_VERSIONS),
    Kind("QuotaSpecBinding", "quotaspecbindings", QuotaSpecBinding, MIXER_GROUP, _MIXER_VERSIONS),
    Kind("HTTPAPISpec", "httpapispecs", HttpApiSpec, MIXER_GROUP, _MIXER_VERSIONS),
    Kind("HTTPAPISpecBinding", "httpapispecbindings", HttpApiSpecBinding, MIXER_GROUP, _MIXER_VERSIONS),
    Kind("MeshConfig", "meshconfigs", MeshConfig, "mesh.istio.io", ("v1alpha1",), effect=Effect.PARTIAL),
)
"""Every kind that Lateen accepts."""

_BY_VERSION: Final = MappingProxyType({(version, row.kind): row for row in KINDS for version in row.api_versions})
_BY_WORD: Final = MappingProxyType({word: row for row in reversed(KINDS) for word in row.words})
_BY_SPEC: Final[Mapping[type[Struct], Kind]] = MappingProxyType({row.spec: row for row in KINDS})


def of_document(api_version: str, kind: str) -> Kind | None:
    """Return the row for a document's `apiVersion` and `kind`, or None."""
    return _BY_VERSION.get((api_version, kind))


def of_word(word: str) -> Kind | None:
    """Return the row that a user means by a word like `vs`, `virtualservices` or
    `virtualservices.networking.istio.io`.
    """
    return _BY_WORD.get(word.lower())


def of_spec(spec: type[Struct]) -> Kind:
    """Return the row of a spec type."""
    return _BY_SPEC[spec]


def near_words(word: str) -> tuple[str, ...]:
    """Return up to three words for kinds that look like the given one."""
    return tuple(difflib.get_close_matches(word.lower(), _BY_WORD, n=3))


def explain_unknown(api_version: str, kind: str) -> str:
    """Say why there is no row for a document's `apiVersion` and `kind`, and what comes near."""
    versions = [version for row in KINDS if row.kind == kind for version in row.api_versions]
    if versions:
        return f"kind {kind} must have apiVersion {' or '.join(versions)}, not {api_version}"
    near = difflib.get_close_matches(kind, sorted({row.kind for row in KINDS}), n=2)
    return f"unknown kind {kind} of {api_version}" + (f"; did you mean {' or '.join(near)}?" if near else "")
