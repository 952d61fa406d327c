"""Whose tokens are believed: RequestAuthentications in the plan's words."""

from collections.abc import Iterable

from lateen.api.objects import ConfigObject
from lateen.api.security.request_authentication import JwtRule, RequestAuthentication
from lateen.plan.diagnostics import Doubt, Notes
from lateen.plan.directory import Directory
from lateen.plan.types import Origin, TokenIssuer


def issuers(
    policies: Iterable[ConfigObject[RequestAuthentication]], directory: Directory, notes: Notes
) -> tuple[TokenIssuer, ...]:
    """Return the issuers of all policies together: each policy adds its own."""
    found: dict[TokenIssuer, None] = {}
    for policy in policies:
        for position, rule in enumerate(policy.spec.jwt_rules):
            origin = Origin(policy.key, f"spec.jwtRules[{position}]")
            found[issuer(rule, origin, directory, notes)] = None
    return tuple(found)


def issuer(rule: JwtRule, origin: Origin, directory: Directory, notes: Notes) -> TokenIssuer:
    """Return one issuer with its keys as far as they are known."""
    return _issuer(rule, _keys(rule, origin, directory, notes), origin)


def _keys(rule: JwtRule, origin: Origin, directory: Directory, notes: Notes) -> str:
    """Return the keys of a rule: its own, else the ones that were fetched; what is wrong with those is noted."""
    if rule.jwks is not None:
        return directory.cache.recall("own keys", (rule,), (), lambda: rule.own_keys)
    known = next((one for one in directory.view.key_sets if one.url == rule.keys_url), None)
    if known is None:
        notes.add(
            origin, f"every token is refused: the keys of {rule.keys_url} have not been fetched yet", Doubt.NO_KEYS
        )
        return ""
    if known.failure and known.keys:
        notes.add(origin, f"the keys that were fetched last go on to count: {known.failure}", Doubt.NO_KEYS)
    elif known.failure:
        notes.add(origin, f"every token is refused: there are no keys: {known.failure}", Doubt.NO_KEYS)
    return known.keys


def _issuer(rule: JwtRule, keys: str, origin: Origin) -> TokenIssuer:
    return TokenIssuer(
        issuer=rule.issuer,
        keys=keys,
        audiences=rule.audiences,
        headers=tuple((header.name, header.prefix) for header in rule.from_headers),
        params=rule.from_params,
        cookies=rule.from_cookies,
        payload_header=rule.output_payload_to_header or "",
        claim_headers=tuple((output.header, output.claim) for output in rule.output_claim_to_headers),
        forwards_token=rule.forward_original_token,
        space_delimited_claims=rule.space_delimited_claims,
        origin=origin,
    )
