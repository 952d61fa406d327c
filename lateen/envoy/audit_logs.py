"""Audit records: one for each refused call, each that an AUDIT rule matches, and each that a policy in dry-run would
refuse.

Who, what, the decision, by which rule, and when. Nothing that a client sends is in them but method, host, path without
query, and request id: no token, no cookie, no other header.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.core.v3 import grpc_service_pb2, substitution_format_string_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2
from envoy.extensions.access_loggers.open_telemetry.v3 import logs_service_pb2
from google.protobuf.struct_pb2 import Struct

from lateen.envoy import log_filters, rbac
from lateen.envoy.matching import PAYLOAD, TOKENS
from lateen.envoy.side import Side
from lateen.envoy.values import typed
from lateen.names import peer_pattern
from lateen.plan.types import Access, AuditTrail, Guard

RECORD: Final = "audit"
"""The `type` of every record, by which one knows them among other lines."""

_HTTP_RULES: Final = "envoy.filters.http.rbac"
_TCP_RULES: Final = "envoy.filters.network.rbac"
_RULE: Final = r"ns\\[([^\\]]*)\\]-policy\\[([^\\]]*)\\]-rule\\[([0-9]+)\\]"
_INSTANCE: Final = peer_pattern("instance")
_SPIFFE: Final = r"^spiffe://[^/]+/ns/([^/]+)/sa/[^/]+$"


def http_records(guard: Guard, side: Side) -> list[Any]:
    """Say the records of requests.

    Those of refusals are there before anything refuses, so that the first policy is no change of the listener.
    """
    if guard.trail is None:
        return []
    # Only an edge takes away what clients say of the path as it was; in the mesh nothing rewrites before the rules.
    path = "%PATH(NQ:ORIG_OR_PATH)%" if side is Side.GATEWAY else "%PATH(NQ:PATH)%"
    seen = {**_COMMON, **_REQUEST, "path": path}
    logs = list(_logs(guard.trail, {**seen, "decision": "deny", **_by(_ENFORCED, _HTTP_RULES)}, _http_refusals()))
    if guard.access.audit:
        fields = {**seen, "decision": "audit", **_by(_AUDITED, _HTTP_RULES)}
        logs += _logs(guard.trail, fields, _noted(_HTTP_RULES, _AUDIT_RESULT))
    return [*logs, *_trials(guard, guard.trail, seen, _HTTP_RULES)]


def tcp_records(guard: Guard) -> list[Any]:
    """Say the records of connections that are not HTTP."""
    if guard.trail is None or guard.access == Access():
        return []
    refused = log_filters.cel("connection.termination_details.startsWith('rbac_access_denied')")
    by = {**_rule("connection.termination_details"), "reason": "%CONNECTION_TERMINATION_DETAILS%"}
    logs = list(_logs(guard.trail, {**_COMMON, "decision": "deny", **by}, refused))
    if guard.access.audit:
        fields = {**_COMMON, "decision": "audit", **_by(_AUDITED, _TCP_RULES)}
        logs += _logs(guard.trail, fields, _noted(_TCP_RULES, _AUDIT_RESULT))
    return [_at_end(log) for log in (*logs, *_trials(guard, guard.trail, _COMMON, _TCP_RULES))]


def _trials(guard: Guard, trail: AuditTrail, seen: Mapping[str, str], rules: str) -> Iterator[Any]:
    """Say the records of what policies in dry-run would have refused."""
    tried = {rbac.TRIED_DENY_PREFIX: guard.access.tried_deny, rbac.TRIED_ALLOW_PREFIX: guard.access.tried_allow}
    for prefix, found in tried.items():
        # An ALLOW policy without rules would refuse everything.
        if found or (found is not None and prefix == rbac.TRIED_ALLOW_PREFIX):
            fields = {**seen, "decision": "dry-run", **_by(f"{prefix}{rbac.MATCHED_RULE}", rules)}
            yield from _logs(trail, fields, _noted(rules, f"{prefix}{rbac.VERDICT}"))


_POLICY: Final = "ns["
"""What the names of all rules of policies begin with; Mixer's rules refuse with the same filter."""
_ENFORCED: Final = "enforced_effective_policy_id"
_AUDITED: Final = f"{rbac.AUDIT_PREFIX}{rbac.MATCHED_RULE}"
_AUDIT_RESULT: Final = f"{rbac.AUDIT_PREFIX}shadow_engine_result"
_ENFORCED_RESULT: Final = "enforced_engine_result"

_COMMON: Final = {
    "type": RECORD,
    "time": "%START_TIME%",
    "source_principal": "%DOWNSTREAM_PEER_URI_SAN%",
    "source_namespace": f"%CEL(re.extract(connection.uri_san_peer_certificate, '{_SPIFFE}', '\\\\1'))%",
    "source_workload": f"%CEL(re.extract(connection.dns_san_peer_certificate, '{_INSTANCE}', '\\\\1'))%",
    "source_ip": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
    "destination_workload": "%CEL(xds.node.metadata.NAME)%",
    "destination_namespace": "%CEL(xds.node.metadata.NAMESPACE)%",
    "destination_port": "%DOWNSTREAM_LOCAL_PORT%",
}
_REQUEST: Final = {
    "token_issuer": f"%DYNAMIC_METADATA({TOKENS}:{PAYLOAD}:iss)%",
    "token_subject": f"%DYNAMIC_METADATA({TOKENS}:{PAYLOAD}:sub)%",
    "method": "%REQ(:METHOD)%",
    "host": "%REQ(:AUTHORITY)%",
    "response_code": "%RESPONSE_CODE%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "reason": "%RESPONSE_CODE_DETAILS%",
}


def _at_end(log: Any) -> Any:
    """Have one record for a connection: loggers are told of its beginning, too."""
    log.filter.CopyFrom(log_filters.all_of(log_filters.at_end(), log.filter))
    return log


def _by(key: str, rules: str) -> Mapping[str, str]:
    """Say which rule decided, as the filter that did so noted it."""
    return _rule(f"metadata.filter_metadata['{rules}']['{key}']")


def _rule(expression: str) -> Mapping[str, str]:
    """Take a rule's name apart; both parts are missing where no rule decided."""
    extract = f"%CEL(re.extract({expression}, '{_RULE}', '{{}}'))%"
    return {"policy": extract.format("\\\\1/\\\\2"), "rule": extract.format("\\\\3")}


def _http_refusals() -> Any:
    """Say which requests were refused: by rules of policies, by authorizers, or because of their tokens.

    What costs most is asked last, and not of what was answered well.
    """
    by_rules = log_filters.all_of(_noted(_HTTP_RULES, _ENFORCED_RESULT), _by_policy())
    by_authorizers = accesslog_pb2.AccessLogFilter(response_flag_filter={"flags": ["UAEX"]})
    unwelcome = accesslog_pb2.AccessLogFilter(grpc_status_filter={"statuses": ["UNAUTHENTICATED", "PERMISSION_DENIED"]})
    by_tokens = log_filters.all_of(
        unwelcome, log_filters.cel("response.code_details.startsWith('jwt_authn_access_denied')")
    )
    return accesslog_pb2.AccessLogFilter(or_filter={"filters": [by_rules, by_authorizers, by_tokens]})


def _by_policy() -> Any:
    """Say that the rule that decided is a policy's; where none did, none of an ALLOW policy let the request pass."""
    message = accesslog_pb2.AccessLogFilter()
    message.metadata_filter.matcher.filter = _HTTP_RULES
    message.metadata_filter.matcher.path.add(key=_ENFORCED)
    message.metadata_filter.matcher.value.string_match.prefix = _POLICY
    message.metadata_filter.match_if_key_not_found.value = True
    return message


def _noted(rules: str, result: str) -> Any:
    """Say that rules would have refused, or did."""
    message = accesslog_pb2.AccessLogFilter()
    message.metadata_filter.matcher.filter = rules
    message.metadata_filter.matcher.path.add(key=result)
    message.metadata_filter.matcher.value.string_match.exact = "denied"
    message.metadata_filter.match_if_key_not_found.value = False
    return message


def _logs(trail: AuditTrail, fields: Mapping[str, str], of: Any) -> Iterator[Any]:
    """Say where records go."""
    if trail.path:
        yield _log("envoy.access_loggers.file", file_pb2.FileAccessLog(path=trail.path, log_format=_json(fields)), of)
    if trail.collector:
        yield _log("envoy.access_loggers.open_telemetry", _open_telemetry(trail, fields), of)


def _log(name: str, config: Any, of: Any) -> Any:
    return accesslog_pb2.AccessLog(name=name, filter=of, typed_config=typed(config))


def _json(fields: Mapping[str, str]) -> Any:
    content = Struct()
    content.update(dict(fields))
    return substitution_format_string_pb2.SubstitutionFormatString(json_format=content)


def _open_telemetry(trail: AuditTrail, fields: Mapping[str, str]) -> Any:
    message = logs_service_pb2.OpenTelemetryAccessLogConfig(disable_builtin_labels=True)
    message.common_config.log_name = trail.log_name or RECORD
    message.common_config.transport_api_version = "V3"
    where = grpc_service_pb2.GrpcService.EnvoyGrpc(cluster_name=trail.collector, authority=trail.authority)
    message.common_config.grpc_service.CopyFrom(grpc_service_pb2.GrpcService(envoy_grpc=where))
    message.body.string_value = fields["decision"]
    for name, value in sorted(fields.items()):
        message.attributes.values.add(key=name).value.string_value = value
    return message
