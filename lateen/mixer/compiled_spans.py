"""Spans that rules ask for, as part of what a proxy traces anyway."""

from urllib.parse import urlsplit

from lateen import names
from lateen.mixer.compiled import Spans
from lateen.plan.tracing_types import Tracing, ZipkinCollector

_PORT = 80


def traced(usual: Tracing | None, spans: Spans, clusters: frozenset[str]) -> Tracing | None:
    """Return how calls are traced once a rule wants spans.

    They go to the rule's server if that is a service that the proxy knows, else where the mesh's spans go. Where calls
    are traced already, the tags are added; more are traced only if the rule asks for more.
    """
    collector = _collector(spans.url, clusters)
    if usual is None:
        return Tracing(collector, spans.percent, spans.tags) if collector is not None else None
    return Tracing(
        collector or usual.collector,
        max(usual.sampling_percent, spans.percent),
        (*usual.tags, *spans.tags),
        usual.longest_path,
        usual.by_request_id,
        usual.propagates,
    )


def _collector(url: str, clusters: frozenset[str]) -> ZipkinCollector | None:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORT
    short, _, rest = host.partition(".")
    namespace = rest.partition(".")[0] or "default"
    for full in (host, names.service_host(short, namespace)):
        if (cluster := names.outbound_cluster(full, port)) in clusters:
            return ZipkinCollector(cluster, f"{full}:{port}", parts.path or "/api/v2/spans")
    return None
