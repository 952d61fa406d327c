"""Every expression has a type before it is evaluated, and one that has none is refused."""

import pytest

from lateen.api.expressions import cexl
from lateen.api.expressions.faults import BadExpression
from lateen.api.expressions.tree import Language
from lateen.api.expressions.types import ValueType
from lateen.mixer import typing
from lateen.mixer.manifests import KNOWN

TYPES = {
    "source.ip": ValueType.IP_ADDRESS,
    "request.size + 1": ValueType.INT64,
    "1.5 + 2.0": ValueType.DOUBLE,
    '"a" + request.path': ValueType.STRING,
    'request.headers["a"] | "b"': ValueType.STRING,
    "request.headers | emptyStringMap()": ValueType.STRING_MAP,
    'response.duration | "0ms"': ValueType.DURATION,
    'request.time | timestamp("2017-01-15T01:30:15Z")': ValueType.TIMESTAMP,
    'ip("1.2.3.4") == source.ip': ValueType.BOOL,
    'dnsName("a.com") != dnsName("b.com")': ValueType.BOOL,
    'conditional(connection.mtls, 1, request.size)': ValueType.INT64,
    'conditionalString(connection.mtls, "a", "b")': ValueType.STRING,
    '"^a".matches(request.path) && request.path.endsWith("b")': ValueType.BOOL,
    'size(request.path) + size(source.labels)': ValueType.INT64,
    'reverse(toLower("A"))': ValueType.STRING,
    "target.ip": ValueType.IP_ADDRESS,
    "destination.service": ValueType.STRING,
}  # fmt: skip

CEL_TYPES = {
    "has(request.headers.a)": ValueType.BOOL,
    "request.headers.a": ValueType.STRING,
    "request.method in ['GET', 'HEAD']": ValueType.BOOL,
    "'a' in request.headers": ValueType.BOOL,
    "!connection.mtls": ValueType.BOOL,
    "connection.mtls ? 1 : -2": ValueType.INT64,
    "request.time + duration('1s') > timestamp('2017-01-15T01:30:15Z')": ValueType.BOOL,
    "request.time - context.time": ValueType.DURATION,
    "request.size * 2 - 7 / 3 % 2": ValueType.INT64,
    "request.path.contains('a')": ValueType.BOOL,
    "{'a': 'b'}": ValueType.STRING_MAP,
    "double(request.size) / 2.0": ValueType.DOUBLE,
    "request.path.size()": ValueType.INT64,
}

REFUSED = {
    "request.pth": "unknown attribute request.pth; did you mean request.path? (at character 1)",
    "nothing.like.it": "unknown attribute nothing.like.it (at character 1)",
    "source.labels.app": 'must be written source.labels["app"], as the entry of a map (at character 1)',
    'request.size == "a"': "== must be between values of one type, not INT64 and STRING (at character 17)",
    'request.size | "a"': "| must be between values of one type, not INT64 and STRING (at character 16)",
    "request.size && connection.mtls": "&& must join BOOLs, not a INT64 (at character 1)",
    "source.labels == source.labels": "== must not compare a STRING_MAP (at character 15)",
    "source.ip < source.ip": "< must not compare a IP_ADDRESS (at character 11)",
    'request.path["a"]': "must index a STRING_MAP, not a STRING (at character 13)",
    "source.labels[1]": "must have a STRING as the key, not a INT64 (at character 15)",
    'foo("a")': "unknown function foo (at character 1)",
    "ip(request.size)": "ip must be used as (STRING), not as (INT64) (at character 1)",
    'ip("1.2.3")': "must be an IP address like 10.0.0.1, not '1.2.3' (at character 4)",
    'timestamp("yesterday")': "must be a time of RFC 3339 like 2017-01-15T01:30:15Z, not 'yesterday' (at character 11)",
    'dnsName("a b")': "must be a DNS name like www.example.com, not 'a b' (at character 9)",
    'email("a")': "must be an e-mail address like somebody@example.com, not 'a' (at character 7)",
    'uri("a b")': "must be a URI, not 'a b' (at character 5)",
    'conditional(1, "a", "b")': "must have a BOOL as the condition, not a INT64 (at character 13)",
    'conditional(connection.mtls, 1, "b")': "conditional must be between values of one type, not INT64 and STRING"
    " (at character 33)",
    "has(request.path)": "unknown function has (at character 1)",
    'request.path.contains("a")': "unknown function contains (at character 14)",
    '"(".matches(request.path)': "must be a regular expression of RE2: missing ): (: '(' (at character 1)",
}


def type_of(text: str, language: Language = Language.CEXL) -> ValueType:
    return typing.read(text, language, KNOWN).type


@pytest.mark.parametrize(("text", "kind"), TYPES.items(), ids=list(TYPES))
def test_an_expression_of_mixer_has_its_type(text: str, kind: ValueType) -> None:
    assert type_of(text) is kind


@pytest.mark.parametrize(("text", "kind"), CEL_TYPES.items(), ids=list(CEL_TYPES))
def test_an_expression_of_cel_has_its_type(text: str, kind: ValueType) -> None:
    assert type_of(text, Language.CEL) is kind


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=list(REFUSED))
def test_what_has_no_type_is_refused(text: str, message: str) -> None:
    with pytest.raises(BadExpression) as refused:
        type_of(text)
    assert str(refused.value) == message


@pytest.mark.parametrize("text", ["5u", "b'a'", "null", "[1]", "request.path[0]", "string(1)"])
def test_what_mixer_has_no_values_for_is_refused_in_cel(text: str) -> None:
    with pytest.raises(BadExpression):
        type_of(text, Language.CEL)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('request.headers["n"] == "0"', 'request.headers["n"] == "0"'),
        ('source.labels["wait"] | "10s"', 'source.labels["wait"] | "10s"'),
        ('match(request.path, "1h")', 'match(request.path, "1h")'),
        ("destination.service", "destination.service.host"),
        ('target.labels["a"]', 'destination.labels["a"]'),
        ('conditionalString(connection.mtls, "1s", "b")', 'conditional(connection.mtls, "1s", "b")'),
    ],
)
def test_a_typed_tree_says_plainly_what_is_meant(text: str, same: str) -> None:
    typed = typing.read(text, Language.CEXL, KNOWN)
    assert cexl.render(typed.root) == same
    assert typing.type_of(typed.root, KNOWN) is typed.type


def test_a_duration_is_text_where_text_is_needed_and_only_there() -> None:
    assert typing.read('"5s"', Language.CEXL, KNOWN).type is ValueType.DURATION
    assert typing.read('"5s"', Language.CEXL, KNOWN, (ValueType.STRING,)).type is ValueType.STRING
    with pytest.raises(BadExpression, match="must be a INT64, not a DURATION"):
        typing.read('"5s"', Language.CEXL, KNOWN, (ValueType.INT64,))
