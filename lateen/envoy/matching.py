"""Comparisons of paths, headers and query parameters."""

from typing import Any, Final

from envoy.config.route.v3 import route_components_pb2
from envoy.type.matcher.v3 import metadata_pb2, regex_pb2, string_pb2, value_pb2

from lateen.plan.types import ClaimMatch, MatchKind, NamedMatch, RequestMatch, TextMatch

TOKENS: Final = "envoy.filters.http.jwt_authn"
"""The filter that verifies tokens, in whose metadata the claims stand under `PAYLOAD`."""

PAYLOAD: Final = "payload"


def regex(pattern: str) -> Any:
    """Say an RE2 expression that must match the whole text."""
    return regex_pb2.RegexMatcher(regex=pattern)


def string_matcher(match: TextMatch) -> Any:
    """Say a comparison of a text; `inverted` is for the caller, as Envoy has it one level up."""
    if match.kind is MatchKind.REGEX:
        return string_pb2.StringMatcher(safe_regex=regex(_with_case(match)))
    if match.kind is MatchKind.PREFIX:
        return string_pb2.StringMatcher(prefix=match.value, ignore_case=match.ignore_case)
    if match.kind is MatchKind.SUFFIX:
        return string_pb2.StringMatcher(suffix=match.value, ignore_case=match.ignore_case)
    return string_pb2.StringMatcher(exact=match.value, ignore_case=match.ignore_case)


def route_match(match: RequestMatch) -> Any:
    """Say which requests a route is for."""
    message = route_components_pb2.RouteMatch(
        headers=[header_matcher(header) for header in match.headers],
        query_parameters=[query_parameter_matcher(parameter) for parameter in match.query],
    )
    _match_path(message, match.path)
    message.dynamic_metadata.extend(map(claim_matcher, match.claims))
    return message


def claim_matcher(claim: ClaimMatch) -> Any:
    """Say a comparison of a claim, which may be one of a list; an inverted one also holds without the claim."""
    if claim.match.kind is MatchKind.PRESENT:
        text = string_pb2.StringMatcher(safe_regex=regex(".*"))
    else:
        text = string_matcher(claim.match)
    alone = value_pb2.ValueMatcher(string_match=text)
    listed = value_pb2.ValueMatcher(list_match=value_pb2.ListMatcher(one_of=alone))
    return metadata_pb2.MetadataMatcher(
        filter=TOKENS,
        path=[metadata_pb2.MetadataMatcher.PathSegment(key=key) for key in (PAYLOAD, *claim.path)],
        value=value_pb2.ValueMatcher(or_match=value_pb2.OrMatcher(value_matchers=[alone, listed])),
        invert=claim.match.inverted,
    )


def header_matcher(header: NamedMatch) -> Any:
    """Say a comparison of a header; an inverted one also holds for a request without the header."""
    match = header.match
    if match.kind is MatchKind.PRESENT:
        return route_components_pb2.HeaderMatcher(name=header.name, present_match=True, invert_match=match.inverted)
    return route_components_pb2.HeaderMatcher(
        name=header.name,
        string_match=string_matcher(match),
        invert_match=match.inverted,
        # Otherwise Envoy takes "not this value" as not met by a request without the header.
        treat_missing_header_as_empty=match.inverted,
    )


def query_parameter_matcher(parameter: NamedMatch) -> Any:
    """Say a comparison of a query parameter; Envoy knows no inverted ones."""
    if parameter.match.kind is MatchKind.PRESENT:
        return route_components_pb2.QueryParameterMatcher(name=parameter.name, present_match=True)
    return route_components_pb2.QueryParameterMatcher(name=parameter.name, string_match=string_matcher(parameter.match))


def _match_path(message: Any, path: TextMatch | None) -> None:
    """Write the path's comparison. A prefix is one of characters, not of path segments: `/rev` matches `/reviews`."""
    if path is None or path.kind is MatchKind.PRESENT:
        message.prefix = "/"
    elif path.kind is MatchKind.REGEX:
        message.safe_regex.CopyFrom(regex(_with_case(path)))
    else:
        setattr(message, "path" if path.kind is MatchKind.EXACT else "prefix", path.value)
        if path.ignore_case:
            message.case_sensitive.value = False


def _with_case(match: TextMatch) -> str:
    return f"(?i){match.value}" if match.ignore_case else match.value
