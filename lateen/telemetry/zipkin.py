"""Spans in Zipkin's JSON (v2), as Envoys send them: https://zipkin.io/zipkin-api/."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from lateen.errors import ProtocolError
from lateen.telemetry.traces import Span

_ID: Final = re.compile(r"[0-9a-f]{1,32}")
_LONGEST_TEXT: Final = 512
_MOST_TAGS: Final = 64
_KINDS: Final = {"CLIENT": "client", "SERVER": "server", "PRODUCER": "client", "CONSUMER": "server"}


def read_spans(body: bytes) -> tuple[tuple[Span, ...], int]:
    """Return the spans of a request, and how many of its entries are none; raises `ProtocolError` for no list."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, list):
        raise ProtocolError("the body must be a JSON list of spans")
    spans = [_span(each) for each in content]
    found = tuple(span for span in spans if span is not None)
    return found, len(spans) - len(found)


def _span(content: Any) -> Span | None:
    if not isinstance(content, dict):
        return None
    trace_id, span_id = _id(content.get("traceId")), _id(content.get("id"))
    start, duration = _number(content.get("timestamp")), _number(content.get("duration"))
    if not trace_id or not span_id or start is None:
        return None
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=_id(content.get("parentId")),
        name=_text(content.get("name")),
        kind=_KINDS.get(str(content.get("kind")), ""),
        service=_text(_mapping(content.get("localEndpoint")).get("serviceName")),
        start=start,
        duration=duration or 0,
        tags=_tags(_mapping(content.get("tags"))),
    )


def _id(content: object) -> str:
    text = content.lower() if isinstance(content, str) else ""
    return text if _ID.fullmatch(text) else ""


def _number(content: object) -> int | None:
    if isinstance(content, bool) or not isinstance(content, int | float | str):
        return None
    try:
        return max(0, int(content))
    except (ValueError, OverflowError):
        return None


def _mapping(content: object) -> Mapping[str, object]:
    return content if isinstance(content, dict) else {}


def _tags(content: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    chosen = sorted((name, _text(value)) for name, value in content.items() if isinstance(value, str))
    return tuple(chosen[:_MOST_TAGS])


def _text(content: object) -> str:
    return content[:_LONGEST_TEXT] if isinstance(content, str) else ""
