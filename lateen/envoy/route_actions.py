"""What a route does with a request: forward or redirect it."""

import re
from datetime import timedelta
from typing import Any, Final

from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2
from envoy.extensions.retry.priority.previous_priorities.v3 import previous_priorities_config_pb2
from envoy.type.matcher.v3 import regex_pb2

from lateen.envoy import headers
from lateen.envoy.matching import regex
from lateen.envoy.values import NONE_AT_ALL, duration, runtime_fraction, typed
from lateen.plan.types import NO_HEADER_OPERATIONS, Forward, HashKey, Mirror, Redirect, Retry, Rewrite, Target

_HOST_SELECTION_ATTEMPTS: Final = 5
_ENVOY_BACKOFF: Final = timedelta(milliseconds=25)
_WHOLE_PATH: Final = "^.*$"
_REDIRECT_CODES: Final = {
    301: route_components_pb2.RedirectAction.MOVED_PERMANENTLY,
    302: route_components_pb2.RedirectAction.FOUND,
    303: route_components_pb2.RedirectAction.SEE_OTHER,
    307: route_components_pb2.RedirectAction.TEMPORARY_REDIRECT,
    308: route_components_pb2.RedirectAction.PERMANENT_REDIRECT,
}


def route_action(plan: Forward) -> Any:
    """Say where a request is forwarded to and how."""
    timeout = duration(plan.timeout or NONE_AT_ALL)
    message = route_components_pb2.RouteAction(
        timeout=timeout,
        request_mirror_policies=[_mirror_policy(mirror) for mirror in plan.mirrors],
        hash_policy=[_hash_policy(key) for key in plan.hash_keys],
    )
    if plan.timeout is None:
        # A gRPC client's own deadline counts. Beside a timeout this setting would make Envoy pass over the timeout.
        message.max_stream_duration.grpc_timeout_header_max.CopyFrom(timeout)
    _aim(message, plan.targets)
    if plan.rewrite is not None:
        _rewrite(message, plan.rewrite)
    if plan.appends_host:
        message.append_x_forwarded_host = True
    if plan.retry is not None and plan.retry.attempts > 0:
        message.retry_policy.CopyFrom(retry_policy(plan.retry))
    return message


def redirect_action(plan: Redirect) -> Any:
    """Say where a client is sent instead."""
    message = route_components_pb2.RedirectAction(
        response_code=_REDIRECT_CODES[plan.code], host_redirect=plan.authority, port_redirect=plan.port or 0
    )
    if plan.scheme:
        message.scheme_redirect = plan.scheme
    if plan.path:
        message.path_redirect = plan.path
    elif plan.prefix:
        message.prefix_rewrite = plan.prefix
    return message


def retry_policy(plan: Retry) -> Any:
    """Say when a request is tried again, and that it goes elsewhere then."""
    message = route_components_pb2.RetryPolicy(
        retry_on=",".join(plan.conditions), retriable_status_codes=plan.status_codes
    )
    message.num_retries.value = plan.attempts
    if plan.per_try_timeout is not None:
        message.per_try_timeout.CopyFrom(duration(plan.per_try_timeout))
    if plan.backoff != _ENVOY_BACKOFF:
        message.retry_back_off.base_interval.CopyFrom(duration(plan.backoff))
    if plan.avoids_previous_hosts:
        predicate = message.retry_host_predicate.add(name="envoy.retry_host_predicates.previous_hosts")
        predicate.typed_config.CopyFrom(typed(previous_hosts_pb2.PreviousHostsPredicate()))
        message.host_selection_retry_max_attempts = _HOST_SELECTION_ATTEMPTS
    if plan.crosses_localities:
        message.retry_priority.name = "envoy.retry_priorities.previous_priorities"
        priorities = previous_priorities_config_pb2.PreviousPrioritiesConfig(update_frequency=2)
        message.retry_priority.typed_config.CopyFrom(typed(priorities))
    return message


def _aim(message: Any, targets: tuple[Target, ...]) -> None:
    """Write the destinations: one that has no changes of its own stands alone, all others are weighted."""
    if len(targets) == 1 and _is_plain(targets[0]):
        message.cluster = targets[0].cluster
        if targets[0].authority:
            message.host_rewrite_literal = targets[0].authority
        return
    message.weighted_clusters.clusters.extend(_cluster_weight(target, sole=len(targets) == 1) for target in targets)


def _is_plain(target: Target) -> bool:
    return target.request_headers == NO_HEADER_OPERATIONS and target.response_headers == NO_HEADER_OPERATIONS


def _cluster_weight(target: Target, sole: bool) -> Any:
    message = route_components_pb2.WeightedCluster.ClusterWeight(name=target.cluster)
    message.weight.value = target.weight or int(sole)
    headers.add_request_headers(message, target.request_headers)
    headers.add_response_headers(message, target.response_headers)
    if target.authority:
        message.host_rewrite_literal = target.authority
    return message


def _rewrite(message: Any, plan: Rewrite) -> None:
    """Write how path and authority are changed; at most one of the ways to change the path is planned."""
    if plan.authority:
        message.host_rewrite_literal = plan.authority
    if plan.regex:
        message.regex_rewrite.CopyFrom(_regex_rewrite(plan.regex, plan.substitution))
    elif plan.path:
        message.regex_rewrite.CopyFrom(_regex_rewrite(_WHOLE_PATH, _literal_substitution(plan.path)))
    elif plan.prefix:
        message.prefix_rewrite = plan.prefix


def _regex_rewrite(pattern: str, substitution: str) -> Any:
    return regex_pb2.RegexMatchAndSubstitute(pattern=regex(pattern), substitution=substitution)


def _literal_substitution(text: str) -> str:
    return re.sub(r"\\", r"\\\\", text)


def _mirror_policy(mirror: Mirror) -> Any:
    """Say a copy of the requests, to the host that they were for; it has no `-shadow` suffix, as in Istio today."""
    message = route_components_pb2.RouteAction.RequestMirrorPolicy(
        cluster=mirror.cluster, disable_shadow_host_suffix_append=True
    )
    message.runtime_fraction.CopyFrom(runtime_fraction(mirror.percent))
    return message


def _hash_policy(key: HashKey) -> Any:
    message = route_components_pb2.RouteAction.HashPolicy()
    if key.header:
        message.header.header_name = key.header
    elif key.cookie:
        message.cookie.name = key.cookie
        message.cookie.path = key.cookie_path
        if key.cookie_ttl is not None:
            message.cookie.ttl.CopyFrom(duration(key.cookie_ttl))
        for name, value in key.cookie_attributes:
            message.cookie.attributes.add(name=name, value=value)
    elif key.query:
        message.query_parameter.name = key.query
    else:
        message.connection_properties.source_ip = key.source_ip
    return message
