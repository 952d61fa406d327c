"""Telemetry: expressions and formats are checked when they are read, so that no proxy has to refuse them."""

import pytest

from lateen.api import decode
from lateen.api.telemetry import expressions, formats

TELEMETRY = "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {{name: a}}\nspec: {spec}\n"
TAGS = "metrics: [{{overrides: [{{tagOverrides: {{team: {tag}}}}}]}}]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("request.host", "request.host"),
        ("string(destination.port)", "string(destination.port)"),
        ("'a' +\n request.method", '"a" + request.method'),
        ("has(request.headers) ? request.headers['x'] : 'none'", None),
        ("xds.cluster_metadata.filter_metadata['lateen']['host']", None),
    ],
)
def test_what_a_proxy_can_evaluate_is_taken(text: str, said: str | None) -> None:
    assert said is None or expressions.check_attributes(text) == said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("request.hosst", "did you mean host?"),
        ("node.id", "node is nothing that a proxy knows"),
        ("foo(", "must have a value here"),
        ("foo(1)", "which Envoy does not have"),
        ("string(request.path) == 'a'", "must not use string()"),
        ("'a)%'", "must not have )%"),
        ("", "must not be empty"),
    ],
)
def test_what_a_proxy_would_refuse_or_not_know_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match="must") as refused:
        expressions.check_attributes(text)
    assert why in str(refused.value)


def test_a_condition_is_no_text() -> None:
    with pytest.raises(ValueError, match="must be true or false of a call"):
        expressions.check_condition("'always'")


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ("{operation: UPSERT}", "tagOverrides.team.value: must have a value"),
        ("{operation: REMOVE, value: request.host}", "tagOverrides.team.value: must not have a value"),
        ("{value: 'request.hosst'}", "tagOverrides.team.value: must be an expression in CEL"),
    ],
)
def test_a_fault_is_told_with_file_line_and_field(tag: str, why: str) -> None:
    spec = "{" + TAGS.format(tag=tag) + "}"
    (violation,) = decode.decode_yaml(TELEMETRY.format(spec=spec), "t.yaml").violations
    assert str(violation).startswith("t.yaml:4: Telemetry default/a: spec.metrics[0].overrides[0].")
    assert why in str(violation)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("%START_TIME(%Y-%m-%d %s)% %REQ(X?:PATH):10% 100%% %CEL(request.path)%", []),
        ("%DURATIO%", ["must not have %DURATIO%, which Envoy does not know; did you mean DURATION?"]),
        ("%REQ%", ["must say of what: %REQ(…)%"]),
        ("%DURATION(1)%", ["must not say more than %DURATION%"]),
        ("50%", ["must have an operator like %DURATION% after the % at character 3, or %%"]),
        ("%CEL(f())%", ["must have an expression in CEL in %CEL(…)%: must not call f(), which Envoy does not have"]),
    ],
)
def test_formats_of_logs_are_envoys(text: str, faults: list[str]) -> None:
    assert [fault.removesuffix(" (at character 1)") for fault in formats.format_faults(text)] == faults
