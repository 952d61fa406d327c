"""Decides about calls: what the rules ask is asked of handlers, all at once, and what comes of it is remembered."""

import asyncio
import itertools
import secrets
from collections.abc import Awaitable, Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from lateen.adapters.handlers import Handlers
from lateen.api.status_codes import StatusCode
from lateen.errors import Unavailable
from lateen.mixer import check, generators
from lateen.mixer.called_api import ApiBag, called_service
from lateen.mixer.check import Question, QuotaQuestion, Verdict
from lateen.mixer.check_cache import CheckCache
from lateen.mixer.directory import Directory
from lateen.mixer.ports import CheckResult, QuotaRequest, QuotaResult
from lateen.mixer.ready import ReadyRules
from lateen.mixer.rule_types import ResolvedHandler
from lateen.mixer.rules import RuleSet
from lateen.mixer.status import Status, refusal_message
from lateen.mixer.values import Absent, Bag, Tracked, Value
from lateen.model.workloads import Workloads
from lateen.telemetry.instruments import Counter, Gauge, Instrument

MOST_AT_ONCE: Final = 2000
"""How many calls may wait for handlers; further ones are sent away, and the proxies do what is said for that."""


@dataclass(slots=True)
class Decision:
    """A verdict; `answer` is room for what it comes to on the wire, so that this is written once."""

    verdict: Verdict
    answer: bytes = b""


@dataclass(frozen=True, slots=True)
class _Rules:
    """What is decided by, of one state of the mesh."""

    written: RuleSet
    ready: ReadyRules
    directory: Directory
    counted_elsewhere: Container[str] = ()


class Checker:
    """Decides about calls by the rules of the newest state of the mesh. Must live in a running event loop."""

    def __init__(
        self,
        handlers: Handlers,
        clock: Callable[[], float],
        counted_elsewhere: Callable[[RuleSet], Container[str]] = lambda rules: (),
    ) -> None:
        """`counted_elsewhere` names the handlers whose quotas proxies count themselves."""
        self._handlers = handlers
        self._clock = clock
        self._counted_elsewhere = counted_elsewhere
        self._rules = _Rules(RuleSet(), ReadyRules(), Directory(Workloads(), (), ""))
        self._cache: CheckCache[Decision] = CheckCache()
        self._waiting = 0
        self._prefix = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._checks = Counter("lateen_mixer_checks_total", "Calls that were decided about.", "result", "cached")
        self._sent_away = Counter("lateen_mixer_checks_shed_total", "Calls that were sent away: too many waited.")
        self.instruments: tuple[Instrument, ...] = (
            self._checks,
            self._sent_away,
            Gauge("lateen_mixer_checks_waiting", "Calls that wait for handlers.", read=lambda: self._waiting),
            Gauge("lateen_mixer_cached_checks", "Results that are remembered.", read=lambda: len(self._cache)),
        )

    @property
    def directory(self) -> Directory:
        """Who is who in the mesh, as attributes are read by it."""
        return self._rules.directory

    def take(self, rules: RuleSet, ready_rules: ReadyRules, directory: Directory) -> None:
        """Decide by these from now on."""
        self._rules = _Rules(rules, ready_rules, directory, self._counted_elsewhere(rules))
        self._cache.clear()

    def decide(self, bag: Bag) -> Decision | Awaitable[Decision]:
        """Return what becomes of a call, at once where nobody has to be waited for.

        Raises `Unavailable` where too many wait already.
        """
        rules = self._rules
        seen: Bag = ApiBag(rules.written.apis, bag)
        now = self._clock()
        known = self._cache.find(seen, now)
        if known is not None:
            return self._charged(rules, seen, self._counted(known, cached=True))
        if self._waiting >= MOST_AT_ONCE:
            self._sent_away.add()
            raise Unavailable(f"{self._waiting} calls wait already")
        return self._ask(rules, seen, now)

    def _ask(self, rules: _Rules, bag: Bag, now: float) -> Decision | Awaitable[Decision]:
        """Ask all handlers at once that the rules name."""
        tracked = Tracked(bag)
        namespace = _text(tracked.get("destination.namespace"))
        generated = generators.with_generated(rules.ready, tracked, namespace, rules.directory, rules.written.types)
        dispatched = check.dispatch(rules.ready, generated, namespace)
        answers = [self._answer(question) for question in dispatched.questions]

        def settle(results: Sequence[CheckResult]) -> Decision:
            verdict = check.combine(dispatched, results, generated)
            decision = Decision(verdict)
            if rules is self._rules:
                until = now + verdict.valid_duration.total_seconds()
                self._cache.remember(tracked.referenced, bag, decision, until, verdict.valid_use_count)
            return self._counted(decision, cached=False)

        if all(isinstance(answer, CheckResult) for answer in answers):
            return self._charged(rules, bag, settle([each for each in answers if isinstance(each, CheckResult)]))
        return self._wait(rules, bag, answers, settle)

    async def _wait(
        self,
        rules: _Rules,
        bag: Bag,
        answers: Sequence[CheckResult | Awaitable[CheckResult]],
        settle: Callable[[Sequence[CheckResult]], Decision],
    ) -> Decision:
        self._waiting += 1
        try:
            results = await asyncio.gather(*map(_awaitable, answers))
        finally:
            self._waiting -= 1
        found = self._charged(rules, bag, settle(results))
        return found if isinstance(found, Decision) else await found

    def _answer(self, question: Question) -> CheckResult | Awaitable[CheckResult]:
        handler = self._handlers.find(question.handler.name)
        if handler is None:
            return _missing(question.handler, self._handlers.faults)
        return handler.missing(question.fault) if question.instance is None else handler.check(question.instance)

    def _charged(self, rules: _Rules, bag: Bag, decision: Decision) -> Decision | Awaitable[Decision]:
        """Charge quotas for a call that may go on."""
        charges = rules.written.charges
        if not decision.verdict.status.is_ok or not (charges.bound or charges.unbound):
            return decision
        questions = tuple(self._quota_questions(rules, bag))
        return self._charge(decision, questions) if questions else decision

    def _quota_questions(self, rules: _Rules, bag: Bag) -> Iterator[tuple[QuotaQuestion | Status, int]]:
        namespace = _text(bag.get("destination.namespace"))
        bag = generators.with_generated(rules.ready, bag, namespace, rules.directory, rules.written.types)
        for quota, amount in rules.written.charges.of(called_service(bag), bag).items():
            question = check.quota_question(rules.ready, bag, namespace, quota)
            if isinstance(question, QuotaQuestion) and question.handler.name in rules.counted_elsewhere:
                continue
            if question is not None:
                yield question, amount

    async def _charge(self, decision: Decision, questions: Sequence[tuple[QuotaQuestion | Status, int]]) -> Decision:
        """Take from one quota after another, until one has nothing left."""
        for question, amount in questions:
            refusal = question if isinstance(question, Status) else await self._take(question, amount)
            if refusal is not None:
                verdict = replace(decision.verdict, status=refusal, request_headers=(), response_headers=())
                self._checks.add(1, "over_quota", "false")
                return Decision(verdict)
        return decision

    async def _take(self, question: QuotaQuestion, amount: int) -> Status | None:
        """Take from one quota; returns how the call is refused where it does not get all."""
        name = question.handler.name
        handler = self._handlers.find(name)
        if handler is None:
            return _missing(question.handler, self._handlers.faults).status
        request = QuotaRequest(amount, deduplication_id=f"{self._prefix}-{next(self._numbers)}")
        found = handler.take(question.instance, request)
        result = found if isinstance(found, QuotaResult) else await found
        if result.granted >= amount:
            return None
        if not result.status.is_ok:
            return Status(result.status.code, refusal_message(name, result.status.message))
        short_name = question.instance.name.partition(".")[0]
        return Status(StatusCode.RESOURCE_EXHAUSTED, refusal_message(name, f"quota {short_name} is exhausted"))

    def _counted(self, decision: Decision, *, cached: bool) -> Decision:
        result = "ok" if decision.verdict.status.is_ok else decision.verdict.status.code.name.lower()
        self._checks.add(1, result, "true" if cached else "false")
        return decision


def _missing(handler: ResolvedHandler, faults: Mapping[str, str]) -> CheckResult:
    """Return what counts where a handler cannot even be made: nothing passes."""
    reason = faults.get(handler.name, "is not there")
    return CheckResult(Status(StatusCode.INTERNAL, reason), timedelta(), 0)


async def _awaitable(answer: CheckResult | Awaitable[CheckResult]) -> CheckResult:
    return answer if isinstance(answer, CheckResult) else await answer


def _text(value: Value | Absent) -> str:
    return value if isinstance(value, str) else ""
