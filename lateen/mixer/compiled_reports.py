"""Reports: what a proxy counts and logs itself of the calls that pass it, and what it tells Mixer."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from lateen.api.expressions import cel
from lateen.api.expressions.tree import Attribute, Call, Constant, Index, Node, walk
from lateen.api.expressions.types import ValueType
from lateen.api.mixer.checks import NoopParams
from lateen.api.mixer.reports import Level, LogStream, PrometheusMetric, PrometheusParams, StdioParams, ZipkinParams
from lateen.api.mixer.reports import MetricKind as WrittenKind
from lateen.api.mixer.templates import Variety
from lateen.mixer import anyones, conditions, spoken_values
from lateen.mixer.attributes import ENTRIES
from lateen.mixer.compiled import Placement, Reporting, Spans, Where
from lateen.mixer.compiled_checks import match_of
from lateen.mixer.operands import Unsayable
from lateen.mixer.own_places import for_connections
from lateen.mixer.places import Place
from lateen.mixer.rule_types import ResolvedAction, ResolvedHandler, ResolvedInstance, ResolvedRule, TypedField
from lateen.names import MIXER_CLUSTER
from lateen.plan.conditions import ALWAYS, NEVER, Condition, all_of, any_of
from lateen.plan.telemetry_types import (
    AccessLog,
    LogFile,
    LogProtocol,
    LogServer,
    Metric,
    MetricKind,
    TagChange,
)
from lateen.plan.tracing_types import TagSource, TraceTag
from lateen.plan.types import Origin

_Made = Metric | AccessLog | Spans
_STREAMS: Final = {LogStream.STDOUT: "/dev/stdout", LogStream.STDERR: "/dev/stderr"}
_KINDS: Final = {WrittenKind.COUNTER: MetricKind.COUNTER, WrittenKind.DISTRIBUTION: MetricKind.HISTOGRAM}


class ReportCompiler:
    """Compiles what is told of the calls of one direction."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.placements: list[Placement] = []

    def compile(self, rules: Iterable[ResolvedRule]) -> Reporting:
        """Return what the proxy counts and logs itself, and the stream of calls that Mixer is told of."""
        metrics: list[Metric] = []
        logs: list[AccessLog] = []
        spans: list[Spans] = []
        told: list[tuple[ResolvedRule, tuple[ResolvedInstance, ...]]] = []
        for rule in rules:
            for action in rule.actions:
                reported = tuple(one for one in action.instances if one.variety is Variety.REPORT)
                if not reported:
                    continue
                if (why := why_told(rule, action)) and self._may(rule) != NEVER:
                    told.append((rule, reported))
                    self._put(rule, action, Where.REPORT, why)
                    continue
                made = [] if why else list(_made(rule, action, self._place))
                metrics += [one for one in made if isinstance(one, Metric)]
                logs += [one for one in made if isinstance(one, AccessLog)]
                spans += [one for one in made if isinstance(one, Spans)]
                self._put(rule, action, _where(made, self._may(rule)))
        return Reporting(tuple(metrics), (*logs, *self._streams(told)), tuple(spans), tuple(self.placements))

    def _may(self, rule: ResolvedRule) -> Condition:
        root = match_of(rule).root
        return any_of(conditions.may_hold(root, place) for place in (self._place, for_connections(self._place)))

    def _streams(self, told: list[tuple[ResolvedRule, tuple[ResolvedInstance, ...]]]) -> Iterator[AccessLog]:
        """Yield the streams to Mixer, which carry the calls that any of these rules may be about."""
        if not told:
            return
        when = self._when(any_of(conditions.may_hold(match_of(rule).root, self._place) for rule, _ in told))
        roots = [match_of(rule).root for rule, _ in told]
        roots += [field.typed.root for _, instances in told for one in instances for field in one.fields]
        name = f"mixer-{'outbound' if self._place.is_outbound else 'inbound'}"
        yield AccessLog(
            LogServer(
                LogProtocol.HTTP_ALS,
                MIXER_CLUSTER,
                MIXER_CLUSTER,
                name,
                request_headers=_headers(roots, "request.headers"),
                response_headers=_headers(roots, "response.headers"),
            ),
            when,
        )
        tcp = for_connections(self._place)
        if any_of(conditions.may_hold(match_of(rule).root, tcp) for rule, _ in told) != NEVER:
            yield AccessLog(LogServer(LogProtocol.TCP_ALS, MIXER_CLUSTER, MIXER_CLUSTER, name))

    def _when(self, condition: Condition) -> str:
        try:
            return "" if condition == ALWAYS else cel.render(spoken_values.as_expression(condition))
        except Unsayable:
            return ""

    def _put(self, rule: ResolvedRule, action: ResolvedAction, where: Where, why: str = "") -> None:
        what = f"{action.handler.adapter} {action.handler.name}"
        self.placements.append(Placement(rule.name, Origin(rule.written.key, action.path), what, where, why))


def why_told(rule: ResolvedRule, action: ResolvedAction) -> str:
    """Say why Mixer has to be told what an action reports; nothing where all proxies do it themselves."""
    try:
        for place in anyones.SIDES:
            for is_http, where in ((True, place), (False, for_connections(place))):
                if anyones.may_concern(match_of(rule).root, where):
                    _try(rule, action, where, is_http=is_http)
    except Unsayable as reason:
        return str(reason)
    return ""


def _try(rule: ResolvedRule, action: ResolvedAction, place: Place, *, is_http: bool) -> None:
    """Make what an action comes to at a place of nobody in particular; raises `Unsayable`."""
    make = _teller(action)
    for leaf in anyones.leaves(match_of(rule).root):
        spoken_values.as_expression(conditions.holds(leaf, place))
    for instance in action.instances:
        if instance.variety is Variety.REPORT:
            for needed in _needed(instance, place):
                spoken_values.as_expression(needed)
            list(make(instance, action.handler, place, "", is_http))


def _where(made: list[_Made], may: Condition) -> Where:
    if may == NEVER:
        return Where.NEVER
    if not made:
        return Where.NOTHING
    kinds = {Metric: Where.METRICS, AccessLog: Where.LOGS, Spans: Where.SPANS}
    return kinds[type(made[0])]


def _headers(roots: Iterable[Node], name: str) -> tuple[str, ...]:
    """List the headers that expressions read."""
    found = (
        str(node.key.value)
        for root in roots
        for node in walk(root)
        if isinstance(node, Index)
        and isinstance(node.operand, Attribute)
        and node.operand.name == name
        and isinstance(node.key, Constant)
    )
    return tuple(dict.fromkeys(found))


def _made(rule: ResolvedRule, action: ResolvedAction, place: Place) -> Iterator[_Made]:
    """Yield what an action comes to at a place; raises `Unsayable` where a proxy cannot do it itself."""
    make = _teller(action)
    for instance in action.instances:
        if instance.variety is Variety.REPORT:
            for is_http, where in ((True, place), (False, for_connections(place))):
                match = conditions.holds(match_of(rule).root, where)
                when = all_of((match, *_needed(instance, where))) if match != NEVER else NEVER
                if when != NEVER:
                    yield from make(instance, action.handler, where, _text(when), is_http)


def _teller(action: ResolvedAction) -> "_Tell":
    make = _TELLERS.get(type(action.handler.settings)) if action.handler.is_built_in else None
    if make is None:
        raise Unsayable(f"a proxy has no adapter {action.handler.adapter}")
    return make


def _needed(instance: ResolvedInstance, place: Place) -> Iterator[Condition]:
    """Yield what has to be there for an instance to be made."""
    for field in instance.fields:
        if not spoken_values.always_there(field.typed.root, place):
            yield any_of(one.known for one in conditions.operand(field.typed.root, place))


def _text(condition: Condition) -> str:
    return "" if condition == ALWAYS else cel.render(spoken_values.as_expression(condition))


def _metrics(
    instance: ResolvedInstance, handler: ResolvedHandler, place: Place, when: str, is_http: bool
) -> Iterator[_Made]:
    params = handler.settings
    assert isinstance(params, PrometheusParams)
    for metric in params.metrics:
        if metric.instance_name.lower() in _names(instance):
            yield _metric(metric, instance, place, when, is_http=is_http)


def _names(instance: ResolvedInstance) -> tuple[str, ...]:
    """Return the names by which handlers call an instance: whole, alone, or without its kind."""
    name, _, rest = instance.name.lower().partition(".")
    return (instance.name.lower(), name, f"{name}.{rest.partition('.')[2]}")


def _metric(written: PrometheusMetric, instance: ResolvedInstance, place: Place, when: str, *, is_http: bool) -> Metric:
    if written.kind not in _KINDS:
        raise Unsayable("a proxy keeps no gauges of its own")
    if written.buckets is not None:
        raise Unsayable("a proxy's histograms have the proxy's buckets")
    fields = {field.at: field for field in instance.fields}
    tags = (
        TagChange(name, cel.render(spoken_values.shown(fields["dimensions", name].typed.root, place)))
        for name in written.label_names
        if ("dimensions", name) in fields
    )
    return Metric(
        f"{written.namespace}_{written.name}",
        _number(fields["value",], place),
        _KINDS[written.kind],
        tags=tuple(tags),
        when=when,
        of_requests=is_http,
        of_connections=not is_http,
    )


def _number(field: TypedField, place: Place) -> str:
    root = field.typed.root
    if field.typed.type is not ValueType.INT64:
        raise Unsayable(f"a proxy adds up whole numbers, not a {field.typed.type}")
    return cel.render(spoken_values.value(root, place))


def _lines(
    instance: ResolvedInstance, handler: ResolvedHandler, place: Place, when: str, is_http: bool
) -> Iterator[_Made]:
    params = handler.settings
    assert isinstance(params, StdioParams)
    if params.log_stream is LogStream.ROTATED_FILE or not params.output_as_json or instance.template != "logentry":
        raise Unsayable("a proxy writes log entries as JSON, to files that it does not rotate")
    fields = {field.at: field for field in instance.fields}
    level = _level(fields.get(("severity",)), params)
    if list(Level).index(level) < list(Level).index(params.output_level):
        return
    variables = {at[1]: _format(field.typed.root, place) for at, field in fields.items() if at[0] == "variables"}
    line = {"level": level.lower(), "time": "%START_TIME%", "instance": instance.name, **variables}
    path = _STREAMS.get(params.log_stream, params.output_path)
    which = "has(request.method)" if is_http else "!has(request.method)"
    yield AccessLog(LogFile(path, json=True, format=json.dumps(line)), f"{which} && ({when})" if when else which)


def _spans(
    instance: ResolvedInstance, handler: ResolvedHandler, place: Place, when: str, is_http: bool
) -> Iterator[_Made]:
    params = handler.settings
    assert isinstance(params, ZipkinParams)
    if when:
        raise Unsayable("a proxy traces all its calls alike, and only where all fields have a value")
    if not is_http:
        return
    tags = (
        TraceTag(field.at[1], TagSource.FORMATTER, _format(field.typed.root, place))
        for field in instance.fields
        if field.at[0] == "span_tags"
    )
    yield Spans(params.url, 100 * params.sample_probability, tuple(tags))


def _level(severity: TypedField | None, params: StdioParams) -> Level:
    if severity is None:
        return Level.INFO
    if not isinstance(severity.typed.root, Constant):
        raise Unsayable("the level of a proxy's log entries is fixed")
    return params.severity_levels.get(str(severity.typed.root.value), Level.INFO)


def _format(root: Node, place: Place) -> Any:
    """Say a variable as a format: by its own operator, else as an expression."""
    first = root.arguments[0] if isinstance(root, Call) and root.function == "|" else root
    if isinstance(first, Attribute) and first.name in ENTRIES and first.name not in place.facts:
        entry = ENTRIES[first.name]
        origin = entry.client if place.is_outbound else entry.server
        if entry.type is ValueType.DURATION and origin.operator:
            return f"{origin.operator}ms"
        if not origin.cel and origin.operator:
            return origin.operator
    return f"%CEL({cel.render(spoken_values.shown(root, place))})%"


def _nothing(*_: object) -> Iterator[_Made]:
    yield from ()


_Tell = Callable[[ResolvedInstance, ResolvedHandler, Place, str, bool], Iterator[_Made]]
_TELLERS: Final[Mapping[type, _Tell]] = {
    PrometheusParams: _metrics,
    StdioParams: _lines,
    ZipkinParams: _spans,
    NoopParams: _nothing,
}
"""The adapters whose work a proxy does itself."""
