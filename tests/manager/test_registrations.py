"""When WorkloadEntries stand for members of groups: from the connection of a proxy to the end of its grace."""

from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as some

from lateen.api.changes import Remove, Upsert
from lateen.api.config_set import ConfigSet
from lateen.manager.registrations import GRACE_SECONDS, RETURN_SECONDS, Registrations
from lateen.model.workload import HealthVerdict, Membership, Workload, WorkloadKey
from tests.model.meshes import config

GROUP = "{apiVersion: networking.istio.io/v1, kind: WorkloadGroup, metadata: {name: vms}, spec: {metadata: {labels: {tier: vm}}, template: {weight: 2}}}"
PROBED = GROUP.replace("weight: 2}", "weight: 2}, probe: {tcpSocket: {port: 9000}}")
OWN = "{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {name: %s}, spec: {address: %s}}"


@dataclass
class Time:
    """A clock that goes when it is told."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


def member(number: int = 1, verdict: HealthVerdict | None = None) -> Workload:
    return Workload(
        WorkloadKey("default", f"vm-{number}"), f"10.0.0.{number}", membership=Membership("vms", verdict), owner="vm"
    )


@dataclass
class World:
    """Registrations with a clock of their own, and the config that they know."""

    written: str = GROUP
    time: Time = field(default_factory=Time)

    def __post_init__(self) -> None:
        self.all = self.another()

    def another(self) -> Registrations:
        """A control plane that has read the config."""
        made = Registrations("istiod-test", now=self.time, clock=self.time)
        made.look(config(self.written) if self.written else ConfigSet())
        return made

    def restart(self) -> None:
        """Another control plane takes over what this one has written down."""
        records = self.all.records()
        self.all = self.another()
        self.all.load(records)

    def write(self, text: str) -> tuple[Workload, ...]:
        return self.all.look(config(text) if text else ConfigSet())

    def join(self, number: int = 1, verdict: HealthVerdict | None = None) -> Workload:
        """A member comes up and its proxy connects."""
        self.all.report(member(number, verdict))
        seen = self.all.connect(member(number).key)
        assert seen is not None
        return seen

    def names(self) -> list[str]:
        return [entry.object.name for entry in self.all.entries()]

    def annotations(self) -> dict[str, str]:
        (entry,) = self.all.entries()
        return dict(entry.object.metadata.annotations)


def test_a_member_is_registered_when_its_proxy_connects() -> None:
    world = World()
    assert not world.all.report(member()).is_registered
    assert world.names() == []
    seen = world.all.connect(member().key)
    assert seen is not None
    assert (seen.is_offered, seen.labels, seen.weight) == (True, {"tier": "vm"}, 2)
    assert world.names() == ["vms-10.0.0.1"]
    assert world.annotations() == {
        "istio.io/autoRegistrationGroup": "vms",
        "istio.io/workloadController": "istiod-test",
        "istio.io/connectedAt": "1970-01-01T00:16:40Z",
    }


def test_a_workload_without_group_is_left_alone() -> None:
    world, bare = World(), Workload(WorkloadKey("default", "web"), "10.0.0.9")
    assert world.all.report(bare) is bare
    assert world.all.connect(bare.key) is None
    assert world.all.as_seen(bare) is bare
    assert world.names() == []


def test_an_entry_outlives_its_connection_by_the_grace() -> None:
    world = World()
    world.join()
    world.all.disconnect(member().key)
    assert "istio.io/disconnectedAt" in world.annotations()
    world.time.seconds += GRACE_SECONDS - 0.1
    assert world.all.expire() == ()
    assert world.all.as_seen(member()).is_offered
    world.time.seconds += 0.1
    assert [one.is_registered for one in world.all.expire()] == [False]
    assert world.names() == []


def test_a_proxy_that_comes_back_in_time_keeps_its_entry() -> None:
    world = World()
    world.join()
    world.all.disconnect(member().key)
    world.time.seconds += 9
    assert world.all.connect(member().key) == world.all.as_seen(member())
    world.time.seconds += 9
    assert world.all.expire() == ()
    assert "istio.io/disconnectedAt" not in world.annotations()


def test_one_that_comes_back_too_late_is_registered_anew() -> None:
    world = World()
    world.join()
    world.all.disconnect(member().key)
    world.time.seconds += 11
    world.all.expire()
    assert world.all.connect(member().key) is not None
    assert world.names() == ["vms-10.0.0.1"]


def test_the_entry_of_a_pod_that_is_gone_is_shown_for_the_time_of_its_grace() -> None:
    world = World()
    world.join()
    world.all.remove(member().key)
    world.all.disconnect(member().key)
    assert [entry.is_connected for entry in world.all.entries()] == [False]
    world.time.seconds += 11
    assert world.all.expire() == ()
    assert world.names() == []


def test_a_member_waits_for_its_group() -> None:
    world = World(written="")
    assert not world.join().is_registered
    assert [one.is_offered for one in world.write(GROUP)] == [True]
    assert world.names() == ["vms-10.0.0.1"]


def test_a_group_that_goes_takes_its_entries_along() -> None:
    world = World()
    world.join()
    assert [one.is_registered for one in world.write("")] == [False]
    assert world.names() == []


def test_a_changed_group_changes_its_members() -> None:
    world = World()
    world.join()
    (seen,) = world.write(GROUP.replace("tier: vm", "tier: gold"))
    assert seen.labels == {"tier": "gold"}


def test_another_config_without_news_for_groups_changes_nobody() -> None:
    world = World()
    world.join()
    known = config(GROUP)
    world.all.look(known)
    service = config("{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 80}]}}")
    assert world.all.look(known.apply(Upsert(item) for item in service)) == ()


def test_health_decides_where_the_group_has_a_probe() -> None:
    world = World(written=PROBED)
    assert not world.join().is_offered
    assert world.all.report(member(1, HealthVerdict(True, 2.0))).is_offered
    assert not world.all.report(member(1, HealthVerdict(False, 3.0, "no answer"))).is_offered
    (entry,) = world.all.entries()
    assert (entry.is_healthy, entry.conditions) == (
        False,
        (
            {
                "type": "Healthy",
                "status": "False",
                "lastProbeTime": "1970-01-01T00:00:03Z",
                "lastTransitionTime": "1970-01-01T00:00:03Z",
                "message": "no answer",
            },
        ),
    )


def test_a_probe_that_is_added_takes_nobody_out_before_it_has_failed() -> None:
    world = World()
    world.join()
    assert [one.is_offered for one in world.write(PROBED)] == [True]
    world.restart()
    world.write(PROBED)
    assert world.all.report(member()).is_offered
    assert not world.all.report(member(1, HealthVerdict(False, 1.0))).is_offered


def test_a_users_own_entry_with_the_address_or_the_name_wins() -> None:
    for name, address in (("mine", "10.0.0.1"), ("vms-10.0.0.1", "10.9.9.9")):
        world = World()
        world.join()
        both = f"{GROUP}\n---\n{OWN % (name, address)}"
        assert [one.is_registered for one in world.write(both)] == [False]
        assert world.names() == []
        assert [one.is_registered for one in world.write(GROUP)] == [True]


def test_a_restart_keeps_entries_until_their_proxies_are_back() -> None:
    world = World()
    first = world.join()
    created = world.all.entries()[0].object.metadata.creation_timestamp
    world.time.seconds += 5
    world.restart()
    assert world.all.report(member()) == first
    world.time.seconds += 60
    assert world.all.expire() == ()
    assert world.all.connect(member().key) == first
    world.time.seconds += 1000
    assert world.all.expire() == ()
    assert world.names() == ["vms-10.0.0.1"]
    assert world.all.entries()[0].object.metadata.creation_timestamp == created


def test_after_a_restart_entries_of_pods_that_are_gone_go() -> None:
    world = World()
    world.join()
    world.restart()
    assert world.names() == []
    world.time.seconds += GRACE_SECONDS
    world.all.expire()
    assert world.all.records() == []


def test_after_a_restart_a_proxy_that_never_returns_is_given_up() -> None:
    world = World()
    world.join()
    world.restart()
    world.all.report(member())
    world.time.seconds += RETURN_SECONDS
    assert [one.is_registered for one in world.all.expire()] == [False]


def test_a_pod_with_the_name_of_an_earlier_one_gets_an_entry_of_its_own() -> None:
    world = World()
    world.join()
    world.all.remove(member().key)
    again = replace(member(), address="10.0.0.7")
    assert not world.all.report(again).is_registered
    assert world.all.connect(again.key) is not None
    assert world.names() == ["vms-10.0.0.1", "vms-10.0.0.7"]
    world.time.seconds += 11
    assert all(one.is_registered for one in world.all.expire())
    assert world.names() == ["vms-10.0.0.7"]


def test_a_pod_with_the_address_of_an_earlier_one_is_not_registered_before_it_connects() -> None:
    world = World()
    world.join()
    world.all.remove(member().key)
    heir = replace(member(2), address=member().address)
    assert not world.all.report(heir).is_registered
    assert world.all.connect(heir.key) is not None
    assert [(entry.object.name, entry.is_connected) for entry in world.all.entries()] == [("vms-10.0.0.1", True)]
    world.time.seconds += 11
    assert world.all.expire() == ()


STEPS = some.tuples(
    some.sampled_from(
        ["report", "ill", "well", "remove", "connect", "disconnect", "wait", "write", "erase", "restart"]
    ),
    some.integers(1, 3),
)


@given(some.lists(STEPS, max_size=40))
def test_whatever_happens_an_entry_stands_for_one_member_and_what_is_seen_follows(steps: list[tuple[str, int]]) -> None:
    world = World(written=PROBED)
    there: dict[int, Workload] = {}
    shown: dict[WorkloadKey, Workload] = {}
    for step, number in steps:
        key = member(number).key
        told: tuple[Workload, ...] = ()
        if step in ("report", "ill", "well"):
            verdict = None if step == "report" else HealthVerdict(step == "well", 1.0)
            there[number] = member(number, verdict)
            told = (world.all.report(there[number]),)
        elif step == "remove":
            there.pop(number, None)
            shown.pop(key, None)
            world.all.remove(key)
        elif step == "connect" and number in there:
            seen = world.all.connect(key)
            told = (seen,) if seen is not None else ()
        elif step == "disconnect":
            world.all.disconnect(key)
        elif step == "wait":
            world.time.seconds += 4.0 * number
            told = world.all.expire()
        elif step in ("write", "erase"):
            world.written = PROBED if step == "write" else ""
            told = world.write(world.written)
        elif step == "restart":
            world.restart()
            told = tuple(world.all.report(one) for one in there.values())
        shown.update((one.key, one) for one in told)
        assert shown == {one.key: world.all.as_seen(one) for one in there.values()}
        names = world.names()
        assert len(names) == len(set(names))
        registered = {f"vms-{one.address}" for one in shown.values() if one.is_registered}
        assert registered <= set(names)


def test_removing_an_own_entry_is_noticed() -> None:
    world = World()
    world.join()
    both = config(f"{GROUP}\n---\n{OWN % ('mine', '10.0.0.1')}")
    world.all.look(both)
    (own,) = (item.key for item in both if item.key.kind == "WorkloadEntry")
    assert [one.is_registered for one in world.all.look(both.apply([Remove(own)]))] == [True]
