"""What files say, what was applied, and what wins."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lateen.api import decode
from lateen.api.changes import Remove, Upsert
from lateen.api.decode import Decoded
from lateen.api.objects import ObjectKey
from lateen.errors import ConfigRejected, Unavailable
from lateen.manager import settlement
from lateen.manager.records import Record
from lateen.manager.store import Action, Edit, Store
from tests.mixer.mixes import document

A = ObjectKey("", "ConfigMap", "default", "a")


@dataclass
class Memory:
    """Keeps records while the test runs."""

    records: Sequence[Record] = ()
    saves: int = 0
    is_full: bool = False

    def load(self) -> Sequence[Record]:
        return self.records

    def save(self, records: Sequence[Record]) -> None:
        if self.is_full:
            raise Unavailable("no space")
        self.records = list(records)
        self.saves += 1


@dataclass
class Mesh:
    """A store, and what its changes make of an empty mesh."""

    memory: Memory = field(default_factory=Memory)
    objects: dict[ObjectKey, str] = field(default_factory=dict)
    files: dict[str, Decoded] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = Store(self.memory)

    def files_say(self, file: str, **values: str) -> None:
        self.files[file] = config_maps(values, file)
        self._take(self.store.read_files({file: self.files[file]}))

    def apply(self, **values: str) -> Edit:
        edit = self.store.apply(config_maps(values, "applied.yaml"))
        self._take(edit.changes)
        return edit

    def delete(self, *names: str) -> Edit:
        edit = self.store.delete([key(name) for name in names])
        self._take(edit.changes)
        return edit

    def restart(self) -> None:
        """A new control plane: it reads its records and all files, and starts from nothing."""
        self.store, self.objects = Store(self.memory), {}
        self._take(self.store.load())
        self._take(self.store.read_files(self.files))

    def _take(self, changes: object) -> None:
        for change in changes:
            if isinstance(change, Remove):
                del self.objects[change.key]
            else:
                assert isinstance(change, Upsert)
                assert self.objects.get(change.key) != value(change.object), "a change that changes nothing"
                self.objects[change.key] = value(change.object)

    @property
    def values(self) -> dict[str, str]:
        """What counts, as the store says; the sum of all changes must be the same."""
        told = {status.object.name: value(status.object) for status in self.store.statuses()}
        assert told == {each.name: text for each, text in self.objects.items()}
        return told


def key(name: str) -> ObjectKey:
    return ObjectKey("", "ConfigMap", "default", name)


def value(item: object) -> str:
    return item.spec.data["value"]


def config_maps(values: dict[str, str], file: str = "mesh.yaml") -> Decoded:
    texts = [
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{value: '{value}'}}\n"
        for name, value in values.items()
    ]
    decoded = decode.decode_yaml("---\n".join(texts), file)
    assert not decoded.violations
    return decoded


def actions(edit: Edit) -> list[Action]:
    return [outcome.action for outcome in edit.outcomes]


def test_an_apply_wins_over_the_file_as_it_stands() -> None:
    mesh = Mesh()
    mesh.files_say("mesh.yaml", a="file", b="file")
    assert actions(mesh.apply(a="applied")) == [Action.CONFIGURED]
    mesh.files_say("mesh.yaml", a="file", b="edited")
    assert mesh.values == {"a": "applied", "b": "edited"}


def test_an_edited_file_wins_over_an_older_apply() -> None:
    mesh = Mesh()
    mesh.files_say("mesh.yaml", a="file")
    mesh.apply(a="applied")
    mesh.files_say("mesh.yaml", a="edited")
    assert mesh.values == {"a": "edited"}
    mesh.files_say("mesh.yaml")
    assert mesh.values == {}


def test_an_applied_object_outlives_its_place_in_the_file_until_it_is_written_again() -> None:
    mesh = Mesh()
    mesh.files_say("mesh.yaml", a="file")
    mesh.apply(a="applied")
    mesh.files_say("mesh.yaml")
    assert mesh.values == {"a": "applied"}
    mesh.files_say("mesh.yaml", a="file")
    assert mesh.values == {"a": "file"}


def test_a_deleted_object_of_a_file_stays_away_until_the_file_says_something_else_about_it() -> None:
    mesh = Mesh()
    mesh.files_say("mesh.yaml", a="file")
    edit = mesh.delete("a")
    assert actions(edit) == [Action.DELETED]
    assert edit.outcomes[0].note.startswith("it is still written at mesh.yaml:1, and comes back when that changes")
    mesh.files_say("mesh.yaml", a="file", b="other")
    assert mesh.values == {"b": "other"}
    assert [item.name for item in mesh.store.hidden()] == ["a"]
    mesh.files_say("mesh.yaml", a="edited", b="other")
    assert mesh.values == {"a": "edited", "b": "other"}


def test_deleting_what_was_applied_leaves_no_trace() -> None:
    mesh = Mesh()
    mesh.apply(a="applied")
    edit = mesh.delete("a", "b")
    assert actions(edit) == [Action.DELETED, Action.NOT_FOUND]
    assert [outcome.note for outcome in edit.outcomes] == ["", ""]
    assert mesh.memory.records == []


def test_outcomes_tell_new_from_changed_from_equal() -> None:
    mesh = Mesh()
    mesh.files_say("mesh.yaml", a="file")
    assert actions(mesh.apply(a="file", b="new")) == [Action.UNCHANGED, Action.CREATED]
    assert actions(mesh.apply(a="other", b="new")) == [Action.CONFIGURED, Action.UNCHANGED]


def test_an_invalid_object_is_refused_beside_valid_ones_and_the_last_good_stays() -> None:
    mesh = Mesh()
    mesh.apply(a="good")
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: 7\n---\n"
    good = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {value: b}\n"
    edit = mesh.store.apply(decode.decode_yaml(text + good, "typo.yaml"))
    assert [(each.subject, each.action) for each in edit.outcomes] == [
        ("ConfigMap default/b", Action.CREATED),
        ("ConfigMap default/a", Action.REFUSED),
    ]
    assert edit.outcomes[1].violations[0].place == "typo.yaml:4"
    status = mesh.store.status(A)
    assert status is not None
    assert value(status.object) == "good"
    assert [each.path for each in status.refused] == ["data"]
    mesh.apply(a="repaired")
    assert mesh.store.status(A).refused == ()


def test_faults_of_a_file_are_shown_with_the_object_that_they_keep_old() -> None:
    mesh = Mesh()
    mesh.files_say("mesh.yaml", a="good")
    broken = decode.decode_yaml("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: 7\n", "mesh.yaml")
    mesh.store.read_files({"mesh.yaml": Decoded(mesh.files["mesh.yaml"].objects, broken.violations)})
    assert mesh.values == {"a": "good"}
    assert mesh.store.status(A).refused == broken.violations == mesh.store.violations()


@pytest.mark.parametrize("broken", ["apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: 7\n", "{"])
def test_what_a_file_spoils_stays_as_it_was_also_over_a_restart(broken: str) -> None:
    mesh = Mesh()
    mesh.files_say("mesh.yaml", a="good")
    mesh.files["mesh.yaml"] = decode.decode_yaml(broken, "mesh.yaml")
    assert mesh.store.read_files(mesh.files) == ()
    for _ in range(2):
        mesh.restart()
        assert mesh.values == {"a": "good"}
        assert mesh.store.violations() != ()
    mesh.files_say("mesh.yaml", b="repaired")
    assert mesh.values == {"b": "repaired"}
    assert mesh.memory.records == []


def test_of_two_files_with_one_object_the_first_by_name_counts_and_the_other_is_told() -> None:
    mesh = Mesh()
    mesh.files_say("b.yaml", a="from b")
    mesh.files_say("a.yaml", a="from a")
    assert mesh.values == {"a": "from a"}
    assert [str(each) for each in mesh.store.violations()] == [
        "b.yaml:1: ConfigMap default/a: must be defined once: it is already defined at a.yaml:1"
    ]
    mesh.files_say("a.yaml")
    assert mesh.values == {"a": "from b"}
    assert mesh.store.violations() == ()


def test_scaling_applies_the_object_with_another_number() -> None:
    template = "{metadata: {labels: {app: x}}, spec: {containers: [{name: x, command: [x]}]}}"
    text = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n"
        f"spec: {{selector: {{matchLabels: {{app: x}}}}, template: {template}}}\n"
    )
    store = Store(Memory())
    store.read_files({"mesh.yaml": decode.decode_yaml(text, "mesh.yaml")})
    deployment = ObjectKey("apps", "Deployment", "default", "x")
    assert actions(store.scale(deployment, 3)) == [Action.CONFIGURED]
    assert store.get(deployment).spec.replicas == 3
    assert store.get(deployment).source.file == "mesh.yaml"


def test_only_what_has_replicas_can_be_scaled() -> None:
    mesh = Mesh()
    mesh.apply(a="x")
    with pytest.raises(ConfigRejected, match="ConfigMap default/a has no replicas; Deployment and StatefulSet have"):
        mesh.store.scale(A, 2)
    with pytest.raises(ConfigRejected, match="ConfigMap default/b does not exist"):
        mesh.store.scale(key("b"), 2)


def test_what_cannot_be_kept_does_not_count() -> None:
    mesh = Mesh()
    mesh.memory.is_full = True
    with pytest.raises(Unavailable):
        mesh.apply(a="x")
    assert mesh.values == {}


NAMES = st.sampled_from("ab")
VALUES = st.sampled_from("123")
FILES = st.sampled_from(["one.yaml", "two.yaml"])
EVENTS = st.one_of(
    st.tuples(st.just("file"), FILES, st.dictionaries(NAMES, VALUES)),
    st.tuples(st.just("apply"), st.just(""), st.dictionaries(NAMES, VALUES, min_size=1)),
    st.tuples(st.just("delete"), NAMES, st.just({})),
)


def play(mesh: Mesh, event: tuple[str, str, dict[str, str]]) -> None:
    what, where, values = event
    if what == "file":
        # A name in a file of its own: which of two files wins is another test's subject.
        mesh.files_say(where, **{f"{name}-{where[:3]}": text for name, text in values.items()})
    elif what == "apply":
        mesh.apply(**{f"{name}-one": text for name, text in values.items()})
    else:
        mesh.delete(f"{where}-one")


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=8))
def test_a_restart_at_any_moment_changes_nothing(events: list[tuple[str, str, dict[str, str]]]) -> None:
    mesh = Mesh()
    for event in events:
        play(mesh, event)
        before = mesh.values
        mesh.restart()
        assert mesh.values == before


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=8))
def test_the_last_writer_wins(events: list[tuple[str, str, dict[str, str]]]) -> None:
    mesh, expected, written = Mesh(), {}, {}
    for event in events:
        play(mesh, event)
        what, where, values = event
        if what == "file":
            now = {f"{name}-{where[:3]}": text for name, text in values.items()}
            before = written.get(where, {})
            for name in now.keys() | before.keys():
                if now.get(name) == before.get(name):
                    continue
                if name in now:
                    expected[name] = ("file", now[name])
                elif expected.get(name, ("", ""))[0] == "file":
                    del expected[name]
            written[where] = now
        elif what == "apply":
            for name, text in values.items():
                if expected.get(f"{name}-one", ("", ""))[1] != text:
                    expected[f"{name}-one"] = ("applied", text)
        else:
            expected.pop(f"{where}-one", None)
        assert mesh.values == {name: text for name, (_, text) in expected.items()}


def test_an_object_in_a_file_with_broken_yaml_is_not_the_newest_word() -> None:
    store = Store(Memory())
    good = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"
    store.read_files({"mesh.yaml": decode.decode_yaml(good, "mesh.yaml")})
    store.read_files({"mesh.yaml": decode.decode_yaml(good + "\n---\nkind: [", "mesh.yaml")})
    status = store.status(A)
    assert status is not None
    assert [violation.source.file for violation in status.refused] == ["mesh.yaml"]


HANDLER = document("handler", "h", "compiledAdapter: denier")
INSTANCE = document("instance", "i", "compiledTemplate: checknothing")
RULE = document("rule", "r", "actions: [{handler: h, instances: [i]}]")
BAD_RULE = document("rule", "r", "match: nothing.there\nactions: [{handler: h, instances: [i]}]")
RULE_KEY = ObjectKey("config.istio.io", "rule", "default", "r")


def mixed(*documents: str, file: str = "mixer.yaml") -> Decoded:
    return decode.decode_yaml("---\n".join(documents), file)


def test_a_rule_that_names_what_is_not_there_is_refused_beside_what_works_out() -> None:
    store = Store(Memory())
    edit = store.apply(mixed(INSTANCE, RULE))
    assert [(each.subject, each.action) for each in edit.outcomes] == [
        ("instance default/i", Action.CREATED),
        ("rule default/r", Action.REFUSED),
    ]
    assert [str(violation) for violation in edit.outcomes[1].violations] == [
        "mixer.yaml:15: rule default/r: spec.actions[0].handler: unknown handler h"
    ]
    assert store.get(RULE_KEY) is None


def test_a_bad_rule_leaves_the_last_good_one() -> None:
    store = Store(Memory())
    store.apply(mixed(HANDLER, INSTANCE, RULE))
    good = store.get(RULE_KEY)
    edit = store.apply(mixed(BAD_RULE))
    assert (edit.outcomes[0].action, edit.changes) == (Action.REFUSED, ())
    assert store.get(RULE_KEY) is good
    status = store.status(RULE_KEY)
    assert status is not None
    assert len(status.refused) == 1


def test_a_rule_of_a_file_waits_for_its_handler() -> None:
    store = Store(Memory())
    store.read_files({"rules.yaml": mixed(INSTANCE, RULE, file="rules.yaml")})
    assert store.get(RULE_KEY) is None
    assert [violation.subject for violation in store.violations()] == ["rule default/r"]
    changes = store.read_files({"handlers.yaml": mixed(HANDLER, file="handlers.yaml")})
    assert {change.key.kind for change in changes} == {"handler", "rule"}
    assert store.violations() == ()


def test_a_rule_of_a_file_stands_as_soon_as_its_handler_is_applied() -> None:
    store = Store(Memory())
    store.read_files({"rules.yaml": mixed(INSTANCE, RULE, file="rules.yaml")})
    edit = store.apply(mixed(HANDLER))
    assert {change.key.kind for change in edit.changes} == {"handler", "rule"}
    assert store.get(RULE_KEY) is not None
    assert store.violations() == ()


def test_a_file_with_a_bad_rule_leaves_the_last_good_one_also_over_a_restart() -> None:
    memory = Memory()
    store = Store(memory)
    store.read_files({"all.yaml": mixed(HANDLER, INSTANCE, RULE, file="all.yaml")})
    good = store.get(RULE_KEY)
    bad = {"all.yaml": mixed(HANDLER, INSTANCE, BAD_RULE, file="all.yaml")}
    assert store.read_files(bad) == ()
    assert (store.get(RULE_KEY), len(store.violations())) == (good, 1)
    again = Store(memory)
    again.load()
    again.read_files(bad)
    assert (again.get(RULE_KEY), len(again.violations())) == (good, 1)
    again.read_files({"all.yaml": mixed(HANDLER, INSTANCE, file="all.yaml")})
    assert (again.get(RULE_KEY), again.violations()) == (None, ())
    assert [record for record in memory.records if record["layer"] == "last good"] == []


def test_an_applied_rule_wins_over_a_file_that_waits() -> None:
    store = Store(Memory())
    store.read_files({"all.yaml": mixed(HANDLER, INSTANCE, BAD_RULE, file="all.yaml")})
    store.apply(mixed(RULE))
    assert store.get(RULE_KEY) is not None
    store.read_files({"other.yaml": mixed(HANDLER.replace("name: h", "name: other"), file="other.yaml")})
    assert store.get(RULE_KEY) is not None


def test_a_rule_whose_handler_is_deleted_is_told_to_have_no_effect() -> None:
    store = Store(Memory())
    store.apply(mixed(HANDLER, INSTANCE, RULE))
    store.delete([ObjectKey("config.istio.io", "handler", "default", "h")])
    status = store.status(RULE_KEY)
    assert status is not None
    assert [violation.message for violation in status.refused] == ["unknown handler h"]
    assert [violation.subject for violation in store.violations()] == ["rule default/r"]
    store.apply(mixed(HANDLER))
    assert store.violations() == ()


LIST = document("handler", "h", "compiledAdapter: listchecker")
DOCUMENTS = st.sampled_from([HANDLER, LIST, INSTANCE, RULE, BAD_RULE, document("rule", "s", "match: connection.mtls")])
WISHES = st.lists(
    st.tuples(st.sampled_from(["a.yaml", "b.yaml", "apply"]), st.lists(DOCUMENTS, max_size=3)), max_size=6
)


def wish(store: Store, place: str, documents: list[str]) -> None:
    """Apply documents, or write them to a file; of two for one object the first counts."""
    if place == "apply":
        store.apply(mixed(*documents))
    else:
        store.read_files({place: mixed(*documents, file=place)})


def working(store: Store) -> dict[ObjectKey, str]:
    """Return the objects that have an effect: those that stand and work out with the others."""
    standing = {status.object.key: status.object for status in store.statuses()}
    faulty = settlement.faults_of(standing)
    return {key: item.body.decode() for key, item in standing.items() if key not in faulty}


@given(WISHES)
@settings(deadline=None)
def test_whatever_is_wished_what_stands_works_out_while_nothing_is_taken_away(
    wishes: list[tuple[str, list[str]]],
) -> None:
    store = Store(Memory())
    for number, (place, documents) in enumerate(wishes):
        wish(store, place if place == "apply" else f"{number}.yaml", documents)
        standing = {status.object.key: status.object for status in store.statuses()}
        assert settlement.faults_of(standing) == {}


@given(WISHES, st.integers(0, 5))
@settings(deadline=None)
def test_a_restart_changes_nothing_for_rules(wishes: list[tuple[str, list[str]]], restart: int) -> None:
    memory = Memory()
    kept, fresh = Store(Memory()), Store(memory)
    files: dict[str, Decoded] = {}
    for number, (place, documents) in enumerate(wishes):
        if place != "apply":
            files[place] = mixed(*documents, file=place)
        for store in (kept, fresh):
            wish(store, place, documents)
        if number == restart:
            fresh = Store(memory)
            fresh.load()
            fresh.read_files(files)
        assert working(fresh) == working(kept)
