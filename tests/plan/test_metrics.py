"""Which metrics are made, as Telemetry objects of all scopes together say."""

from typing import Any

import pytest

from lateen.plan.telemetry_types import Measure, Metric, Metrics, TagChange
from lateen.plan.types import ProxyPlan
from tests.plan import worlds

Spec = tuple[str, str]


def plan(*specs: Spec, mesh: dict[str, Any] | None = None, **labels: str) -> ProxyPlan:
    """The plan of a sidecar; a spec comes with the namespace of its object."""
    text = "\n---\n".join(
        f"apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {{name: t{number}, namespace: {place}}}\n"
        f"spec: {spec}"
        for number, (place, spec) in enumerate(specs)
    )
    return worlds.plan(text, mesh=mesh, **labels)


def overrides(*entries: str, more: str = "") -> str:
    return f"{{{more}metrics: [{{overrides: [{', '.join(entries)}]}}]}}"


def client(*specs: Spec, mesh: dict[str, Any] | None = None, **labels: str) -> Metrics | None:
    return plan(*specs, mesh=mesh, **labels).telemetry.outbound.metrics


NO_COUNT = "{match: {metric: REQUEST_COUNT}, disabled: true}"
COUNT_AGAIN = "{match: {metric: REQUEST_COUNT}, disabled: false}"
NO_FLAGS = "{match: {metric: REQUEST_COUNT}, tagOverrides: {response_flags: {operation: REMOVE}}}"
HOST = "{match: {metric: REQUEST_COUNT}, tagOverrides: {host: {value: request.host}}}"
ROOT, OWN = "istio-system", "default"


def test_without_a_word_all_standard_metrics_are_made() -> None:
    telemetry = plan().telemetry
    assert (telemetry.outbound.metrics, telemetry.inbound.metrics) == (Metrics(), Metrics())


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ([(ROOT, overrides(NO_COUNT))], Metrics(disabled=(Measure.REQUESTS,))),
        ([(ROOT, overrides(NO_COUNT)), (OWN, overrides(COUNT_AGAIN))], Metrics()),
        ([(ROOT, overrides("{disabled: true}"))], None),
        ([(ROOT, overrides("{match: {metric: ALL_METRICS, mode: CLIENT}, disabled: true}"))], None),
        ([(ROOT, overrides("{match: {mode: SERVER}, disabled: true}"))], Metrics()),
        ([(ROOT, overrides("{disabled: true}")), (OWN, overrides(COUNT_AGAIN))], Metrics()),
        (
            [(ROOT, overrides(NO_FLAGS)), (OWN, overrides(HOST))],
            Metrics(
                changes=((Measure.REQUESTS, (TagChange("host", "request.host"), TagChange("response_flags", None))),)
            ),
        ),
        (
            [(OWN, overrides("{match: {customMetric: istio_shoes}, tagOverrides: {host: {value: request.host}}}"))],
            Metrics(
                custom=(
                    Metric(
                        "istio_shoes",
                        tags=(TagChange("host", "request.host"),),
                        is_standard=True,
                        of_connections=True,
                    ),
                )
            ),
        ),
        ([("elsewhere", overrides(NO_COUNT))], Metrics()),
    ],
)
def test_a_narrower_scope_says_what_is_to_be_otherwise(specs: list[Spec], expected: Metrics | None) -> None:
    assert client(*specs) == expected


def test_a_selector_picks_workloads() -> None:
    chosen = (OWN, overrides(NO_COUNT, more="selector: {matchLabels: {app: a}}, "))
    assert client(chosen, app="a") == Metrics(disabled=(Measure.REQUESTS,))
    assert client(chosen, app="b") == Metrics()


def test_only_the_oldest_of_a_scope_counts() -> None:
    made = plan((OWN, overrides(NO_COUNT)), (OWN, overrides(NO_FLAGS)))
    assert made.telemetry.outbound.metrics == Metrics(disabled=(Measure.REQUESTS,))
    (note,) = made.diagnostics
    assert "t1" in str(note)
    assert "is older" in str(note)


@pytest.mark.parametrize(
    ("mesh", "is_compact"),
    [
        ({}, True),
        ({"default_config": {"statsd_udp_address": "10.0.0.1:8125"}}, False),
        (
            {
                "extension_providers": [{"name": "s", "dogstatsd": {"address": "10.0.0.1:8125"}}],
                "default_providers": {"metrics": ["prometheus", "s"]},
            },
            False,
        ),
    ],
)
def test_labels_stay_apart_where_metrics_are_sent_to_servers(mesh: dict[str, Any], is_compact: bool) -> None:
    assert client(mesh=mesh) == Metrics(is_compact=is_compact)


def test_a_provider_that_nobody_knows_takes_no_metrics() -> None:
    made = plan((OWN, "{metrics: [{providers: [{name: nobody}]}]}"))
    assert made.telemetry.outbound.metrics is None
    assert "'nobody' takes no metrics here" in str(made.diagnostics[0])
