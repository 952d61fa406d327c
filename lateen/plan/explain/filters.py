"""The filters of a proxy that a request passes beside its rules, in Envoy's order, and what each makes of it.

Logins come before tokens and rules. Behind them come Mixer's rules, keys, limits of the proxy and of the mesh,
processors and changes of headers.
"""

from collections.abc import Iterable, Iterator
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qsl

from lateen import names
from lateen.plan import verdicts
from lateen.plan.diagnostics import below
from lateen.plan.explain import expressions, fitting
from lateen.plan.explain.places import Places
from lateen.plan.explain.ports import PlacedRule
from lateen.plan.explain.steps import Passage, Passed
from lateen.plan.mixer_types import Denial
from lateen.plan.processing_types import HeaderChanges, KeyCheck, Processor
from lateen.plan.rate_limit_types import Allowance, CountedLimit, RateLimits
from lateen.plan.types import AccessCondition, Attribute, Guard, Login
from lateen.plan.verdicts import Call

LOGIN: Final = "login"
MIXER: Final = "mixer"
KEY: Final = "API key"
LIMIT: Final = "rate limit"
PROCESSOR: Final = "processor"
HEADERS: Final = "headers"

_BY_SCRIPTS: Final = (("x-requested-with", "XMLHttpRequest"), ("sec-fetch-mode", "cors"))
_LOGGED_IN: Final = ("OauthHMAC", "RefreshToken")
_BEARER: Final = "Bearer "
_UNAUTHORIZED: Final = 401
_MIXER_SILENT: Final = 503
_PROCESSOR_SILENT: Final = 500


def logins(guard: Guard, call: Call, places: Places) -> Iterator[Passed]:
    """Yield what logins make of a request, up to one that answers."""
    yield from _until_answered(_login(one, call, places) for one in guard.logins)


def others(guard: Guard, rules: Iterable[PlacedRule], call: Call, places: Places) -> Iterator[Passed]:
    """Yield what the filters behind the rules make of a request, up to one that answers."""
    yield from _until_answered(_others(guard, rules, call, places))


def connections(guard: Guard, rules: Iterable[PlacedRule], call: Call, places: Places) -> Iterator[Passed]:
    """Yield what is decided about a connection that nobody looks into, up to what closes it."""
    denials = guard.mixer.connections.denials if guard.mixer is not None else ()
    yield from _until_answered((*_mixer_rules(rules, call, places), *_denied(denials, call, places, status=False)))


def mixer_rules(rules: Iterable[PlacedRule], call: Call, places: Places) -> Iterator[Passed]:
    """Yield which rules of Mixer are about a call, and where their actions are carried out."""
    return _mixer_rules(rules, call, places)


def _until_answered(steps: Iterable[Passed]) -> Iterator[Passed]:
    for step in steps:
        yield step
        if step.result is Passage.ANSWERS:
            return


def _others(guard: Guard, rules: Iterable[PlacedRule], call: Call, places: Places) -> Iterator[Passed]:
    yield from _mixer_rules(rules, call, places)
    if guard.mixer is not None:
        yield from _denied(guard.mixer.requests.denials, call, places, status=True)
        if guard.mixer.requests.remote is not None:
            remote = guard.mixer.requests.remote
            for rule in remote.rules:
                found = fitting.fits(rule.when, call)
                silent = "passes" if remote.fails_open else f"is answered {_MIXER_SILENT}"
                says = (
                    f"the Mixer process is asked for {_rule_name(rule.name)}; where it cannot be reached, it {silent}"
                )
                if found is not False:
                    yield Passed(MIXER, says, Passage.MAY, 0, places.of(rule.origin))
    yield from (_key(one, call, places) for one in guard.api_keys)
    for limits in (*(one for one in guard.limits if one.mesh is None), *(one for one in guard.limits if one.mesh)):
        yield from (_limit(limits, one, position, call, places) for position, one in enumerate(limits.limits))
    yield from (_processor(one, call, places) for one in guard.processors)
    yield from (_changes(one, places) for one in guard.headers)


def _login(login: Login, call: Call, places: Places) -> Passed:
    place = places.of(login.origin)
    path = call.path.partition("?")[0]
    own = path in (login.redirect_path, login.logout_path)
    if not (_any(login, "hosts", Attribute.HOST, call) and (own or _any(login, "paths", Attribute.PATH, call))):
        return Passed(LOGIN, f"{login.name} is not for this host and path", Passage.NOT, 0, place)
    if login.excluded_paths and _any(login, "excluded_paths", Attribute.PATH, call):
        return Passed(LOGIN, f"{login.name} leaves this path out", Passage.NOT, 0, place)
    if path == login.logout_path:
        return Passed(LOGIN, f"{login.name} ends the login and redirects", Passage.ANSWERS, 302, place)
    if path == login.redirect_path:
        says = f"{login.name} takes what the provider sends back: 302 where it is good, else 401"
        return Passed(LOGIN, says, Passage.MAY, 0, place)
    if call.claims is not None:
        return Passed(LOGIN, f"{login.name}: logged in, with these claims", Passage.PASSES, 0, place)
    if any(login.cookie(purpose) in _cookies(call) for purpose in _LOGGED_IN):
        return Passed(LOGIN, f"{login.name}: passes if its cookies are still good, else 302", Passage.MAY, 0, place)
    known = expressions.headers(call)
    if any(known.get(name) == value for name, value in _BY_SCRIPTS):
        return Passed(LOGIN, f"{login.name}: scripts cannot log in", Passage.ANSWERS, _UNAUTHORIZED, place)
    says = f"{login.name} sends who has not logged in to {login.authorization_endpoint}"
    return Passed(LOGIN, says, Passage.ANSWERS, 302, place)


def _any(login: Login, field: str, attribute: Attribute, call: Call) -> bool:
    patterns = getattr(login, field)
    return not patterns or verdicts.holds(AccessCondition(attribute, patterns), call)


def _mixer_rules(rules: Iterable[PlacedRule], call: Call, places: Places) -> Iterator[Passed]:
    for rule in rules:
        found = fitting.fits(rule.when, call)
        if found is True and not rule.is_exact:
            found = None
        asked = f" ({rule.match})" if rule.match else ""
        if found is False:
            yield Passed(MIXER, f"rule {rule.name} does not match{asked}", Passage.NOT, 0, places.of(rule.origin))
            continue
        matches = "matches" if found else "may match"
        for action in rule.actions:
            why = f", {action.why}" if action.why else ""
            says = f"rule {rule.name} {matches}{asked}: {action.what}: {action.where}{why}"
            yield Passed(MIXER, says, Passage.PASSES, 0, places.of(action.origin))


def _denied(denials: Iterable[Denial], call: Call, places: Places, *, status: bool) -> Iterator[Passed]:
    """Yield the denials that fit, in the order in which the proxy asks them: that of their names."""
    for denial in sorted(denials, key=lambda one: one.name):
        found = fitting.fits(denial.when, call)
        text = "".join(part for part in denial.reply.text if isinstance(part, str))
        if found is not False:
            result = Passage.ANSWERS if found else Passage.MAY
            says = f"{_rule_name(denial.name)} {'refuses' if found else 'may refuse'} it: {text}"
            yield Passed(MIXER, says, result, denial.reply.status if status else 0, places.of(denial.origin))


def _rule_name(name: str) -> str:
    """Return what users call a rule that proxies have by its place: `mixer-0001-NAME-00.00`."""
    words = name.split("-")
    return f"rule {'-'.join(words[2:-1] if '.' in words[-1] else words[2:])}"


def _key(check: KeyCheck, call: Call, places: Places) -> Passed:
    """Look for a key as the proxy does: the first place that has one counts."""
    place = places.of(check.origin)
    shown = next(filter(None, (_shown_key(one.header, one.query, one.cookie, call) for one in check.places)), "")
    if not shown:
        where = ", ".join(
            f"{kind} {name}" for one in check.places for kind, name in _where(one.header, one.query, one.cookie)
        )
        return Passed(KEY, f"{check.name} finds no key in {where}", Passage.ANSWERS, _UNAUTHORIZED, place)
    client = next((client for client, key in check.clients if key == shown), None)
    if client is None:
        return Passed(
            KEY, f"{check.name} knows no client with the key that is shown", Passage.ANSWERS, _UNAUTHORIZED, place
        )
    return Passed(
        KEY, f"{check.name}: the key of client {client}, told on as {check.client_header}", Passage.PASSES, 0, place
    )


def _where(header: str, query: str, cookie: str) -> Iterator[tuple[str, str]]:
    if header:
        yield "header", header
    if query:
        yield "query parameter", query
    if cookie:
        yield "cookie", cookie


def _shown_key(header: str, query: str, cookie: str, call: Call) -> str:
    if header:
        found = call.headers.get(header.lower(), "")
        return (found if isinstance(found, str) else next(iter(found), "")).removeprefix(_BEARER)
    if query:
        return dict(reversed(parse_qsl(call.path.partition("?")[2], keep_blank_values=True))).get(query, "")
    return _cookies(call).get(cookie, "")


def _cookies(call: Call) -> dict[str, str]:
    try:
        return {name: one.value for name, one in SimpleCookie(expressions.headers(call).get("cookie", "")).items()}
    except CookieError:
        return {}


def _limit(limits: RateLimits, limit: CountedLimit, position: int, call: Call, places: Places) -> Passed:
    origin = limits.origin
    place = places.of(origin if origin is None or origin.path != "spec" else below(origin, f"limits[{position}]"))
    counted = fitting.counts(limit.requests, call)
    if counted is False:
        return Passed(LIMIT, f"{limit.name} does not count this request", Passage.NOT, 0, place)
    values = tuple(fitting.told_apart_by(one, call) for one in limit.dimensions)
    allowance = _allowance(limit, values)
    where = "for the whole mesh" if limits.mesh is not None else "by each proxy for itself"
    by = ", ".join(f"{one}={'?' if text is None else text}" for one, text in zip(limit.dimensions, values, strict=True))
    bucket = f"{limit.name}{f' by {by}' if by else ''}, counted {where}"
    if allowance is None:
        return Passed(LIMIT, f"{bucket}: unlimited", Passage.PASSES, 0, place)
    may = "" if counted else " if it counts, which depends on what is not known"
    if limits.tried:
        return Passed(
            LIMIT, f"{bucket}: {allowance.rate}, which refuses nobody (dryRun){may}", Passage.PASSES, 0, place
        )
    if limit.cost > allowance.at_once and counted:
        says = f"{bucket}: it counts as {limit.cost} requests, more than {allowance.rate} lets through at all"
        return Passed(LIMIT, says, Passage.ANSWERS, limits.status, place)
    silent = "" if limits.mesh is None or limits.mesh.fails_open else "; 503 when nobody counts"
    says = f"{bucket}: {_said(allowance)}, beyond it {limits.status}{silent}{may}"
    return Passed(LIMIT, says, Passage.LIMITS, limits.status, place)


def _said(allowance: Allowance) -> str:
    return f"{allowance.rate}" + (f", {allowance.burst} at once" if allowance.burst else "")


def _allowance(limit: CountedLimit, values: tuple[str | None, ...]) -> Allowance | None:
    """Choose the bucket as the proxy does: the first override that fits, else the limit's own."""
    for override in limit.overrides:
        if all(values[position] == text for position, text in override.values):
            return override.allowance
    return limit.allowance


def _processor(processor: Processor, call: Call, places: Places) -> Passed:
    place = places.of(processor.origin)
    concerned = fitting.counts(processor.requests, call)
    if concerned is False:
        return Passed(PROCESSOR, f"{processor.name} is not shown this request", Passage.NOT, 0, place)
    silent = "passes" if processor.fails_open else f"is answered {_PROCESSOR_SILENT}"
    if processor.cluster == names.BLACK_HOLE_CLUSTER:
        result = Passage.PASSES if processor.fails_open else Passage.ANSWERS
        status = 0 if processor.fails_open else _PROCESSOR_SILENT
        return Passed(
            PROCESSOR, f"the server of {processor.name} is not known: the request {silent}", result, status, place
        )
    says = (
        f"{processor.name} is shown it at {processor.authority}, and may change or answer it; "
        f"without an answer in time the request {silent}"
    )
    return Passed(PROCESSOR, says, Passage.MAY, 0, place)


def _changes(changes: HeaderChanges, places: Places) -> Passed:
    said = [f"{one.action.value} {one.name} of the request" for one in changes.request]
    said += [f"{one.action.value} {one.name} of the response" for one in changes.response]
    return Passed(HEADERS, ", ".join(said), Passage.PASSES, 0, places.of(changes.origin))
