"""Istio's annotations of pods: which of them act on this machine, and why the others do not."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from lateen.api.mesh import doubts
from lateen.model import proxy_settings

ACT: Final = frozenset(
    {
        "sidecar.istio.io/inject",
        "inject.istio.io/templates",
        "proxy.istio.io/config",
        "sidecar.istio.io/proxyCPULimit",
        "sidecar.istio.io/logLevel",
        "sidecar.istio.io/interceptionMode",
        "sidecar.istio.io/statsInclusionPrefixes",
        "sidecar.istio.io/statsInclusionSuffixes",
        "sidecar.istio.io/statsInclusionRegexps",
        "sidecar.istio.io/statsHistogramBuckets",
        "sidecar.istio.io/statsEvictionInterval",
        "sidecar.istio.io/statsCompression",
        "traffic.sidecar.istio.io/includeInboundPorts",
        "traffic.sidecar.istio.io/excludeInboundPorts",
        "traffic.sidecar.istio.io/includeOutboundPorts",
        "traffic.sidecar.istio.io/excludeOutboundPorts",
        "traffic.sidecar.istio.io/includeOutboundIPRanges",
        "traffic.sidecar.istio.io/excludeOutboundIPRanges",
        "prometheus.istio.io/merge-metrics",
    }
)
"""The annotations that do what they say."""

_CONTAINER: Final = "the proxy is a process of the installed Envoy, not a container"
_AGENT: Final = "there is no agent beside the proxy"
_INTERFACES: Final = "a sandbox has one interface, and all of its connections are led into the proxy"
_AMBIENT: Final = "there is no ambient mode"
_READINESS: Final = "a proxy is ready once it has its first configuration"

WITHOUT_EFFECT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "proxy.istio.io/overrides": _CONTAINER,
        "sidecar.istio.io/proxyImage": _CONTAINER,
        "sidecar.istio.io/proxyImageType": _CONTAINER,
        "sidecar.istio.io/proxyCPU": "nothing is set aside for processes",
        "sidecar.istio.io/proxyMemory": "nothing is set aside for processes",
        "sidecar.istio.io/proxyMemoryLimit": "processes have no limits of memory",
        "sidecar.istio.io/componentLogLevel": "sidecar.istio.io/logLevel is for all parts of Envoy",
        "sidecar.istio.io/agentLogLevel": _AGENT,
        "sidecar.istio.io/bootstrapOverride": "proxies are started with a bootstrap of Lateen's own",
        "sidecar.istio.io/userVolume": _CONTAINER,
        "sidecar.istio.io/userVolumeMount": _CONTAINER,
        "sidecar.istio.io/nativeSidecar": "proxies are ready before applications are started, and end after them",
        "sidecar.istio.io/rewriteAppHTTPProbers": "probes come from outside of the mesh, and pass by the proxy",
        "sidecar.istio.io/status": "it is written by Istio's own injection",
        "sidecar.istio.io/statsFlushInterval": "what is read is a second old, what is sent away is sent each 5 s",
        "sidecar.istio.io/extraStatTags": "labels that a Telemetry adds are kept as they are, without being listed",
        "sidecar.istio.io/capNetBindService": "a proxy may open the ports that whoever started the mesh may",
        "sidecar.istio.io/discoveryAddress": "proxies find the control plane by a socket of their machine",
        "traffic.sidecar.istio.io/excludeInterfaces": _INTERFACES,
        "traffic.sidecar.istio.io/kubevirtInterfaces": _INTERFACES,
        "istio.io/reroute-virtual-interfaces": _INTERFACES,
        "status.sidecar.istio.io/port": "metrics are read at port 15020, health at 15021",
        "readiness.status.sidecar.istio.io/applicationPorts": _READINESS,
        "readiness.status.sidecar.istio.io/failureThreshold": _READINESS,
        "readiness.status.sidecar.istio.io/initialDelaySeconds": _READINESS,
        "readiness.status.sidecar.istio.io/periodSeconds": _READINESS,
        "ambient.istio.io/redirection": _AMBIENT,
        "ambient.istio.io/bypass-inbound-capture": _AMBIENT,
        "ambient.istio.io/dns-capture": _AMBIENT,
        "istio.io/rev": "a mesh has one control plane",
    }
)
"""The annotations that say nothing here, and why: a sentence that follows "has no effect here"."""

_INTERCEPTION: Final = "sidecar.istio.io/interceptionMode"
_REDIRECT: Final = "REDIRECT"


def doubtful(annotations: Mapping[str, str]) -> Iterator[str]:
    """Yield what annotations ask for and is not done."""
    for name in sorted(annotations.keys() & WITHOUT_EFFECT.keys()):
        yield f"annotation {name} has no effect here: {WITHOUT_EFFECT[name]}"
    mode = annotations.get(_INTERCEPTION, _REDIRECT)
    if mode != _REDIRECT:
        why = next(rule.reason for rule in doubts.OF_PROXIES if rule.field == "interception_mode")
        yield f"annotation {_INTERCEPTION} is always {_REDIRECT} here, not {mode}: {why}"
    own = proxy_settings.annotated(annotations)
    if own is not None:
        for fault in doubts.of_proxy(own):
            yield f"annotation {proxy_settings.ANNOTATION}: {fault.path} {fault.message}"
