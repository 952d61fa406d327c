"""What the rules make of a request: which handlers are asked, what their answers add up to, and which headers change.

Asking is up to somebody who may wait: `dispatch` says what to ask, `combine` takes the answers. Nothing here waits.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from lateen.api.mixer.rule import Operation
from lateen.api.mixer.templates import Variety
from lateen.api.status_codes import StatusCode
from lateen.mixer.ports import CheckResult, MadeInstance
from lateen.mixer.ready import CannotMake, ReadyHeader, ReadyRule, ReadyRules
from lateen.mixer.rule_types import ResolvedHandler
from lateen.mixer.status import OK, DirectResponse, Status, refusal_message
from lateen.mixer.values import ABSENT, Bag, Layered, Value

DEFAULT_DURATION: Final = timedelta(minutes=1)
DEFAULT_USE_COUNT: Final = 10_000
"""How long, and for how many requests, it may be remembered that no rule had anything to say."""


@dataclass(frozen=True, slots=True)
class Question:
    """One instance for one handler. Where the instance could not be made there is none, and `fault` says why."""

    handler: ResolvedHandler
    action: str
    instance: MadeInstance | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """What is to be asked of whom, and the rules whose header operations come afterwards."""

    questions: tuple[Question, ...] = ()
    rules: tuple[ReadyRule, ...] = ()

    @property
    def outcome_without_asking(self) -> "CheckResult | None":
        """The answer where there is nobody to ask."""
        return None if self.questions else CheckResult(OK, DEFAULT_DURATION, DEFAULT_USE_COUNT)


@dataclass(frozen=True, slots=True)
class HeaderEdit:
    """What becomes of a header: it is set to a value, gets one more, or (no value) goes."""

    name: str
    operation: Operation
    value: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a request, and for how long and how many requests like it that may be remembered."""

    status: Status = OK
    valid_duration: timedelta = DEFAULT_DURATION
    valid_use_count: int = DEFAULT_USE_COUNT
    direct: DirectResponse | None = None
    request_headers: tuple[HeaderEdit, ...] = ()
    response_headers: tuple[HeaderEdit, ...] = ()
    asked: tuple[str, ...] = field(default=(), compare=False)


def dispatch(rules: ReadyRules, bag: Bag, namespace: str) -> Dispatch:
    """Return what the rules that concern a namespace ask about a request."""
    matching = rules.matching(bag, namespace, Variety.CHECK)
    return Dispatch(tuple(_questions(matching, bag, Variety.CHECK)), matching)


def _questions(rules: Iterable[ReadyRule], bag: Bag, variety: Variety) -> Iterator[Question]:
    for rule in rules:
        for action in rule.actions[variety]:
            for instance in action.instances:
                try:
                    yield Question(action.handler, action.resolved.name, instance.make(bag))
                except CannotMake as reason:
                    yield Question(action.handler, action.resolved.name, None, str(reason))


def failed(question: Question) -> CheckResult:
    """Return what counts as the answer where an instance could not be made: that of a broken adapter."""
    return CheckResult(Status(StatusCode.INTERNAL, question.fault), timedelta(), 0)


def combine(dispatched: Dispatch, results: Sequence[CheckResult], bag: Bag) -> Verdict:
    """Return what the answers add up to; there is one for each question, in their order.

    Refused is what any handler refuses, with the code of the first of them and the messages of all. What may be
    remembered is what the shortest answer allows. Headers change only where nobody refuses.
    """
    answers = list(zip(dispatched.questions, results, strict=True))
    refused = [(question, result) for question, result in answers if not result.status.is_ok]
    default = (CheckResult(OK, DEFAULT_DURATION, DEFAULT_USE_COUNT),)
    duration = min(result.valid_duration for result in results or default)
    count = min(result.valid_use_count for result in results or default)
    asked = tuple(question.handler.name for question, _ in answers)
    if refused:
        message = ", ".join(
            refusal_message(question.handler.name, result.status.message) for question, result in refused
        )
        first = refused[0][1]
        return Verdict(Status(first.status.code, message), duration, count, first.direct, asked=asked)
    with_outputs = Layered(dict(_outputs(answers)), bag)
    requests = tuple(edit for rule in dispatched.rules for edit in _edits(rule.request_headers, with_outputs))
    responses = tuple(edit for rule in dispatched.rules for edit in _edits(rule.response_headers, with_outputs))
    return Verdict(OK, duration, count, None, requests, responses, asked)


def _outputs(answers: Iterable[tuple[Question, CheckResult]]) -> Iterator[tuple[str, Value]]:
    """Yield what header operations may read of the answers to named actions."""
    for question, result in answers:
        if question.action:
            for name, value in result.output.items():
                yield f"{question.action}.output.{name}", value


def _edits(headers: Iterable[ReadyHeader], bag: Bag) -> Iterator[HeaderEdit]:
    for header in headers:
        if header.operation is Operation.REMOVE:
            yield HeaderEdit(header.name, header.operation)
        for evaluate in header.values:
            value = evaluate(bag)
            if value is not ABSENT and value:
                yield HeaderEdit(header.name, header.operation, str(value))


@dataclass(frozen=True, slots=True)
class QuotaQuestion:
    """From which handler an amount of a quota is taken."""

    handler: ResolvedHandler
    instance: MadeInstance


def quota_question(rules: ReadyRules, bag: Bag, namespace: str, quota: str) -> QuotaQuestion | Status | None:
    """Return whom to ask for a quota by its short name, without regard to upper and lower case.

    None where no rule that holds has such a quota: then all is granted. A status where its dimensions have no value.
    When several handlers are named the first counts.
    """
    wanted = quota.lower()
    for rule in rules.matching(bag, namespace, Variety.QUOTA):
        for action in rule.actions[Variety.QUOTA]:
            for instance in action.instances:
                if instance.resolved.short_name.lower() == wanted:
                    try:
                        return QuotaQuestion(action.handler, instance.make(bag))
                    except CannotMake as reason:
                        return Status(StatusCode.INTERNAL, str(reason))
    return None
