"""Sessions that stay: with their endpoint, and with their share of a split."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from lateen.api.objects import ConfigObject
from lateen.api.traffic.session_persistence import SessionPersistence
from lateen.plan.destination_types import Session
from lateen.plan.types import Forward, HeaderOperations, MatchKind, NamedMatch, Route, Target, TextMatch

_DIGEST_BYTES: Final = 6


def session(written: ConfigObject[SessionPersistence] | None) -> Session | None:
    """Read how a host's sessions are known; None where nobody asks for them."""
    if written is None:
        return None
    spec = written.spec
    if spec.cookie is None:
        return Session(header=spec.header or "", strict=spec.strict)
    return Session(spec.cookie.name, spec.cookie.path, spec.cookie.ttl, strict=spec.strict)


def with_pins(route: Route) -> Iterator[Route]:
    """Yield a route after those that keep sessions with the branch of its split that they were given to.

    The branch is in a second cookie. A session whose branch is gone, or has no share any more, is given to another.
    """
    action = route.action
    kept = action.session if isinstance(action, Forward) and len(action.targets) > 1 else None
    if isinstance(action, Forward) and kept is not None and kept.cookie:
        for target in action.targets:
            yield _pinned(route, action, kept, target)
        marked = tuple(_marked(target, kept) for target in action.targets)
        route = replace(route, action=replace(action, targets=marked))
    yield route


def branch_cookie(session: Session) -> str:
    """Name the cookie that says which branch of a split a session was given to."""
    return f"{session.cookie}-branch"


def _pinned(route: Route, action: Forward, kept: Session, target: Target) -> Route:
    given = re.escape(f"{branch_cookie(kept)}={_branch(target)}")
    match = NamedMatch("cookie", TextMatch(MatchKind.REGEX, rf"(.*;\s*)?{given}(\s*;.*)?"))
    return replace(
        route,
        match=replace(route.match, headers=(*route.match.headers, match)),
        action=replace(action, targets=(replace(target, weight=1),)),
    )


def _marked(target: Target, kept: Session) -> Target:
    """Have a branch tell its new sessions that they belong to it."""
    age = f"; Max-Age={int(kept.ttl.total_seconds())}" if kept.ttl is not None else ""
    cookie = f"{branch_cookie(kept)}={_branch(target)}; Path={kept.path}{age}; HttpOnly"
    operations = target.response_headers
    added = HeaderOperations(operations.set, (*operations.add, ("set-cookie", cookie)), operations.remove)
    return replace(target, response_headers=added)


def _branch(target: Target) -> str:
    """Name a branch for outsiders: by what does not change with its share, and does not tell how the mesh is made."""
    return hashlib.blake2b(target.cluster.encode(), digest_size=_DIGEST_BYTES).hexdigest()
