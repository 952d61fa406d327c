"""Reads and plays conversations written as text.

.. CDS a=1 b=1 | LDS l=1       the class is to have this, from a new generation on (counted from 1)
>> Subscribe CDS a -b have c=1 the proxy asks for a, no longer for b, and says that it holds c in version 1
>> Ack CDS                     it takes the last response of the type; with a nonce of another one: >> Ack CDS stale
>> Nack CDS words              it refuses it with this message
>> (patience)                  it has been waited for long enough
<< Send CDS +a=1 -b            what must come out; everything that comes out must be written
<< Warn CDS b                  a warning with these words in it, in this order
== settled 2 / == open 2       generation 2 is (not) in effect
== CDS refuses b: words        what the status of the type says
"""

import re

from lateen.xds import order
from lateen.xds.commands import Close, Command, Send, Warn
from lateen.xds.events import Ack, Nack, Subscribe
from lateen.xds.resources import Resource, ResourceSet
from lateen.xds.session import DeltaSession
from lateen.xds.versions import NameSets, Versions

URL = {kind.short: kind.url for kind in order.TYPES}
SHORT = {url: short for short, url in URL.items()}


def resource_set(text: str) -> ResourceSet:
    """Read `CDS a=1 b=1 | LDS l=1`."""
    result: dict[str, dict[str, Resource]] = {}
    for part in filter(None, map(str.strip, text.split("|"))):
        short, *pairs = part.split()
        split = [pair.split("=") for pair in pairs]
        result[URL[short]] = {
            name: Resource(name, version, f"<{short} {name}={version}>".encode()) for name, version in split
        }
    return result


class Playbook:
    """One session and the text that drives it."""

    def __init__(self) -> None:
        self.versions = Versions()
        self.session = DeltaSession(NameSets())
        self.newest = None
        self.generation = 0
        self.nonces: dict[str, str] = {}
        self.said: list[str] = []

    def play(self, text: str) -> None:
        """Play it all; raises AssertionError with the line that went otherwise."""
        for number, line in enumerate(text.splitlines(), 1):
            if line[:2] not in ("..", ">>", "<<", "=="):
                continue
            try:
                getattr(self, {"..": "offer", ">>": "hear", "<<": "expect", "==": "check"}[line[:2]])(line[2:].strip())
            except AssertionError as error:
                raise AssertionError(f"line {number}: {line}\n{error}") from error
        assert not self.said, f"said, but not written: {self.said}"

    def offer(self, text: str) -> None:
        self.generation += 1
        self.newest = self.versions.full(self.newest, resource_set(text), self.generation)
        self.note(self.session.offer(self.newest))

    def hear(self, text: str) -> None:
        if text == "(patience)":
            return self.note(self.session.stop_waiting())
        verb, short, *rest = text.split()
        url = URL.get(short, short)
        if verb == "Subscribe":
            return self.note(self.session.receive(subscription(url, rest)))
        nonce = "stale" if rest == ["stale"] else self.nonces[url]
        self.note(self.session.receive(Ack(url, nonce) if verb == "Ack" else Nack(url, nonce, " ".join(rest))))

    def note(self, commands: "list[Command]") -> None:
        assert not self.said, f"said, but not written: {self.said}"
        self.said = [self.written(command) for command in commands]

    def written(self, command: Command) -> str:
        match command:
            case Send(delta):
                self.nonces[delta.type_url] = delta.nonce
                names = [f"+{r.name}={r.version}" for r in delta.resources] + [f"-{name}" for name in delta.removed]
                return " ".join(["Send", SHORT.get(delta.type_url, delta.type_url), *names])
            case Warn(message):
                return f"Warn {message}"
            case Close(reason):
                return f"Close {reason}"

    def expect(self, text: str) -> None:
        assert self.said, "nothing more was said"
        said = self.said.pop(0)
        if text.startswith("Send"):
            assert said == text, f"said instead: {said}"
        else:
            assert re.match(".*".join(map(re.escape, text.split())), said), f"said instead: {said}"

    def check(self, text: str) -> None:
        assert not self.said, f"said, but not written: {self.said}"
        word, rest = text.split(" ", 1)
        if word in ("settled", "open"):
            assert self.session.settled(int(rest)) is (word == "settled"), str(self.session.statuses())
            return
        (status,) = [status for status in self.session.statuses() if status.kind.short == word]
        refused = ", ".join(f"{rejection.name}: {rejection.message}" for rejection in status.rejected) or "nothing"
        assert rest == f"refuses {refused}", f"it {refused!r}"


def subscription(url: str, words: list[str]) -> Subscribe:
    """Read `a -b have c=1`."""
    cut = words.index("have") if "have" in words else len(words)
    names, held = words[:cut], dict(word.split("=") for word in words[cut + 1 :])
    added = tuple(name for name in names if not name.startswith("-"))
    return Subscribe(url, added, tuple(name[1:] for name in names if name.startswith("-")), held)
