"""What `cel.check` says of a function, the real Envoy says too."""

import json
import subprocess
from collections.abc import Sequence

import pytest

from lateen.api.expressions import cel
from tests.envoy.acceptance import envoy_path

TAKEN = [
    "size(request.path) > request.path.size()",
    "type(request.path) == string",
    "dyn(request.path) == 'a' || bool('true')",
    "int(request.size) + 1 > 2 - -1 && uint(request.size) == 5u && double(request.size) < 1.5",
    "bytes(request.path) == b'a'",
    "request.time - request.time > duration('1s') || request.time > timestamp('2020-01-01T00:00:00Z')",
    "matches(request.path, 'a') || request.path.matches(r'\\d')",
    "contains(request.path, 'a') || request.path.contains('a')",
    "startsWith(request.path, 'a') || request.path.startsWith('a')",
    "endsWith(request.path, 'a') || request.path.endsWith('a')",
    *(
        f"request.time.{name}() == 1 || request.time.{name}('UTC') == 1"
        for name in (
            *("getFullYear", "getMonth", "getDayOfYear", "getDayOfMonth", "getDate", "getDayOfWeek"),
            *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
        )
    ),
    "has(request.path) ? 'x' in request.headers : !(request.size in [1, 2 % 3])",
    "re.extract(request.path, 'a', 'b') == re.capture(request.path, 'a')",
    "re.captureN(request.path, 'a') == {'a': 'b'}",
]
REFUSED = [
    "string(request.size) == '1'",
    "request.path.lowerAscii() == 'a'",
    "conditional(true, 1, 2) == 1",
    "request.headers.exists(name, name == 'a')",
    "request.path.trim() == 'a'",
    "has(request)",
]


def is_taken(expressions: Sequence[str]) -> bool:
    """Tell whether Envoy starts with these expressions as filters of an access log."""
    logs = [access_log(text) for text in expressions]
    proxy = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "a",
        "cluster": "c",
        "access_log": logs,
    }
    listener = {
        "name": "l",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]}],
    }
    config = json.dumps({"static_resources": {"listeners": [listener], "clusters": [{"name": "c"}]}})
    command = [str(envoy_path()), "--mode", "validate", "--config-yaml", config, "-l", "error", "--disable-hot-restart"]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def access_log(expression: str) -> dict[str, object]:
    kind = "type.googleapis.com/envoy.extensions.access_loggers"
    filtered = {"@type": f"{kind}.filters.cel.v3.ExpressionFilter", "expression": expression}
    return {
        "name": "envoy.access_loggers.stdout",
        "filter": {
            "extension_filter": {"name": "envoy.access_loggers.extension_filters.cel", "typed_config": filtered}
        },
        "typed_config": {"@type": f"{kind}.stream.v3.StdoutAccessLog"},
    }


def test_envoy_takes_what_is_said_to_be_taken() -> None:
    assert [str(fault) for text in TAKEN for fault in cel.check(text)] == []
    assert is_taken(TAKEN)


@pytest.mark.parametrize("expression", REFUSED)
def test_envoy_refuses_what_is_said_to_be_refused(expression: str) -> None:
    assert cel.check(expression)
    assert not is_taken([expression])
