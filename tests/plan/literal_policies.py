"""Reads policies as documents, word by word: what they say, and whether they say anything at all.

Written from what Istio documents, without any of the code that is tested with it.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lateen.plan.verdicts import Call

TEXT, BOOL, DURATION = "a text", "true or false", "a duration"
ACTIONS = ("ALLOW", "DENY", "AUDIT", "CUSTOM")
MODES = ("UNSET", "DISABLE", "PERMISSIVE", "STRICT")
TEXTS = [TEXT]
_SOURCE = (
    "principals",
    "requestPrincipals",
    "namespaces",
    "serviceAccounts",
    "trustDomains",
    "ipBlocks",
    "remoteIpBlocks",
)
_OPERATION = ("hosts", "ports", "methods", "paths")


def _both_forms(names: tuple[str, ...]) -> dict[str, Any]:
    return {form: TEXTS for name in names for form in (name, f"not{name[0].upper()}{name[1:]}")}


_TARGET = {"group": TEXT, "kind": TEXT, "name": TEXT, "namespace": TEXT}
_ATTACHED = {"selector": {"matchLabels": {"*": TEXT}}, "targetRef": _TARGET, "targetRefs": [_TARGET]}
_RULE = {
    "from": [{"source": _both_forms(_SOURCE)}],
    "to": [{"operation": _both_forms(_OPERATION)}],
    "when": [{"key": TEXT, "values": TEXTS, "notValues": TEXTS}],
}
_JWT_RULE = {
    "issuer": TEXT,
    "audiences": TEXTS,
    "jwksUri": TEXT,
    "jwks": TEXT,
    "fromHeaders": [{"name": TEXT, "prefix": TEXT}],
    "fromParams": TEXTS,
    "fromCookies": TEXTS,
    "outputPayloadToHeader": TEXT,
    "outputClaimToHeaders": [{"header": TEXT, "claim": TEXT}],
    "forwardOriginalToken": BOOL,
    "timeout": DURATION,
    "spaceDelimitedClaims": TEXTS,
}
SHAPES: Mapping[str, Any] = {
    "AuthorizationPolicy": {**_ATTACHED, "rules": [_RULE], "action": ACTIONS, "provider": {"name": TEXT}},
    "RequestAuthentication": {**_ATTACHED, "jwtRules": [_JWT_RULE]},
    "PeerAuthentication": {
        "selector": {"matchLabels": {"*": TEXT}},
        "mtls": {"mode": MODES},
        "portLevelMtls": {"*": {"mode": MODES}},
    },
}
MAY_BE_EMPTY = ("spec.rules",)


def unreadable(content: Any, shape: Any, path: str = "spec") -> Iterator[str]:
    """Yield what in a document says nothing, or not what it looks like."""
    if content is None:
        yield f"{path} is null"
    elif isinstance(shape, dict):
        yield from _unreadable_mapping(content, shape, path)
    elif isinstance(shape, list):
        if not isinstance(content, list):
            yield f"{path} is no list"
        elif not content and path not in MAY_BE_EMPTY:
            yield f"{path} is empty"
        else:
            for position, item in enumerate(content):
                yield from unreadable(item, shape[0], f"{path}[{position}]")
    elif isinstance(shape, tuple):
        if content not in shape or not isinstance(content, str):
            yield f"{path} is none of {shape}"
    elif not isinstance(content, bool if shape is BOOL else str):
        yield f"{path} is not {shape}"


def _unreadable_mapping(content: Any, shape: Mapping[str, Any], path: str) -> Iterator[str]:
    if not isinstance(content, dict):
        yield f"{path} is no mapping"
        return
    for name, value in content.items():
        if name in shape or "*" in shape:
            yield from unreadable(value, shape.get(name, shape.get("*")), f"{path}.{name}")
        else:
            yield f"{path}.{name} is unknown"
    if not content and path.endswith((".source", ".operation")):
        yield f"{path} is empty"


def lets_pass(document: Mapping[str, Any], call: Call) -> bool:
    """Tell what a policy that stands alone makes of a call. The authorizer that a CUSTOM policy asks does not exist."""
    spec = document.get("spec") or {}
    action = spec.get("action", "ALLOW")
    tried = (document["metadata"].get("annotations") or {}).get("istio.io/dry-run") == "true"
    if action == "AUDIT" or (tried and action in ("ALLOW", "DENY", "CUSTOM")):
        return True
    return any(_matches(rule, call) for rule in spec.get("rules", ())) is (action == "ALLOW")


def _matches(rule: Mapping[str, Any], call: Call) -> bool:
    sources = [one["source"] for one in rule.get("from", ())]
    operations = [one["operation"] for one in rule.get("to", ())]
    return (
        (not sources or any(_fields_hold(one, call) for one in sources))
        and (not operations or any(_fields_hold(one, call) for one in operations))
        and all(_when(one, call) for one in rule.get("when", ()))
    )


def _fields_hold(fields: Mapping[str, list[str]], call: Call) -> bool:
    return all(_field_holds(name, texts, call) for name, texts in fields.items())


def _field_holds(name: str, texts: list[str], call: Call) -> bool:
    if name.startswith("not"):
        return not _field_holds(name[3].lower() + name[4:], texts, call)
    return any(_FIELDS[name](text, call) for text in texts)


def _when(condition: Mapping[str, Any], call: Call) -> bool:
    found = list(_named(condition["key"], call))

    def any_of(texts: list[str]) -> bool:
        if condition["key"].endswith(".ip"):
            return any(_in_block(text, value) for text in texts for value in found)
        return any(_fits(text, value) for text in texts for value in found)

    wanted, unwanted = condition.get("values"), condition.get("notValues")
    return (wanted is None or any_of(wanted)) and (unwanted is None or not any_of(unwanted))


def _named(key: str, call: Call) -> Iterator[str]:
    plain = {
        "source.ip": call.source_ip,
        "remote.ip": call.remote_ip or call.source_ip,
        "destination.ip": call.destination_ip,
        "destination.port": str(call.destination_port),
        "source.principal": _principal(call),
        "source.namespace": _parts(call)[1],
        "source.serviceAccount": "/".join(_parts(call)[1:]).strip("/"),
        "source.trustDomain": _parts(call)[0],
        "request.auth.principal": _subject(call),
        "connection.sni": call.sni,
    }
    if key in plain:
        yield plain[key]
    elif key == "request.auth.audiences":
        yield from _claim(call, ["aud"])
    elif key == "request.auth.presenter":
        yield from _claim(call, ["azp"])
    elif key.startswith("request.auth.claims["):
        yield from _claim(call, re.findall(r"\[([^\]]*)\]", key))
    elif key.startswith("request.headers["):
        name = key.removeprefix("request.headers[")[:-1].lower()
        pseudo = {":method": call.method, ":path": call.path, ":authority": call.host}
        values = pseudo.get(name, call.headers.get(name, ()))
        yield from (values,) if isinstance(values, str) else values


def _claim(call: Call, path: list[str]) -> Iterator[str]:
    value: Any = call.claims or {}
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    if isinstance(value, str) and path in (["scope"], ["permission"]):
        value = value.split()
    yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str))


def _principal(call: Call) -> str:
    return call.principal.removeprefix("spiffe://")


def _parts(call: Call) -> tuple[str, str, str]:
    parts = _principal(call).split("/")
    return (parts[0], parts[2], parts[4]) if len(parts) == 5 else ("", "", "")


def _subject(call: Call) -> str:
    claims = call.claims or {}
    return f"{claims['iss']}/{claims['sub']}" if claims.get("iss") and claims.get("sub") else ""


def _fits(text: str, value: str) -> bool:
    if not value:
        return False
    if text == "*":
        return True
    if text.endswith("*"):
        return value.startswith(text[:-1])
    return value.endswith(text[1:]) if text.startswith("*") else value == text


def _fits_host(text: str, call: Call) -> bool:
    text, host = text.lower().removesuffix(":*"), call.host.lower()
    has_port = re.search(r":[0-9]+$", text)
    return _fits(text, host) or (not has_port and not text.endswith("*") and _fits(text, re.sub(r":[0-9]*$", "", host)))


def _fits_path(text: str, call: Call) -> bool:
    path = re.split("[?#]", call.path)[0]
    if "{" not in text:
        return _fits(text, path)
    wanted, found = text.split("/"), path.split("/")
    if wanted[-1] == "{**}":
        found = [*found[: len(wanted) - 1], "/".join(found[len(wanted) - 1 :])] if len(found) >= len(wanted) else []
    return len(wanted) == len(found) and all(
        one == "{**}" or (one == "{*}" and other) or one == other for one, other in zip(wanted, found, strict=True)
    )


def _in_block(block: str, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(block, strict=False)


def _is_account(text: str, call: Call) -> bool:
    _, namespace, account = _parts(call)
    return f"{namespace}/{account}" == (text if "/" in text else f"default/{text}")


_FIELDS = {
    "principals": lambda text, call: _fits(text, _principal(call)),
    "requestPrincipals": lambda text, call: _fits(text, _subject(call)),
    "namespaces": lambda text, call: _fits(text, _parts(call)[1]),
    "serviceAccounts": _is_account,
    "trustDomains": lambda text, call: _fits(text, _parts(call)[0]),
    "ipBlocks": lambda text, call: _in_block(text, call.source_ip),
    "remoteIpBlocks": lambda text, call: _in_block(text, call.remote_ip or call.source_ip),
    "hosts": _fits_host,
    "ports": lambda text, call: text == str(call.destination_port),
    "methods": lambda text, call: _fits(text, call.method),
    "paths": _fits_path,
}
