"""What a route makes of a request's path, and where a redirect sends it."""

import re

from lateen.plan.explain.requests import USUAL_PORTS, Request
from lateen.plan.types import MatchKind, Redirect, RequestMatch, Rewrite


def path(rewrite: Rewrite, match: RequestMatch, whole: str) -> str:
    """Return a path, with its query, as it is forwarded."""
    before, mark, query = whole.partition("?")
    if rewrite.regex:
        before = re.sub(rewrite.regex, rewrite.substitution, before)
    return _replaced(before, match, rewrite.path, rewrite.prefix) + mark + query


def location(action: Redirect, match: RequestMatch, request: Request, authority: str) -> str:
    """Compose where a redirect points to."""
    scheme = action.scheme or request.scheme
    host, _, written = authority.partition(":")
    where = (action.authority or host) + _port(action, request, written)
    before, mark, query = request.path.partition("?")
    after = _replaced(before, match, action.path, action.prefix)
    return f"{scheme}://{where}{after}{mark}{query}"


def _port(action: Redirect, request: Request, written: str) -> str:
    """Return the port of a redirect: its own, else the request's, which a new scheme loses where it was the usual."""
    if action.port:
        return f":{action.port}"
    if not written or action.authority:
        return ""
    return "" if action.scheme and int(written) == USUAL_PORTS[request.scheme] else f":{written}"


def _replaced(before: str, match: RequestMatch, new_path: str, new_prefix: str) -> str:
    if new_path:
        return new_path
    if not new_prefix:
        return before
    if match.path is not None and match.path.kind is not MatchKind.PREFIX:
        return new_prefix  # an exact path or an expression has matched the whole
    matched = match.path.value if match.path is not None else "/"
    return new_prefix + before[len(matched) :]
