"""What an http rule does with the requests that match: forward, redirect or answer; and what it changes in them."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

from lateen.api.networking import virtual_service as api
from lateen.api.networking.virtual_service import HttpRedirect, HttpRoute, PortDerivation
from lateen.plan import defaults, destinations
from lateen.plan.destinations import Dangling, Share, Site
from lateen.plan.diagnostics import Doubt
from lateen.plan.matches import text_match
from lateen.plan.types import (
    NO_HEADER_OPERATIONS,
    Action,
    CorsRules,
    Fault,
    Forward,
    HashKey,
    HeaderOperations,
    MatchKind,
    Mirror,
    Redirect,
    Respond,
    Retry,
    Rewrite,
    Target,
    TextMatch,
)

NOWHERE: Final = Respond(503, b"no destination of the route exists")
_AUTHORITY: Final = ("host", ":authority")
_ALWAYS: Final = 100.0


def action(rule: HttpRoute, site: Site) -> Action:
    """Settle what a rule does at a site; `with_rewrite` adds to a forward what depends on the match."""
    if rule.redirect is not None:
        return redirect(rule.redirect, site.port)
    if rule.direct_response is not None:
        return _respond(rule.direct_response)
    split = destinations.shares(rule.route, site)
    if not split:
        return NOWHERE
    keys = _hash_keys(split)
    return Forward(
        targets=tuple(_target(rule, share) for share in split),
        timeout=rule.timeout or None,
        retry=sticky(defaults.retry(rule.retries, site.directory.defaults.retry), keys),
        mirrors=tuple(_mirrors(rule, site)),
        hash_keys=keys,
        session=next((share.found.session for share in split if share.found.session), None),
        resolves_host=any(share.found.resolves for share in split),
    )


def with_rewrite(settled: Action, rule: HttpRoute, path: TextMatch | None) -> Action:
    """Add a rule's rewrite to a forward, for the requests that `path` matched.

    After a prefix match (`/` when there is none) `rewrite.uri` replaces the prefix, otherwise the whole path.
    """
    if not isinstance(settled, Forward):
        return settled
    authority = _set_authority(rule.headers.request if rule.headers else None)
    written = rule.rewrite
    if written is None:
        return replace(settled, rewrite=Rewrite(authority=authority)) if authority else settled
    by_prefix = path is None or path.kind is MatchKind.PREFIX
    regex = written.uri_regex_rewrite
    return replace(
        settled,
        rewrite=Rewrite(
            path="" if by_prefix else written.uri,
            prefix=written.uri if by_prefix else "",
            authority=written.authority or authority,
            regex=regex.match if regex else "",
            substitution=regex.rewrite if regex else "",
        ),
    )


def redirect(written: HttpRedirect, port: int) -> Redirect:
    """Settle a redirect; `port` is the one that clients call, for a redirect that keeps it."""
    keeps = written.derive_port is PortDerivation.FROM_REQUEST_PORT
    return Redirect(
        code=written.redirect_code,
        scheme=written.scheme,
        authority=written.authority,
        port=port if keeps else written.port,
        path=written.uri,
        prefix=written.prefix_rewrite,
        keeps_request_port=keeps,
    )


def fault(written: api.HttpFault | None, site: Site) -> Fault | None:
    """Settle the faults of a rule; a share that nobody gave is none, as in Istio."""
    if written is None:
        return None
    delay, delay_percent = _delay(written.delay, site)
    status, grpc_status, abort_percent = _abort(written.abort, site)
    if delay is None and status is None and grpc_status is None:
        return None
    return Fault(delay, delay_percent, status, grpc_status, abort_percent)


def cors(written: api.CorsPolicy | None) -> CorsRules | None:
    """Settle the cross-origin rules of a rule."""
    if written is None:
        return None
    exact = tuple(TextMatch(MatchKind.EXACT, origin) for origin in written.allow_origin)
    return CorsRules(
        origins=exact + tuple(text_match(match) for match in written.allow_origins),
        methods=written.allow_methods,
        headers=written.allow_headers,
        exposed=written.expose_headers,
        max_age=written.max_age,
        credentials=written.allow_credentials,
        forwards_unmatched_preflights=written.unmatched_preflights is not api.UnmatchedPreflights.IGNORE,
    )


def header_operations(written: api.HeaderOperations | None) -> HeaderOperations:
    """Settle changes to headers. Setting the host is not among them: it is a rewrite of the authority."""
    if written is None:
        return NO_HEADER_OPERATIONS
    return HeaderOperations(
        set=tuple((name, value) for name, value in written.set.items() if name.lower() not in _AUTHORITY),
        add=tuple((name, value) for name, value in written.add.items() if name.lower() not in _AUTHORITY),
        remove=written.remove,
    )


def _set_authority(written: api.HeaderOperations | None) -> str:
    if written is None:
        return ""
    return next((value for name, value in written.set.items() if name.lower() in _AUTHORITY), "")


def _respond(written: api.HttpDirectResponse) -> Respond:
    body = written.body
    if body is None:
        return Respond(written.status)
    if body.string is not None:
        return Respond(written.status, body.string.encode())
    text = (body.bytes or "").replace("-", "+").replace("_", "/")
    return Respond(written.status, base64.b64decode(text + "=" * (-len(text) % 4)))


def _target(rule: HttpRoute, share: Share) -> Target:
    headers = rule.route[share.position].headers
    request = headers.request if headers else None
    return Target(
        cluster=share.found.cluster,
        weight=share.weight,
        request_headers=header_operations(request),
        response_headers=header_operations(headers.response if headers else None),
        authority=_set_authority(request),
    )


def _hash_keys(split: tuple[Share, ...]) -> tuple[HashKey, ...]:
    return tuple(dict.fromkeys(key for share in split for key in share.found.hash_keys))


def sticky(retry: Retry, keys: tuple[HashKey, ...]) -> Retry:
    """Let a retry go to the same endpoint again where requests are bound to endpoints by hashing."""
    return replace(retry, avoids_previous_hosts=False) if keys else retry


def _mirrors(rule: HttpRoute, site: Site) -> Iterator[Mirror]:
    for path, destination, percent in _written_mirrors(rule):
        found = site.find(destination)
        if isinstance(found, Dangling):
            site.note(path, f"{found.reason}; nothing is mirrored there", found.code)
        elif percent > 0:
            yield Mirror(found.cluster, percent)


def _written_mirrors(rule: HttpRoute) -> Iterator[tuple[str, api.Destination, float]]:
    if rule.mirror is not None:
        whole = 100 if rule.mirror_percent is None else rule.mirror_percent
        yield "mirror", rule.mirror, _percent(rule.mirror_percentage, whole)
    for position, mirror in enumerate(rule.mirrors):
        yield f"mirrors[{position}].destination", mirror.destination, _percent(mirror.percentage, 100)


def _percent(percentage: api.Percent | None, otherwise: float) -> float:
    return float(otherwise) if percentage is None else percentage.value


def _delay(delay: api.FaultDelay | None, site: Site) -> tuple[timedelta | None, float]:
    if delay is None:
        return None, _ALWAYS
    if delay.fixed_delay is None:
        site.note("fault.delay.exponentialDelay", "has no effect, as in Istio: give fixedDelay")
        return None, _ALWAYS
    percent = _percent(delay.percentage, delay.percent or 0)
    if percent == 0:
        site.note("fault.delay", "never acts: percentage is 0 or missing", Doubt.NEVER_ACTS)
        return None, _ALWAYS
    return delay.fixed_delay, percent


def _abort(abort: api.FaultAbort | None, site: Site) -> tuple[int | None, int | None, float]:
    if abort is None:
        return None, None, _ALWAYS
    if abort.http2_error is not None:
        site.note("fault.abort.http2Error", "has no effect, as in Istio: give httpStatus or grpcStatus")
        return None, None, _ALWAYS
    percent = _percent(abort.percentage, 0)
    if percent == 0:
        site.note("fault.abort", "never acts: percentage is 0 or missing", Doubt.NEVER_ACTS)
        return None, None, _ALWAYS
    grpc_status = api.GRPC_STATUSES.index(abort.grpc_status) if abort.grpc_status is not None else None
    return abort.http_status, grpc_status, percent
