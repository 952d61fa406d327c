"""The mesh's own collector of traces: takes what proxies send, keeps the last traces, and tells them."""

from collections.abc import Iterable
from typing import Any, Final

from aiohttp import web

from lateen.errors import ProtocolError
from lateen.model.snapshot import Snapshot
from lateen.serving.grpc_services import GrpcService
from lateen.telemetry import exposition, traces, zipkin
from lateen.telemetry.instruments import Gauge, Registry
from lateen.telemetry.traces import Span, Trace, TraceStore

SPANS: Final = "/api/v2/spans"
TRACES: Final = "/traces"
_MOST_LISTED: Final = 1000

Json = dict[str, Any]


class TraceCollector:
    """A part of the Mixer process."""

    def __init__(self, store: TraceStore | None = None) -> None:
        self._store = store or TraceStore()
        self._unreadable = 0
        self._metrics = Registry()
        self._metrics.add(
            Gauge("lateen_traces", "Traces that are kept.", read=lambda: len(self._store)),
            Gauge(
                "lateen_trace_spans_received_total",
                "Spans that came.",
                read=lambda: self._store.received,
                is_total=True,
            ),
            Gauge(
                "lateen_trace_spans_dropped_total",
                "Spans that could not be read, or were too many for one trace.",
                read=lambda: self._store.dropped + self._unreadable,
                is_total=True,
            ),
        )

    def services(self) -> Iterable[GrpcService]:
        """Envoys send spans over HTTP."""
        return ()

    def routes(self) -> Iterable[web.RouteDef]:
        """List where spans are sent to, and where traces are read."""
        return (
            web.post(SPANS, self._collect),
            web.get(TRACES, self._list),
            web.get(TRACES + "/{id}", self._show),
        )

    def take(self, snapshot: Snapshot) -> None:
        """Nothing in the mesh's configuration concerns what was collected."""

    async def run(self) -> None:
        """There is nothing to do beside requests."""

    def metrics(self) -> Iterable[str]:
        """Write down how much was collected."""
        return exposition.write(self._metrics.families()).splitlines()

    async def _collect(self, request: web.Request) -> web.Response:
        try:
            spans, unreadable = zipkin.read_spans(await request.read())
        except ProtocolError as error:
            self._unreadable += 1
            return web.Response(status=400, text=f"{error}\n")
        self._store.add(spans)
        self._unreadable += unreadable
        return web.Response(status=202)

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        found = self._store.last(
            min(_number(query.get("limit"), 20), _MOST_LISTED),
            query.get("service", ""),
            _number(query.get("at_least"), 0),
            query.get("errors") == "true",
        )
        return web.json_response({"traces": [summary(trace) for trace in found]})

    async def _show(self, request: web.Request) -> web.Response:
        found = self._store.find(request.match_info["id"].lower())
        return web.json_response({"traces": [whole(trace) for trace in found[:2]]})


def summary(trace: Trace) -> Json:
    """Describe a trace in short; times are microseconds."""
    root = trace.root
    return {
        "trace_id": trace.trace_id,
        "start": trace.start,
        "duration": trace.duration,
        "service": root.service,
        "name": root.name,
        "path": dict(root.tags).get("http.url", ""),
        "method": dict(root.tags).get("http.method", ""),
        "status": dict(root.tags).get("http.status_code", ""),
        "services": list(trace.services),
        "spans": len(trace.spans),
        "errors": trace.errors,
    }


def whole(trace: Trace) -> Json:
    """Describe a trace with its spans, each below the one that caused it."""
    rows = [_span(row.span, row.depth) for row in traces.waterfall(trace.spans.values())]
    return {**summary(trace), "spans": rows}


def _span(span: Span, depth: int) -> Json:
    return {
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "depth": depth,
        "service": span.service,
        "name": span.name,
        "kind": span.kind,
        "start": span.start,
        "duration": span.duration,
        "is_error": span.is_error,
        "tags": dict(span.tags),
    }


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isascii() and text.isdecimal() else default
