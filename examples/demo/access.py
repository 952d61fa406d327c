"""Who is who in the mesh, who may call whom, and why not: what was found out, beside what a step promises. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from checks import Problem
from steps import Call, Step

_SCHEME: Final = "spiffe://"
_REFUSALS: Final = {0: "reset", 403: "RBAC: access denied"}
# What `lateen authz` tells.
Told = Mapping[str, Any]


class Reply(NamedTuple):
    """What came of a call made by hand; status 0 where no answer came, and then `said` is why."""

    status: int
    said: str

    def __str__(self) -> str:
        """Both, or the one that there is."""
        return f"{self.status} {self.said}" if self.status else self.said


class Trial(NamedTuple):
    """A call that must be refused: what came of it, and what `lateen authz` tells about it.

    `logged` is what it finds in the callee's log, None where nothing can be there; `later` is what came of the same
    call when the edit was taken back, None where it was not.
    """

    reply: Reply
    told: Told
    logged: Told | None = None
    later: Reply | None = None


class Finding(NamedTuple):
    """What was found out: a line each, all in a few words, and what is not as promised."""

    facts: tuple[str, ...] = ()
    observed: str = ""
    problems: tuple[Problem, ...] = ()

    def __add__(self, other: "Finding") -> "Finding":  # type: ignore[override]
        """Both."""
        observed = " · ".join(part for part in (self.observed, other.observed) if part)
        return Finding(self.facts + other.facts, observed, self.problems + other.problems)


def account(identity: str) -> str:
    """The namespace and name of the account behind an identity, as `lateen authz` takes them."""
    _, _, namespace, _, name = identity.removeprefix(_SCHEME).split("/")
    return f"{namespace}/{name}"


def only(identities: Collection[str]) -> str:
    """The identity that all proxies of a service have; empty where they have none, or not all the same."""
    return next(iter(identities)) if len(identities) == 1 else ""


def identities(
    callers: Mapping[str, Sequence[str]], held: Mapping[str, Collection[str]], told: Iterable[Told]
) -> Finding:
    """Judge who calls whom as whom; `held` is what the proxies' certificates say, `told` comes a pair of names each."""
    problems: list[Problem] = []
    for caller in callers:
        if not only(held.get(caller, ())):
            found = ", ".join(sorted(held.get(caller, ()))) or "none"
            problems.append(Problem(f"one identity in the certificates of {caller}", found))
    for each in told:
        if not (each["allowed"] and each["mutual_tls"] and each["mode"] == "STRICT"):
            seen = f"{each['outcome']}, {each['mode'] or 'no mode'}, mutual TLS: {each['mutual_tls']}"
            problems.append(Problem(f"{each['caller']} calls {each['callee']} with STRICT mutual TLS", seen))
    facts = [f"{only(held.get(caller, ())) or caller} calls {', '.join(to)}" for caller, to in callers.items()]
    known = {only(held.get(caller, ())) for caller in callers} - {""}
    return Finding(tuple(facts), f"{len(known)} identities", tuple(problems))


def refusal(step: Step, call: Call, trial: Trial, identity: str) -> Finding:
    """Judge a call that must be refused, and whether the reason is the one that the step's file gives."""
    steps = trial.told["steps"]
    place = steps[-1]["place"] if steps else trial.told["mode_from"] or {"object": "", "path": "", "at": ""}
    at = Path(place["at"]).name
    facts = [
        f"{call.caller.rpartition('/')[2]} calls {call.service}: {trial.reply}",
        f"because of {at}, {place['object']} {place['path']}",
        *(f"because {each['failed']}" for each in steps if each["failed"]),
    ]
    problems = [*_wrong_reply(call, trial.reply), *_wrong_reason(call, trial.told, at)]
    if trial.logged is not None:
        wanted, seen = f"the log of {call.service}: GET {call.path} by {identity}", _logged(call, trial.logged)
        facts.append(seen)
        if seen != wanted:
            problems.append(Problem(wanted, seen))
    observed = str(trial.reply.status) if call.status else f"plaintext: {trial.reply.said}"
    if trial.later is not None:
        facts.append(f"{step.file} removed: {trial.later.status}")
        observed += f", {trial.later.status} without {step.file}"
        if trial.later.status != 200:
            problems.append(Problem(f"200 when {step.file} is removed", str(trial.later)))
    return Finding(tuple(facts), observed, tuple(problems))


def _wrong_reply(call: Call, reply: Reply) -> Iterable[Problem]:
    wanted = Reply(call.status, _REFUSALS[call.status])
    if reply != wanted:
        yield Problem(f"{call.caller} calls {call.service}: {wanted}", str(reply))


def _wrong_reason(call: Call, told: Told, at: str) -> Iterable[Problem]:
    if told["allowed"] or told["status"] != call.status or at.partition(":")[0] != call.refused_by:
        wanted = f"lateen authz check: {call.status or 'refused'} by {call.refused_by}"
        yield Problem(wanted, f"{told['status'] or told['outcome']} by {at or 'nothing'}")


def _logged(call: Call, logged: Told) -> str:
    record = logged["record"]
    return f"the log of {call.service}: {record.get('method')} {record.get('path')} by {record.get('source_principal')}"
