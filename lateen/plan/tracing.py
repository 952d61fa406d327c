"""How calls are traced: what Telemetry objects, MeshConfig and its providers come to.

Without a provider of the user's own, spans go to the mesh's own collector, which understands both B3 and W3C headers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lateen import names
from lateen.api.mesh.extension_providers import ExtensionProvider
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.api.mesh.tracing_providers import OpenTelemetryTracing, ZipkinTracing
from lateen.api.telemetry.tracing import CustomTag, ProxyTracing, TracingRule
from lateen.plan.diagnostics import Notes, below
from lateen.plan.directory import Directory
from lateen.plan.tracing_types import Collector, OtlpCollector, TagSource, TraceTag, Tracing, ZipkinCollector
from lateen.plan.types import Origin

OWN_COLLECTOR: Final = ZipkinCollector(names.TRACES_CLUSTER, names.TRACES_CLUSTER, with_w3c=True)
OWN_PROVIDER: Final = "lateen"
"""The name by which a Telemetry can ask for the mesh's own collector."""

DEFAULT_SAMPLING: Final = 1.0
MESH_TAGS: Final = (
    TraceTag("istio.canonical_revision", TagSource.ENVIRONMENT, "CANONICAL_REVISION", "latest"),
    TraceTag("istio.canonical_service", TagSource.ENVIRONMENT, "CANONICAL_SERVICE", "unknown"),
    TraceTag("istio.cluster_id", TagSource.ENVIRONMENT, "CLUSTER_ID", "unknown"),
    TraceTag("istio.mesh_id", TagSource.ENVIRONMENT, "MESH_ID", "unknown"),
    TraceTag("istio.namespace", TagSource.ENVIRONMENT, "POD_NAMESPACE", "default"),
)
"""What every span tells of the proxy that made it, from the proxy's environment."""

USUAL: Final = Tracing(OWN_COLLECTOR, DEFAULT_SAMPLING, MESH_TAGS)
"""What is so where nobody wrote anything about traces."""

Rule = tuple[TracingRule, Origin]


@dataclass(frozen=True, slots=True)
class Directions:
    """How the calls of a workload are traced: those that it makes, and those that it gets."""

    outbound: Tracing | None
    inbound: Tracing | None


@dataclass(frozen=True, slots=True)
class _Choice:
    """What has been said so far about one direction, the wider scopes first."""

    provider: str = ""
    origin: Origin | None = None
    is_off: bool = False
    sampling: float | None = None
    tags: Mapping[str, CustomTag] | None = None
    by_request_id: bool = True
    has_mesh_tags: bool = True
    propagates: bool = True


def tracing(rules: Sequence[Rule], directory: Directory, notes: Notes) -> Directions:
    """Settle how a proxy's calls are traced; `rules` are those of its Telemetry objects, the widest scope first."""
    mesh = directory.view.mesh
    defaults = mesh.default_providers.tracing
    if not rules and not defaults and not mesh.enable_tracing:
        return Directions(None, None)
    start = _Choice(provider=defaults[0] if defaults else "")
    client = _merged((one for one in rules if one[0].mode.has_client), start)
    server = _merged((one for one in rules if one[0].mode.has_server), start)
    return Directions(_settled(client, directory, notes), _settled(server, directory, notes))


def uses_own_collector(mesh: MeshConfig, rules: Iterable[TracingRule]) -> bool:
    """Tell whether any proxy of a mesh may send spans to the mesh's own collector."""
    named = {provider.name for rule in rules for provider in rule.providers[:1]}
    if OWN_PROVIDER in named:
        return True
    defaults = mesh.default_providers.tracing
    proxy = mesh.default_config.tracing
    elsewhere = bool(proxy and proxy.zipkin and proxy.zipkin.address)
    if defaults:
        return defaults[0] == OWN_PROVIDER
    return not elsewhere and mesh.enable_tracing


def _merged(rules: Iterable[Rule], choice: _Choice) -> _Choice:
    """Lay rules over one another: each says anew only what it speaks of."""
    for rule, origin in rules:
        if rule.providers:
            choice = replace(choice, provider=rule.providers[0].name, origin=origin)
        if rule.disable_span_reporting is not None:
            choice = replace(choice, is_off=rule.disable_span_reporting)
        if rule.random_sampling_percentage is not None:
            choice = replace(choice, sampling=rule.random_sampling_percentage)
        if rule.custom_tags is not None:
            choice = replace(choice, tags=rule.custom_tags)
        if rule.use_request_id_for_trace_sampling is not None:
            choice = replace(choice, by_request_id=rule.use_request_id_for_trace_sampling)
        if rule.enable_istio_tags is not None:
            choice = replace(choice, has_mesh_tags=rule.enable_istio_tags)
        if rule.disable_context_propagation is not None:
            choice = replace(choice, propagates=not rule.disable_context_propagation)
    return choice


def _settled(choice: _Choice, directory: Directory, notes: Notes) -> Tracing | None:
    if choice.is_off:
        return None
    proxies = directory.proxy.tracing or ProxyTracing()
    found = _collector(choice, proxies, directory)
    if isinstance(found, str):
        if choice.origin is not None:
            notes.add(below(choice.origin, "providers"), f"traces nothing: {found}")
        return None
    sampling = choice.sampling if choice.sampling is not None else proxies.sampling
    tags = choice.tags if choice.tags else proxies.custom_tags
    return Tracing(
        collector=found,
        sampling_percent=DEFAULT_SAMPLING if sampling is None else sampling,
        tags=_tags(tags, choice.has_mesh_tags),
        longest_path=_longest_path(choice, proxies, directory.view.mesh),
        by_request_id=choice.by_request_id,
        propagates=choice.propagates,
    )


def _tags(written: Mapping[str, CustomTag], has_mesh_tags: bool) -> tuple[TraceTag, ...]:
    """List the tags by name; the user's own come before those of the mesh that have the same name."""
    own = {name: _tag(name, tag) for name, tag in written.items()}
    mesh = {tag.name: tag for tag in MESH_TAGS} if has_mesh_tags else {}
    return tuple(tag for _, tag in sorted({**mesh, **own}.items()))


def _tag(name: str, written: CustomTag) -> TraceTag:
    if written.literal is not None:
        return TraceTag(name, TagSource.LITERAL, written.literal.value)
    if written.environment is not None:
        return TraceTag(name, TagSource.ENVIRONMENT, written.environment.name, written.environment.default_value)
    if written.header is not None:
        return TraceTag(name, TagSource.HEADER, written.header.name, written.header.default_value)
    assert written.formatter is not None
    return TraceTag(name, TagSource.FORMATTER, written.formatter.value)


def _collector(choice: _Choice, proxies: ProxyTracing, directory: Directory) -> Collector | str:
    """Return where spans go, or why they can go nowhere."""
    provider = _provider(choice.provider, directory.view.mesh)
    if provider is None and choice.provider not in ("", OWN_PROVIDER):
        known = ", ".join(one.name for one in directory.view.mesh.extension_providers) or "none"
        return f"there is no extensionProvider {choice.provider!r} in MeshConfig (there is: {known})"
    if provider is None:
        address = proxies.zipkin.address if proxies.zipkin and not choice.provider else ""
        return _zipkin_at(address, directory) if address else OWN_COLLECTOR
    if provider.zipkin is not None:
        return _zipkin(provider.zipkin, directory)
    if provider.opentelemetry is not None:
        return _otlp(provider.opentelemetry, directory)
    return f"extensionProvider {choice.provider!r} takes no traces here: it needs opentelemetry or zipkin"


def _provider(name: str, mesh: MeshConfig) -> ExtensionProvider | None:
    return next((one for one in mesh.extension_providers if one.name == name), None)


def _zipkin(settings: ZipkinTracing, directory: Directory) -> ZipkinCollector | str:
    place = _place(settings.service, settings.port, directory)
    if isinstance(place, str):
        return place
    return ZipkinCollector(
        *place,
        path=settings.path or "/api/v2/spans",
        long_ids=not settings.enable_64bit_trace_id,
        with_w3c=settings.uses_w3c,
        timeout=settings.timeout,
        headers=settings.told_headers,
    )


def _zipkin_at(address: str, directory: Directory) -> ZipkinCollector | str:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return f"defaultConfig.tracing.zipkin.address is {address!r}; it must be host:port"
    place = _place(host, int(port), directory)
    return place if isinstance(place, str) else ZipkinCollector(*place)


def _otlp(settings: OpenTelemetryTracing, directory: Directory) -> OtlpCollector | str:
    place = _place(settings.service, settings.port, directory)
    if isinstance(place, str):
        return place
    way = settings.http or settings.grpc
    return OtlpCollector(
        *place,
        path=settings.http.path if settings.http else "",
        timeout=way.timeout if way else None,
        headers=way.told_headers if way else (),
    )


def _place(service: str, port: int, directory: Directory) -> tuple[str, str] | str:
    """Return the cluster of a service and its authority, or why there is none."""
    host = service.rpartition("/")[2]
    found = directory.service(host)
    if found is None or found.port(port) is None:
        return f"the service {host} is not known here on port {port}"
    return names.outbound_cluster(directory.stands_for(found).host, port), f"{host}:{port}"


def _longest_path(choice: _Choice, proxies: ProxyTracing, mesh: MeshConfig) -> int | None:
    provider = _provider(choice.provider, mesh)
    settings = (provider.zipkin or provider.opentelemetry) if provider else None
    return (settings.max_tag_length if settings else 0) or proxies.max_path_tag_length or None
