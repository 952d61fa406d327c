"""Whatever happens in whatever order, a proxy ends with what its class is to have, and never breaks on the way."""

from collections import deque
from collections.abc import Mapping, Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from playbook import SHORT, URL

from lateen.xds import order
from lateen.xds.commands import Command, Send
from lateen.xds.events import Ack, Event, Nack, Subscribe
from lateen.xds.resources import Resource, ResourceSet
from lateen.xds.session import DeltaSession
from lateen.xds.versions import ClassVersion, Delta, NameSets, Patch, Versions

BAD = "bad"
CLUSTERS = ("one", "two", "three")
ROUTES = ("r", "s")
EXTENSIONS = ("x", "y")

versions_of = st.sampled_from(["1", "2", BAD])


@st.composite
def resource_sets(draw: st.DrawFn) -> ResourceSet:
    """Clusters with endpoints, and routes whose version names the one cluster that they lead to."""
    clusters = draw(st.dictionaries(st.sampled_from(CLUSTERS), versions_of))
    targets = st.sampled_from([*sorted(name for name, version in clusters.items() if version != BAD), BAD])
    routes = draw(st.dictionaries(st.sampled_from(ROUTES), targets))
    listeners = draw(st.dictionaries(st.sampled_from(["l", "m"]), versions_of))
    extensions = draw(st.dictionaries(st.sampled_from(EXTENSIONS), versions_of))
    endpoints = {name: draw(st.sampled_from(["1", "2"])) for name in clusters}
    by_type = {"CDS": clusters, "EDS": endpoints, "ECDS": extensions, "LDS": listeners, "RDS": routes}
    return {
        URL[short]: {name: Resource(name, version, b"") for name, version in named.items()}
        for short, named in by_type.items()
    }


class Client:
    """As much of an Envoy as matters: takes the good, refuses the bad, asks for the endpoints of its clusters."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, str]] = {short: {} for short in URL}
        self.wants: dict[str, set[str]] = {"EDS": set(), "RDS": set(ROUTES), "ECDS": set(EXTENSIONS)}
        self.cold: set[str] = set()
        self.inbox: deque[Delta] = deque()
        self.outbox: deque[Event] = deque()

    def connect(self) -> None:
        self.inbox.clear()
        self.outbox.clear()
        self.cold.clear()
        for short in ("CDS", "EDS", "ECDS", "LDS", "RDS"):
            names = tuple(sorted(self.wants.get(short, ())))
            held = {n: v for n, v in self.held[short].items() if short in ("CDS", "LDS") or n in names}
            self.outbox.append(Subscribe(URL[short], names, (), held))

    def take(self) -> None:
        delta = self.inbox.popleft()
        short = SHORT[delta.type_url]
        bad = [resource.name for resource in delta.resources if resource.version == BAD]
        if bad and short in ("EDS", "RDS", "SDS", "ECDS"):
            self.outbox.append(Nack(delta.type_url, delta.nonce, "bad"))
            return
        for resource in delta.resources:
            self.take_resource(short, resource)
        for name in delta.removed:
            self.drop(short, name)
        said = Nack(delta.type_url, delta.nonce, "bad") if bad else Ack(delta.type_url, delta.nonce)
        self.outbox.append(said)

    def take_resource(self, short: str, resource: Resource) -> None:
        if resource.version == BAD or resource.name not in self.wants.get(short, {resource.name}):
            return
        if short == "RDS":
            assert resource.version in self.held["CDS"], f"route to {resource.version}, which is not there"
            assert resource.version in self.held["EDS"], f"route to {resource.version}, which has no endpoints"
        before = self.held[short].get(resource.name)
        self.held[short][resource.name] = resource.version
        if short == "EDS":
            self.cold.discard(resource.name)
        if short == "CDS":
            if before != resource.version:
                self.cold.add(resource.name)
            self.wants["EDS"].add(resource.name)
            if before is None:  # as Envoy does: for a changed cluster it waits for endpoints without asking
                self.outbox.append(Subscribe(URL["EDS"], (resource.name,)))

    def drop(self, short: str, name: str) -> None:
        assert short != "ECDS" or name not in self.held[short], f"{name} is taken from chains that may still need it"
        if short == "RDS" or (short == "EDS" and name in self.held["CDS"]):
            return  # as Envoy does: it keeps a route until its listener is gone, and endpoints until their cluster is
        if short == "CDS" and name in self.held["CDS"]:
            self.wants["EDS"].discard(name)
            self.cold.discard(name)
            self.held["EDS"].pop(name, None)
            self.outbox.append(Subscribe(URL["EDS"], (), (name,)))
        self.held[short].pop(name, None)


class Conversation(RuleBasedStateMachine):
    """A class that changes, a proxy that listens, acknowledges, refuses, breaks off and comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.versions = Versions()
        self.newest: ClassVersion | None = None
        self.generation = 0
        self.client = Client()

    @initialize()
    def start(self) -> None:
        self.session = DeltaSession(NameSets())
        self.client.connect()

    @rule(resources=resource_sets())
    def change(self, resources: ResourceSet) -> None:
        self.generation += 1
        self.newest = self.versions.full(self.newest, resources, self.generation)
        self.carry_out(self.session.offer(self.newest))

    @precondition(lambda self: self.newest is not None)
    @rule(version=st.sampled_from(["1", "2", "3"]), data=st.data())
    def change_endpoints(self, version: str, data: st.DataObject) -> None:
        assert self.newest is not None
        names = sorted(self.newest.of(order.ENDPOINT))
        if not names:
            return
        name = data.draw(st.sampled_from(names))
        self.generation += 1
        patch = Patch(order.ENDPOINT, {name: Resource(name, version, b"")})
        self.newest = self.versions.patched(self.newest, patch, self.generation)
        self.carry_out(self.session.offer(self.newest))

    @precondition(lambda self: self.client.inbox)
    @rule()
    def proxy_takes_a_response(self) -> None:
        self.client.take()

    @precondition(lambda self: self.client.outbox)
    @rule()
    def server_hears(self) -> None:
        self.carry_out(self.session.receive(self.client.outbox.popleft()))

    @rule(name=st.sampled_from(ROUTES))
    def proxy_lets_go_of_a_route(self, name: str) -> None:
        self.client.wants["RDS"].discard(name)
        self.client.held["RDS"].pop(name, None)
        self.client.outbox.append(Subscribe(URL["RDS"], (), (name,)))

    @rule(name=st.sampled_from(ROUTES))
    def proxy_asks_for_a_route_perhaps_again(self, name: str) -> None:
        self.client.wants["RDS"].add(name)
        self.client.outbox.append(Subscribe(URL["RDS"], (name,)))

    @rule(name=st.sampled_from(EXTENSIONS))
    def proxy_lets_go_of_an_extension(self, name: str) -> None:
        self.client.wants["ECDS"].discard(name)
        self.client.held["ECDS"].pop(name, None)
        self.client.outbox.append(Subscribe(URL["ECDS"], (), (name,)))

    @rule(name=st.sampled_from(EXTENSIONS))
    def proxy_asks_for_an_extension(self, name: str) -> None:
        if name not in self.client.wants["ECDS"]:
            self.client.wants["ECDS"].add(name)
            self.client.outbox.append(Subscribe(URL["ECDS"], (name,)))

    @rule()
    def reconnect(self) -> None:
        self.session = DeltaSession(NameSets())
        self.client.connect()
        if self.newest is not None:
            self.carry_out(self.session.offer(self.newest))

    @invariant()
    def one_response_of_a_type_at_a_time(self) -> None:
        waiting = [delta.type_url for delta in self.client.inbox]
        assert len(waiting) == len(set(waiting))

    def carry_out(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if isinstance(command, Send):
                names = [*(resource.name for resource in command.delta.resources), *command.delta.removed]
                assert len(names) == len(set(names))
                self.client.inbox.append(command.delta)

    def run_dry(self) -> None:
        for _ in range(1000):
            while self.client.outbox:
                self.server_hears()
            if not self.client.inbox:
                return
            self.client.take()
        raise AssertionError("it never comes to rest")

    def teardown(self) -> None:
        if self.newest is None:
            return
        self.run_dry()
        self.carry_out(self.session.stop_waiting())
        self.run_dry()
        bad = {short for short in URL if BAD in {r.version for r in self.wanted(short).values()}}
        endpoints = {name for name, r in self.wanted("EDS").items() if r.version != BAD}
        assert not self.client.cold & endpoints, "clusters wait for endpoints for ever"
        users_are_good = not bad & {"LDS", "RDS", "ECDS"}
        for short in ("CDS", "EDS", "ECDS", "LDS", "RDS"):
            self.check_held(short, exactly=users_are_good)
        assert all(self.session.settled(generation) for generation in range(1, self.generation + 1)) is (not bad)

    def wanted(self, short: str) -> Mapping[str, Resource]:
        assert self.newest is not None
        scope = self.client.wants.get(short)
        return {name: r for name, r in self.newest.of(URL[short]).items() if scope is None or name in scope}

    def check_held(self, short: str, exactly: bool) -> None:
        held = self.client.held[short]
        good = {name: r.version for name, r in self.wanted(short).items() if r.version != BAD}
        assert {name: held.get(name) for name in good} == good
        if exactly and short in ("CDS", "LDS"):
            assert held.keys() <= self.wanted(short).keys()


Conversation.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_converges = Conversation.TestCase
