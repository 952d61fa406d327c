"""Traces: spans of calls that belong together, a bounded store of the last ones, and the order to show them in."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

MOST_TRACES: Final = 1000
MOST_SPANS_OF_A_TRACE: Final = 500
MOST_SPANS: Final = 20_000
_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Span:
    """One call as one proxy saw it. Ids are lower-case hexadecimal; times are microseconds, `start` since the epoch.

    `kind` is `client`, `server`, or empty where nothing is said. Tags are sorted by name.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    service: str
    start: int
    duration: int
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def is_error(self) -> bool:
        """Whether the call failed: it says so, or was answered with a server's error."""
        tags = dict(self.tags)
        code = tags.get("http.status_code", "")
        failed = code.isdecimal() and int(code) >= _SERVER_ERROR
        return failed or tags.get("error", "false") not in ("false", "")


@dataclass(slots=True)
class Trace:
    """The spans of one request through the mesh, as they came."""

    trace_id: str
    spans: dict[str, Span] = field(default_factory=dict)

    @property
    def start(self) -> int:
        """When the first span began."""
        return min(span.start for span in self.spans.values())

    @property
    def duration(self) -> int:
        """From the beginning of the first span to the end of the last one."""
        return max(span.start + span.duration for span in self.spans.values()) - self.start

    @property
    def services(self) -> tuple[str, ...]:
        """Who took part, in the order of the first spans."""
        ordered = sorted(self.spans.values(), key=lambda span: span.start)
        return tuple(dict.fromkeys(span.service for span in ordered))

    @property
    def root(self) -> Span:
        """The span that no other one of the trace caused; the first of several."""
        return next(row.span for row in waterfall(self.spans.values()))

    @property
    def errors(self) -> int:
        """How many spans failed."""
        return sum(span.is_error for span in self.spans.values())


@dataclass(frozen=True, slots=True)
class Row:
    """A span in a waterfall, so many levels below the one that caused it."""

    span: Span
    depth: int


class TraceStore:
    """The last traces: so many at most, with so many spans in all and in each; what began first goes first."""

    def __init__(
        self,
        most_traces: int = MOST_TRACES,
        most_spans: int = MOST_SPANS_OF_A_TRACE,
        most_spans_in_all: int = MOST_SPANS,
    ) -> None:
        self._most_traces = most_traces
        self._most_spans = most_spans
        self._most_spans_in_all = most_spans_in_all
        self._spans_in_all = 0
        self._traces: OrderedDict[str, Trace] = OrderedDict()
        self.received = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._traces)

    def add(self, spans: Iterable[Span]) -> None:
        """Take in spans. Those of a trace that is full are dropped and counted."""
        for span in spans:
            self.received += 1
            trace = self._traces.get(span.trace_id)
            if trace is None:
                trace = self._traces[span.trace_id] = Trace(span.trace_id)
            if len(trace.spans) >= self._most_spans:
                self.dropped += 1
                continue
            self._spans_in_all += span.span_id not in trace.spans
            trace.spans[span.span_id] = span
            self._forget_oldest()

    def last(self, count: int, service: str = "", at_least: int = 0, only_errors: bool = False) -> Sequence[Trace]:
        """List the newest traces first: of those that a service took part in, took so many microseconds, or failed."""
        chosen = (
            trace
            for trace in reversed(self._traces.values())
            if (not service or any(_is_of(service, each) for each in trace.services))
            and trace.duration >= at_least
            and (not only_errors or trace.errors)
        )
        return tuple(trace for _, trace in zip(range(count), chosen, strict=False))

    def find(self, trace_id: str) -> Sequence[Trace]:
        """List the traces whose id begins like this."""
        exact = self._traces.get(trace_id)
        if exact is not None:
            return (exact,)
        return tuple(trace for known, trace in self._traces.items() if trace_id and known.startswith(trace_id))

    def _forget_oldest(self) -> None:
        while len(self._traces) > self._most_traces or (
            self._spans_in_all > self._most_spans_in_all and len(self._traces) > 1
        ):
            _, oldest = self._traces.popitem(last=False)
            self._spans_in_all -= len(oldest.spans)


def waterfall(spans: Iterable[Span]) -> tuple[Row, ...]:
    """Order the spans of a trace: each below the one that caused it, brothers by their beginning.

    A span whose cause is not known stands at the left. Every span comes once, whatever the ids say.
    """
    found = {span.span_id: span for span in spans}
    children: dict[str, list[Span]] = {}
    for span in found.values():
        cause = span.parent_id if span.parent_id in found and span.parent_id != span.span_id else ""
        children.setdefault(cause, []).append(span)
    rows = list(_below("", children, 0))
    shown = {row.span.span_id for row in rows}
    circular = sorted((span for span in found.values() if span.span_id not in shown), key=_order)
    return (*rows, *(Row(span, 0) for span in circular))


def _below(cause: str, children: dict[str, list[Span]], depth: int) -> Iterator[Row]:
    """Yield what a span caused, without recursion: a trace may be as deep as it is long."""
    waiting = [(span, depth) for span in sorted(children.get(cause, ()), key=_order, reverse=True)]
    while waiting:
        span, level = waiting.pop()
        yield Row(span, level)
        waiting += [(child, level + 1) for child in sorted(children.get(span.span_id, ()), key=_order, reverse=True)]


def _order(span: Span) -> tuple[int, int, str]:
    return (span.start, -span.duration, span.span_id)


def _is_of(service: str, name: str) -> bool:
    """Tell whether a proxy's service is meant, with or without its namespace."""
    return name in (service, service.removesuffix(".default")) or name.partition(".")[0] == service
