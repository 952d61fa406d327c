"""What compiled rules cost: two pairs of sidecars in one mesh, of which one server has fifty rules of Mixer to hold to.

All fifty concern every request, and refuse none: by headers, paths, callers, addresses and lists. Both pairs have
mutual TLS. Rounds are short and alternate: read the ratios.
"""

from collections.abc import Iterator
from typing import Final

from bench import comparison
from bench.comparison import Comparison, Json

RULES: Final = 50
_CALLEE: Final = 'destination.labels["app"] == "server-ruled"'
_MATCHES: Final = (
    'source.labels["app"] == "nobody-{n}" && request.method != "GET"',
    'request.headers["x-user"] == "nobody-{n}"',
    '(request.headers["x-tier"] | "none") == "{n}" || source.namespace == "elsewhere-{n}"',
    'request.path.startsWith("/private/{n}/") && source.labels["version"] == "v{n}"',
    'source.ip == ip("10.9.0.{n}")',
)
"""What rules ask for, in turn; `{n}` is the number of the rule."""


def _rules() -> Iterator[Json]:
    status = {"code": 7, "message": "not allowed"}
    yield _mixer("handler", "deny", {"compiledAdapter": "denier", "params": {"status": status}})
    yield _mixer("instance", "nothing", {"compiledTemplate": "checknothing"})
    banned = {"overrides": [f"banned-{number}" for number in range(20)], "blacklist": True}
    yield _mixer("handler", "banned", {"compiledAdapter": "listchecker", "params": banned})
    user = {"value": 'request.headers["x-user"] | "none"'}
    yield _mixer("instance", "user", {"compiledTemplate": "listentry", "params": user})
    for number in range(RULES):
        is_list = number % 10 == 0
        action = (
            {"handler": "banned", "instances": ["user"]} if is_list else {"handler": "deny", "instances": ["nothing"]}
        )
        asked = _MATCHES[number % len(_MATCHES)].format(n=number)
        match = _CALLEE if is_list else f"{_CALLEE} && ({asked})"
        yield _mixer("rule", f"rule-{number:02}", {"match": match, "actions": [action]})


def _mixer(kind: str, name: str, spec: Json) -> Json:
    return comparison.written("config.istio.io/v1alpha2", kind, name, spec)


COMPARED: Final = Comparison(
    "bench-rules", ("ruled", "free"), f"{RULES} compiled rules", ("with rules", "without"), _rules
)
