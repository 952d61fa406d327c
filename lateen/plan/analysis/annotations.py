"""Annotations of Istio, and our own: which are known, on which kinds, and which values they take."""

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Final, NamedTuple

from lateen.api.apps.deployment import Deployment
from lateen.api.apps.stateful_set import StatefulSet
from lateen.api.networking.gateway import HTTP3_ANNOTATION
from lateen.api.objects import ConfigObject
from lateen.api.structs import Struct
from lateen.plan.analysis.world import Found, World, at

_POD: Final = ("Pod",)
_SERVICE: Final = ("Service",)
_ANY: Final[tuple[str, ...]] = ()
_PODS_AND_NAMESPACES: Final = ("Pod", "Namespace")


def _anything(_: str) -> str:
    return ""


def _boolean(value: str) -> str:
    return "" if value.lower() in ("true", "false") else "true or false"


def _number(value: str) -> str:
    return "" if value.isdecimal() else "a whole number"


def _ports(value: str) -> str:
    return "" if value == "*" or all(_is_port(word) for word in _words(value)) else "ports such as 8080,9090, or *"


def _ranges(value: str) -> str:
    return "" if value == "*" or all(_is_range(word) for word in _words(value)) else "ranges such as 10.0.0.0/8, or *"


def _interception(value: str) -> str:
    return "" if value in ("REDIRECT", "TPROXY", "NONE") else "REDIRECT, TPROXY or NONE"


def _words(value: str) -> list[str]:
    return [word.strip() for word in value.split(",") if word.strip()]


def _is_port(word: str) -> bool:
    return word.isdecimal() and 0 < int(word) < 65536


def _is_range(word: str) -> bool:
    try:
        ip_network(word, strict=False)
    except ValueError:
        return False
    return True


class Known(NamedTuple):
    """An annotation, the kinds that it is for (none: all), what its value has to be, and how it stands with Istio.

    `fault` returns what a value should be, nothing for a good one. `instead` is what a deprecated one is replaced by.
    """

    name: str
    kinds: tuple[str, ...]
    fault: Callable[[str], str] = _anything
    alpha: bool = False
    instead: str = ""


_TRAFFIC: Final = "traffic.sidecar.istio.io/"
KNOWN: Final = (
    Known("sidecar.istio.io/inject", _POD, _boolean, instead="the label sidecar.istio.io/inject"),
    Known("inject.istio.io/templates", _POD),
    Known("proxy.istio.io/config", _POD),
    Known("proxy.istio.io/overrides", _POD, alpha=True),
    Known("sidecar.istio.io/proxyImage", _POD),
    Known("sidecar.istio.io/proxyImageType", _POD),
    Known("sidecar.istio.io/proxyCPU", _POD),
    Known("sidecar.istio.io/proxyCPULimit", _POD),
    Known("sidecar.istio.io/proxyMemory", _POD),
    Known("sidecar.istio.io/proxyMemoryLimit", _POD),
    Known("sidecar.istio.io/logLevel", _POD),
    Known("sidecar.istio.io/componentLogLevel", _POD),
    Known("sidecar.istio.io/agentLogLevel", _POD),
    Known("sidecar.istio.io/interceptionMode", _POD, _interception),
    Known("sidecar.istio.io/bootstrapOverride", _POD, alpha=True),
    Known("sidecar.istio.io/userVolume", _POD, alpha=True),
    Known("sidecar.istio.io/userVolumeMount", _POD, alpha=True),
    Known("sidecar.istio.io/nativeSidecar", _POD, _boolean),
    Known("sidecar.istio.io/rewriteAppHTTPProbers", _POD, _boolean, alpha=True),
    Known("sidecar.istio.io/status", _POD, alpha=True),
    Known("sidecar.istio.io/statsInclusionPrefixes", _POD, instead="proxyStatsMatcher in proxy.istio.io/config"),
    Known("sidecar.istio.io/statsInclusionSuffixes", _POD, instead="proxyStatsMatcher in proxy.istio.io/config"),
    Known("sidecar.istio.io/statsInclusionRegexps", _POD, instead="proxyStatsMatcher in proxy.istio.io/config"),
    Known("sidecar.istio.io/statsHistogramBuckets", _POD),
    Known("sidecar.istio.io/statsFlushInterval", _POD),
    Known("sidecar.istio.io/statsEvictionInterval", _POD),
    Known("sidecar.istio.io/statsCompression", _POD, _boolean),
    Known("sidecar.istio.io/extraStatTags", _POD),
    Known("sidecar.istio.io/capNetBindService", _POD, _boolean, alpha=True),
    Known("sidecar.istio.io/discoveryAddress", _POD, instead="discoveryAddress in proxy.istio.io/config"),
    Known(f"{_TRAFFIC}includeInboundPorts", _POD, _ports),
    Known(f"{_TRAFFIC}excludeInboundPorts", _POD, _ports),
    Known(f"{_TRAFFIC}includeOutboundPorts", _POD, _ports),
    Known(f"{_TRAFFIC}excludeOutboundPorts", _POD, _ports),
    Known(f"{_TRAFFIC}includeOutboundIPRanges", _POD, _ranges),
    Known(f"{_TRAFFIC}excludeOutboundIPRanges", _POD, _ranges),
    Known(f"{_TRAFFIC}excludeInterfaces", _POD, alpha=True),
    Known(f"{_TRAFFIC}kubevirtInterfaces", _POD, instead="istio.io/reroute-virtual-interfaces"),
    Known("istio.io/reroute-virtual-interfaces", _POD),
    Known("status.sidecar.istio.io/port", _POD, _number, alpha=True),
    Known("readiness.status.sidecar.istio.io/applicationPorts", _POD, _ports, alpha=True),
    Known("readiness.status.sidecar.istio.io/failureThreshold", _POD, _number, alpha=True),
    Known("readiness.status.sidecar.istio.io/initialDelaySeconds", _POD, _number, alpha=True),
    Known("readiness.status.sidecar.istio.io/periodSeconds", _POD, _number, alpha=True),
    Known("prometheus.istio.io/merge-metrics", _POD, _boolean, alpha=True),
    Known("ambient.istio.io/redirection", _POD),
    Known("ambient.istio.io/bypass-inbound-capture", _POD, _boolean),
    Known("ambient.istio.io/dns-capture", _POD, _boolean),
    Known("ambient.istio.io/waypoint-inbound-binding", ("GatewayClass",)),
    Known("istio.io/rev", _PODS_AND_NAMESPACES),
    Known("istio.io/dry-run", ("AuthorizationPolicy",), _boolean, alpha=True),
    Known("networking.istio.io/exportTo", _SERVICE),
    Known("networking.istio.io/traffic-distribution", (*_SERVICE, "ServiceEntry", "Namespace")),
    Known("traffic.istio.io/nodeSelector", _SERVICE),
    Known("networking.istio.io/service-type", ("Gateway",)),
    Known("gateway.istio.io/name-override", ("Gateway",), alpha=True),
    Known("gateway.istio.io/service-account", ("Gateway",), alpha=True),
    Known("gateway.istio.io/tls-cipher-suites", ("Gateway",), alpha=True),
    Known("gateway.istio.io/tls-terminate-mode", ("Gateway",), alpha=True),
    Known("policy.istio.io/lang", _ANY),
    Known("galley.istio.io/analyze-suppress", _ANY, alpha=True),
    Known("topology.istio.io/controlPlaneClusters", ("Namespace",)),
    Known(HTTP3_ANNOTATION, ("Gateway",), _boolean),
)
_BY_NAME: Final = {known.name: known for known in KNOWN}


class Written(NamedTuple):
    """An annotation as it is written: on which object, for which kind, in which field."""

    item: ConfigObject[Struct]
    kind: str
    path: str
    name: str
    value: str


def _written(world: World) -> Iterator[Written]:
    """Yield the annotations of Istio, and known ones of ours; those of a Deployment's template are its pods'."""
    for item in world.config:
        for name, value in item.metadata.annotations.items():
            if _is_looked_at(name):
                yield Written(item, item.key.kind, f"metadata.annotations.{name}", name, value)
        if isinstance(item.spec, Deployment | StatefulSet):
            for name, value in item.spec.template.metadata.annotations.items():
                if _is_looked_at(name):
                    yield Written(item, "Pod", f"spec.template.metadata.annotations.{name}", name, value)


def _is_looked_at(name: str) -> bool:
    if name in _BY_NAME:
        return True
    domain = name.partition("/")[0]
    return domain == "istio.io" or domain.endswith(".istio.io")


def unknown(world: World) -> Found:
    """Yield annotations that Istio does not know."""
    for one in _written(world):
        if one.name not in _BY_NAME:
            yield at(one.item.key, one.path), f"{one.name} is no annotation of Istio: it has no effect"


def misplaced(world: World) -> Found:
    """Yield annotations on objects that they are not for."""
    for one in _written(world):
        known = _BY_NAME.get(one.name)
        if known is not None and known.kinds and one.kind not in known.kinds:
            says = f"{one.name} has no effect on a {one.kind}: it is for {' and '.join(known.kinds)}"
            yield at(one.item.key, one.path), says


def bad_values(world: World) -> Found:
    """Yield annotations whose value cannot be read."""
    for one in _written(world):
        known = _BY_NAME.get(one.name)
        if known is not None and (wanted := known.fault(one.value)):
            yield at(one.item.key, one.path), f"{one.name} must be {wanted}, not {one.value!r}"


def deprecated(world: World) -> Found:
    """Yield annotations that have a successor."""
    for one in _written(world):
        known = _BY_NAME.get(one.name)
        if known is not None and known.instead:
            yield at(one.item.key, one.path), f"{one.name} is deprecated: use {known.instead}"


def alpha(world: World) -> Found:
    """Yield annotations that Istio may change without notice."""
    for one in _written(world):
        known = _BY_NAME.get(one.name)
        if known is not None and known.alpha and not one.name.startswith("galley."):
            yield at(one.item.key, one.path), f"{one.name} is alpha in Istio: other releases may read it otherwise"
