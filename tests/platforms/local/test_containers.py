"""What a container runs: command, folder and environment."""

from typing import Any

import pytest

from lateen.api.core.container import Container
from lateen.platforms.local.containers import (
    Ground,
    ImageMap,
    Program,
    Unrunnable,
    is_proxy,
    read_image_map,
    resolve_program,
)
from lateen.platforms.local.environment import PodFacts, Sources, expand

FACTS = PodFacts(
    name="web-1",
    namespace="shop",
    uid="u",
    address="10.244.1.7",
    node_name="localhost",
    node_address="10.244.0.1",
    service_account="seller",
    labels={"app": "web"},
    annotations={"example.com/team": "a"},
)
SOURCES = Sources(
    config_map={"settings": {"COLOR": "red", "not a name": "x"}}.get, secret={"keys": {"TOKEN": "t0p"}}.get
)


def resolve(image_map: ImageMap | None = None, folder: str = "/config", **fields: Any) -> Program | Unrunnable:
    container = Container.model_validate({"name": "app", **fields})
    ground = Ground(environment={"PATH": "/bin"}, image_map=image_map or {}, folder="/home")
    return resolve_program(container, FACTS, SOURCES, ground, folder)


def program(**fields: Any) -> Program:
    found = resolve(**fields)
    assert isinstance(found, Program), found
    return found


def environment(*env: dict[str, Any], **fields: Any) -> dict[str, str]:
    variables = dict(program(command=["x"], env=env, **fields).environment)
    return {name: text for name, text in variables.items() if name not in ("PATH", "PWD", "HOSTNAME")}


@pytest.mark.parametrize(
    ("fields", "argv", "folder"),
    [
        ({"command": ["python3", "a.py"], "args": ["-v"]}, ("python3", "a.py", "-v"), "/config"),
        ({"command": ["./run"]}, ("/config/run",), "/config"),
        ({"command": ["bin/run"], "workingDir": "app"}, ("/config/app/bin/run",), "/config/app"),
        ({"command": ["../run"], "workingDir": "/srv/app"}, ("/srv/run",), "/srv/app"),
        ({"command": ["x"], "folder": ""}, ("x",), "/home"),
        ({"command": ["x", "$(HOSTNAME)", "$$(HOSTNAME)", "$(NO)"]}, ("x", "web-1", "$(HOSTNAME)", "$(NO)"), "/config"),
        ({"image": "img:1", "args": ["b"], "image_map": {"img": "run -a"}}, ("run", "-a", "b"), "/config"),
        ({"image": "reg:5000/img@sha256:1", "image_map": {"reg:5000/img": ["./run"]}}, ("/config/run",), "/config"),
        ({"image": "i:2", "image_map": {"i": "any", "i:2": "two"}}, ("two",), "/config"),
        ({"image": "i", "command": ["own"], "image_map": {"i": "mapped"}}, ("own",), "/config"),
    ],
)  # fmt: skip
def test_what_is_run_where(fields: dict[str, Any], argv: tuple[str, ...], folder: str) -> None:
    found = program(**fields)
    assert (found.argv, found.folder) == (argv, folder)


def test_an_image_without_command_is_refused_with_the_ways_out() -> None:
    refused = resolve(image="example/web:2")
    assert isinstance(refused, Unrunnable)
    assert refused.reason == "ImageNotMapped"
    assert "give it a command" in str(refused)
    assert "--image-map example/web=COMMAND" in str(refused)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ({"fieldRef": {"fieldPath": "metadata.name"}}, "web-1"),
        ({"fieldRef": {"fieldPath": "metadata.labels['app']"}}, "web"),
        ({"fieldRef": {"fieldPath": "metadata.annotations['example.com/team']"}}, "a"),
        ({"fieldRef": {"fieldPath": "status.podIP"}}, "10.244.1.7"),
        ({"fieldRef": {"fieldPath": "spec.serviceAccountName"}}, "seller"),
        ({"configMapKeyRef": {"name": "settings", "key": "COLOR"}}, "red"),
        ({"secretKeyRef": {"name": "keys", "key": "TOKEN"}}, "t0p"),
        ({"resourceFieldRef": {"resource": "limits.cpu"}}, "0"),
    ],
)
def test_values_from_elsewhere(source: dict[str, Any], value: str) -> None:
    assert environment({"name": "X", "valueFrom": source}) == {"X": value}


def test_later_variables_see_earlier_ones_and_whole_maps_come_first() -> None:
    found = environment(
        {"name": "A", "value": "$(PRE_COLOR)-$(B)"},
        {"name": "B", "value": "$(A)!"},
        envFrom=[{"prefix": "PRE_", "configMapRef": {"name": "settings"}}],
    )
    assert found == {"PRE_COLOR": "red", "A": "red-$(B)", "B": "red-$(B)!"}


def test_everything_that_is_missing_is_named_and_optional_references_are_not() -> None:
    refused = resolve(
        command=["x"],
        env=[
            {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "k"}}},
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "k", "optional": True}}},
            {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.mood"}}},
        ],
        envFrom=[{"secretRef": {"name": "gone"}}, {"configMapRef": {"name": "gone", "optional": True}}],
    )
    assert isinstance(refused, Unrunnable)
    assert [text.partition(";")[0] for text in refused.problems] == [
        "Secret gone does not exist",
        "ConfigMap none has no key k",
        "fieldPath metadata.mood is not known",
    ]


def test_dollar_signs() -> None:
    assert expand("$(A) $$(A) $A $(A", {"A": "1"}) == "1 $(A) $A $(A"


def test_the_proxy_is_told_from_an_app() -> None:
    def container(**fields: Any) -> Container:
        return Container.model_validate(fields)

    assert is_proxy(container(name="istio-proxy", image="auto"))
    assert not is_proxy(container(name="app", image="auto", command=["x"]))


def test_image_maps_as_typed() -> None:
    assert read_image_map(["a:1=python3 a.py -x=1"]) == {"a:1": "python3 a.py -x=1"}
    with pytest.raises(ValueError, match="'a' must be IMAGE=COMMAND"):
        read_image_map(["a"])
