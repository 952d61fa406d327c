"""Parts of a plan in a few words for people."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from lateen.plan import describe, plain
from lateen.plan.destination_types import Distribution, Spread, ZoneAwareness
from lateen.plan.explain.places import Places
from lateen.plan.explain.steps import Setting
from lateen.plan.types import (
    Balancing,
    Cluster,
    Fault,
    Forward,
    HashKey,
    HeaderOperations,
    Limits,
    Origin,
    RequestMatch,
    Retry,
    Rewrite,
    Route,
)

NONE: Final = "none"
_RULE: Final = re.compile(r"^spec\.http\[\d+\]")
_BOUNDS: Final = {
    "connections": "connections",
    "pending_requests": "requests waiting for a connection",
    "requests": "requests at once",
    "retries": "retries at once",
    "requests_per_connection": "requests on a connection",
    "concurrent_streams": "streams on a connection",
}


def condition(match: RequestMatch) -> str:
    """Say what a route asks of a request."""
    asked = describe.match(match)
    return ", ".join(f"{what} {how}" for what, how in asked.items()) or "every request"


def rule_of(origin: Origin | None) -> Origin | None:
    """Return the http rule that a route, which may be one of several matches of it, belongs to."""
    found = _RULE.match(origin.path) if origin is not None else None
    return Origin(origin.key, found.group()) if origin is not None and found else origin


def route_settings(route: Route, places: Places) -> Iterator[Setting]:
    """Yield what a route does beside choosing where a request goes."""
    rule = rule_of(route.origin)
    for path, text in _written_settings(route):
        origin = Origin(rule.key, f"{rule.path}.{path}") if rule is not None and rule.path else None
        if origin is None or not places.is_written(origin):
            yield Setting(path, f"{text}, by default" if text != NONE else text)
        else:
            yield Setting(path, text, places.of(origin))
    if isinstance(route.action, Forward):
        yield from _settings_of_destinations(route.action)


def _written_settings(route: Route) -> Iterator[tuple[str, str]]:
    """Yield what a rule's own fields say, by field."""
    if route.fault is not None:
        yield "fault", fault(route.fault)
    if isinstance(route.action, Forward):
        action = route.action
        if action.rewrite is not None:
            yield "rewrite", rewrite(action.rewrite)
        yield "timeout", duration(action.timeout) if action.timeout else NONE
        if action.retry is not None:
            yield "retries", retry(action.retry)
    for path, operations in (("headers.request", route.request_headers), ("headers.response", route.response_headers)):
        if text := header_operations(operations):
            yield path, text
    if route.cors is not None:
        yield "corsPolicy", "answers preflight requests"


def _settings_of_destinations(action: Forward) -> Iterator[Setting]:
    """Yield what the destinations' own policies make of a route."""
    if action.hash_keys:
        yield Setting("consistent hash", " or ".join(map(hash_key, action.hash_keys)))
    if action.session is not None:
        by = f"cookie {action.session.cookie}" if action.session.cookie else f"header {action.session.header}"
        yield Setting("session", f"stays with the endpoint that {by} names")
    if action.resolves_host:
        yield Setting("DNS", "the proxy resolves the request's own host")


def fault(found: Fault) -> str:
    """Say which failure is made on purpose, and how often."""
    parts = []
    if found.delay is not None:
        parts.append(f"delays {found.delay_percent:g}% by {duration(found.delay)}")
    if found.abort_status is not None:
        parts.append(f"answers {found.abort_percent:g}% with {found.abort_status}")
    if found.abort_grpc_status is not None:
        parts.append(f"answers {found.abort_percent:g}% with gRPC status {found.abort_grpc_status}")
    return ", ".join(parts)


def rewrite(found: Rewrite) -> str:
    """Say what is changed in path and authority."""
    parts = []
    if found.path:
        parts.append(f"path to {found.path}")
    if found.prefix:
        parts.append(f"prefix to {found.prefix}")
    if found.regex:
        parts.append(f"what {found.regex} matches to {found.substitution}")
    if found.authority:
        parts.append(f"authority to {found.authority}")
    return ", ".join(parts)


def retry(found: Retry) -> str:
    """Say when and how often is tried again."""
    if not found.attempts:
        return NONE
    codes = tuple(map(str, found.status_codes))
    text = f"up to {found.attempts} on {', '.join((*found.conditions, *codes))}"
    return text + (f", each try at most {duration(found.per_try_timeout)}" if found.per_try_timeout else "")


def hash_key(key: HashKey) -> str:
    """Say what an endpoint is chosen by."""
    if key.header:
        return f"header {key.header}"
    if key.cookie:
        return f"cookie {key.cookie}"
    return f"query parameter {key.query}" if key.query else "the client's address"


def header_operations(found: HeaderOperations) -> str:
    """Say which headers are changed."""
    parts = [f"set {name}: {value}" for name, value in found.set]
    parts += [f"add {name}: {value}" for name, value in found.add]
    return ", ".join([*parts, *(f"remove {name}" for name in found.remove)])


def cluster_settings(cluster: Cluster, places: Places) -> Iterator[Setting]:
    """Yield how an endpoint is picked, and the bounds that somebody has set."""
    place = places.of(cluster.origin)
    if cluster.balancing is not Balancing.ORIGINAL_DESTINATION:
        yield Setting("balancing", cluster.balancing.value.replace("-", " "), place)
    if bounds := limits(cluster.limits):
        yield Setting("limits", bounds, place)
    if cluster.spread is not None:
        yield Setting("localities", spread(cluster.spread), place)
    if cluster.probe is not None:
        yield Setting("health check", f"each endpoint is asked every {duration(cluster.probe.interval)}", place)
    if cluster.slow_start is not None:
        yield Setting("warm-up", f"a new endpoint gets its share after {duration(cluster.slow_start)}", place)
    if cluster.tells_client is not None:
        yield Setting("PROXY protocol", f"{cluster.tells_client.value} tells the endpoint who called", place)
    if (found := cluster.outliers) is not None:
        failures = f"{found.consecutive_5xx or found.consecutive_gateway or found.consecutive_local} failures in a row"
        yield Setting(
            "outlier detection",
            f"an endpoint with {failures} is left out for {duration(found.ejection_time)}, "
            f"at most {found.max_ejected_percent}% of them",
            place,
        )


def spread(found: Spread) -> str:
    """Say which localities come first, or get which share."""
    if isinstance(found, Distribution):
        return ", ".join(f"{share}% to {locality}" for locality, share in found.shares)
    if isinstance(found, ZoneAwareness):
        later = f", then {found.failover}" if found.failover else ""
        return f"those of the client's region first, as many calls in its zone as the zones' sizes allow{later}"
    by_labels = [f"{name}={value}" for name, value in found.labels]
    failover = f", then those of {found.failover}" if found.failover else ""
    order = f"endpoints with {', '.join(by_labels)} first" if by_labels else "the nearest endpoints first"
    return f"{order}, others when those fail{failover}"


def limits(found: Limits) -> str:
    """Say the bounds that are set, and a connect timeout that is not the usual one."""
    parts = [f"{getattr(found, name)} {what}" for name, what in _BOUNDS.items() if getattr(found, name) is not None]
    if found.connect_timeout != Limits().connect_timeout:
        parts.append(f"connect within {duration(found.connect_timeout)}")
    return ", ".join(parts)


def duration(value: timedelta) -> str:
    """Say how long."""
    return plain.duration(value)


def percent(share: float) -> str:
    """Say a share without needless digits."""
    return f"{share:.4g}%"
