"""What expressions come to: documented examples, what is absent, and that types hold what they promise."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lateen.api.expressions import cel, cexl
from lateen.api.expressions.faults import BadExpression
from lateen.api.expressions.tree import Language
from lateen.api.expressions.types import ValueType
from lateen.mixer import interpreter, typing
from lateen.mixer.manifests import KNOWN
from lateen.mixer.values import ABSENT, Attributes, Tracked, Value
from tests.api.expressions.trees import CEL, CEXL

BAG = {
    "request.path": "/api/v1/products",
    "request.method": "GET",
    "request.size": 7,
    "request.headers": {"cookie": "session=abc", "n": "0", "end-user": "jason"},
    "request.time": datetime(2017, 1, 15, 1, 30, 15, tzinfo=UTC),
    "source.labels": {"app": "reviews", "version": "v3"},
    "source.ip": IPv4Address("10.1.2.3"),
    "source.principal": "cluster.local/ns/default/sa/reviews",
    "connection.mtls": True,
    "destination.service.host": "Ratings.default.svc.cluster.local",
    "mine.host": "Example.COM.",
    "mine.mail": "Me@EXAMPLE.com",
    "mine.link": "HTTP://Example.com/A",
}
TYPES = {
    **KNOWN,
    "mine.host": ValueType.DNS_NAME,
    "mine.mail": ValueType.EMAIL_ADDRESS,
    "mine.link": ValueType.URI,
    "mine.flag": ValueType.BOOL,
}

VALUES: dict[str, object] = {
    "request.size": 7,
    "request.size + 3": 10,
    '"a" + request.method': "aGET",
    "0.5 + 0.25": 0.75,
    'request.headers["n"]': "0",
    "response.code": ABSENT,
    "response.code + 1": ABSENT,
    'request.headers["x"]': ABSENT,
    'response.headers["x"]': ABSENT,
    'request.headers["x"] | response.headers["x"] | "unknown"': "unknown",
    'source.labels["version"] | "unknown"': "v3",
    "response.code | 200": 200,
    'request.path | "a"': "/api/v1/products",
    "emptyStringMap()": {},
    "destination.labels | emptyStringMap()": {},
    'conditional(source.labels["app"] == "reviews", "yes", "no")': "yes",
    'conditional(destination.labels["app"] == "reviews", response.headers["x"], "no")': "no",
    'conditional(connection.mtls, response.headers["x"], "no")': ABSENT,
    'toLower("ÄB")': "äb",
    'reverse("abc")': "cba",
    'size("abc")': 3,
    "size(source.labels)": 2,
    'ip("::ffff:10.1.2.3")': IPv4Address("10.1.2.3"),
    "ip(request.path)": ABSENT,
    'ip(request.path) | ip("::1")': IPv6Address("::1"),
    'timestamp("2017-01-15T03:30:15.5+02:00")': datetime(2017, 1, 15, 1, 30, 15, 500_000, tzinfo=UTC),
    '"1h30m"': timedelta(minutes=90),
    "dnsName(request.path)": ABSENT,
    'email("a@b.com")': "a@b.com",
    'uri("http://a/b")': "http://a/b",
    "target.labels | source.labels": {"app": "reviews", "version": "v3"},
}

HOLDING = [
    'source.labels["app"]=="reviews" && source.labels["version"] == "v3"',
    'match(request.headers["cookie"], "session=*")',
    'match(request.path, "*products")',
    'match(request.path, "/api*products*") == false',
    '"^/api/v[0-9]+/".matches(request.path)',
    '"products".matches(request.path)',
    'request.path.startsWith("/api")',
    'request.path.endsWith("ucts")',
    'request.time > timestamp("2016-01-01T00:00:00Z")',
    '"10ms" < "1s"',
    'source.ip == ip("10.1.2.3")',
    'request.headers["n"] == "0"',
    'destination.service == "Ratings.default.svc.cluster.local"',
    'mine.host == dnsName("example.com")',
    'mine.mail == email("Me@example.com")',
    'mine.mail != email("me@example.com")',
    'mine.link == uri("http://EXAMPLE.com/A")',
    'dnsName("bücher.example") == dnsName("xn--bcher-kva.example")',
    "connection.mtls",
    "connection.mtls == true",
    # What is not there differs from everything, and is like nothing.
    'request.headers["x"] != "secret"',
    'match(request.headers["x"], "user=*") == false',
    '(request.headers["x"] == "a") == false',
    'response.code == 200 || request.method == "GET"',
    'request.method == "GET" || response.code == 200',
    'request.headers["end-user"] | "nobody" == "jason"',
]

FAILING = [
    'request.headers["x"] == "secret"',
    "response.code < 500",
    "response.code >= 500",
    "mine.flag",
    "mine.flag == false",
    "mine.flag && connection.mtls",
    'response.code == 200 && request.method == "GET"',
    'source.ip == ip("10.1.2.4")',
    '"^products".matches(request.path)',
    'request.headers["x"].startsWith("a")',
]


def value_of(text: str, values: Mapping[str, Value] = BAG, language: Language = Language.CEXL) -> object:
    return interpreter.evaluator(typing.read(text, language, TYPES), TYPES)(Attributes(values))


def holds(text: str, language: Language = Language.CEXL) -> bool:
    return interpreter.condition(typing.read(text, language, TYPES, (ValueType.BOOL,)), TYPES)(Attributes(BAG))


@pytest.mark.parametrize(("text", "value"), VALUES.items(), ids=list(VALUES))
def test_an_expression_comes_to_its_value(text: str, value: object) -> None:
    assert value_of(text) == value


@pytest.mark.parametrize("text", HOLDING)
def test_conditions_that_hold(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize("text", FAILING)
def test_conditions_that_do_not_hold(text: str) -> None:
    assert not holds(text)


CEL_VALUES: dict[str, object] = {
    "request.size in [1, 7]": True,
    "request.method in ['PUT']": False,
    "response.code in [200]": False,
    "'cookie' in request.headers": True,
    "has(request.headers.cookie)": True,
    "has(response.headers)": False,
    "!has(response.code) ? 'none' : 'some'": "none",
    "!(request.headers.x == 'a')": True,
    "-7 / 2": -3,
    "-7 % 2": -1,
    "7 / 0": ABSENT,
    "9223372036854775807 + 1": ABSENT,
    "request.time - duration('15s')": datetime(2017, 1, 15, 1, 30, tzinfo=UTC),
    "request.time + duration('100000000h')": ABSENT,
    "duration(request.path)": ABSENT,
    "{'a': request.method}": {"a": "GET"},
    "{'a': request.headers.x}": ABSENT,
    "request.path.contains('v1')": True,
    "double(1) / 0.0": float("inf"),
    "int(1.9)": 1,
}


@pytest.mark.parametrize(("text", "value"), CEL_VALUES.items(), ids=list(CEL_VALUES))
def test_an_expression_of_cel_comes_to_its_value(text: str, value: object) -> None:
    assert value_of(text, language=Language.CEL) == value


def test_what_is_looked_at_is_remembered_whether_it_is_there_or_not() -> None:
    bag = Tracked(Attributes(BAG))
    typed = typing.read('request.headers["x"] | source.labels["app"] | request.path', Language.CEXL, KNOWN)
    assert interpreter.evaluator(typed, KNOWN)(bag) == "reviews"
    assert bag.referenced == {("request.headers", "x"), ("source.labels", "app")}


_TEXT = st.sampled_from(['"a"', '"/api"', "request.path", 'request.headers["x"]', 'source.labels["app"]'])
_NUMBER = st.sampled_from(["1", "request.size", "response.code"])
_BOOL = st.sampled_from(["true", "connection.mtls", "mine.flag"])
_ADDRESS = st.sampled_from(["source.ip", "destination.ip", 'ip("1.2.3.4")', "ip(request.path)"])
_MAP = st.sampled_from(["source.labels", "destination.labels", "emptyStringMap()"])


def _deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["|", "&&", "||", "==", "!=", "<", ">=", "+"]), inner),
        st.builds("conditional({}, {}, {})".format, inner, inner, inner),
        st.builds("{}({})".format, st.sampled_from(["size", "toLower", "reverse", "ip"]), inner),
        st.builds("match({}, {})".format, inner, inner),
        st.builds("{}.startsWith({})".format, inner, inner),
        st.builds("{}[{}]".format, _MAP, inner),
    )


EXPRESSIONS = st.recursive(_TEXT | _NUMBER | _BOOL | _ADDRESS | _MAP, _deeper, max_leaves=8)
_PYTHON: dict[ValueType, Any] = {
    ValueType.STRING: str,
    ValueType.INT64: int,
    ValueType.BOOL: bool,
    ValueType.IP_ADDRESS: (IPv4Address, IPv6Address),
    ValueType.STRING_MAP: Mapping,
    ValueType.DURATION: timedelta,
}
BAGS = st.fixed_dictionaries(
    {},
    optional={
        "request.path": st.text(max_size=3) | st.just("10.0.0.1"),
        "request.headers": st.dictionaries(st.sampled_from(["x", "y"]), st.text(max_size=2)),
        "source.labels": st.dictionaries(st.just("app"), st.text(max_size=2)),
        "request.size": st.integers(-(2**63), 2**63 - 1),
        "connection.mtls": st.booleans(),
        "source.ip": st.ip_addresses(),
    },
)


@given(EXPRESSIONS, BAGS)
def test_a_typed_expression_comes_to_its_type_or_to_nothing(text: str, values: dict[str, Value]) -> None:
    try:
        typed = typing.read(text, Language.CEXL, TYPES)
    except BadExpression:
        return
    value = interpreter.evaluator(typed, TYPES)(Attributes(values))
    assert value is ABSENT or isinstance(value, _PYTHON[typed.type])
    if typed.type is ValueType.BOOL:
        assert interpreter.condition(typed, TYPES)(Attributes(values)) is (value is True)


@given(EXPRESSIONS, BAGS)
def test_only_what_was_looked_at_decides(text: str, values: dict[str, Value]) -> None:
    try:
        typed = typing.read(text, Language.CEXL, TYPES)
    except BadExpression:
        return
    evaluate = interpreter.evaluator(typed, TYPES)
    bag = Tracked(Attributes(values))
    value = evaluate(bag)
    looked_at = {name for name, _ in bag.referenced}
    assert evaluate(Attributes({name: each for name, each in values.items() if name in looked_at})) == value


def test_a_written_tree_means_the_same() -> None:
    for text in (*VALUES, *HOLDING):
        typed = typing.read(text, Language.CEXL, TYPES)
        assert typing.read(cexl.render(typed.root), Language.CEXL, TYPES) == typed


def test_an_address_is_one_whatever_it_wears() -> None:
    values = {**BAG, "source.ip": ip_address("::ffff:10.1.2.3")}
    assert value_of('source.ip == ip("10.1.2.3")', values) is True


WRITTEN = st.one_of(
    st.tuples(CEXL.map(cexl.render), st.just(Language.CEXL)), st.tuples(CEL.map(cel.render), st.just(Language.CEL))
)


@given(WRITTEN)
def test_no_expression_breaks_typing_or_evaluation(written: tuple[str, Language]) -> None:
    text, language = written
    types = {**TYPES, "a": ValueType.STRING, "x_1.y2.z": ValueType.INT64}
    try:
        typed = typing.read(text, language, types)
    except BadExpression:
        return
    value = interpreter.evaluator(typed, types)(Attributes({**BAG, "a": "10.0.0.1", "x_1.y2.z": 7}))
    assert value is ABSENT or isinstance(value, _PYTHON.get(typed.type, object))
