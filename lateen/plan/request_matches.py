"""Which requests a policy is about, in the plan's words."""

from lateen.api.policy.request_match import RequestMatch
from lateen.plan import access, matches
from lateen.plan.rate_limit_types import CountedRequests
from lateen.plan.types import NamedMatch


def requests(written: RequestMatch) -> CountedRequests:
    """Say which requests a `match` means."""
    return CountedRequests(
        hosts=tuple(access.host_pattern(text.lower()) for text in written.hosts),
        methods=tuple(map(access.wildcard, written.methods)),
        paths=tuple(map(access.path_pattern, written.paths)),
        headers=tuple(NamedMatch(name.lower(), matches.text_match(one)) for name, one in written.headers.items()),
        query=tuple(NamedMatch(name, matches.text_match(one)) for name, one in written.query_params.items()),
        condition=written.when or "",
    )
