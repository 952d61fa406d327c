"""The tasks of Mixer's documentation, as they were written for its releases, are read without a fault."""

from pathlib import Path

import pytest

from lateen.api import decode
from lateen.api.config_set import ConfigSet
from lateen.mixer import rules
from tests.mixer.mixes import document, faults

TASKS = sorted((Path(__file__).parents[2] / "examples" / "bookinfo" / "mixer").glob("*.yaml"))


@pytest.mark.parametrize("task", TASKS, ids=lambda path: path.stem)
def test_a_task_of_the_last_releases_is_read(task: Path) -> None:
    decoded = decode.decode_yaml(task.read_text(encoding="utf-8"), task.name)
    found = rules.resolve(ConfigSet(decoded.objects), "istio-system")
    assert (decoded.violations, found.violations, found.unresolved) == ((), (), ())
    assert found.rules


FIRST_RELEASE = {
    "deny by label": (
        document("denier", "denyreviewsv3handler", "status:\n  code: 7\n  message: Not allowed"),
        document("checknothing", "denyreviewsv3request"),
        document(
            "rule",
            "denyreviewsv3",
            """
            match: destination.labels["app"] == "ratings" && source.labels["app"]=="reviews" && source.labels["version"] == "v3"
            actions:
            - handler: denyreviewsv3handler.denier
              instances: [ denyreviewsv3request.checknothing ]
            """,
        ),
    ),
    "white list by version": (
        document("listchecker", "staticversion", 'overrides: ["v1", "v2"]\nblacklist: false'),
        document("listentry", "appversion", 'value: source.labels["version"]'),
        document(
            "rule",
            "checkversion",
            """
            match: destination.labels["app"] == "ratings"
            actions:
            - handler: staticversion.listchecker
              instances: [appversion.listentry]
            """,
        ),
    ),
    "rate limit with an override": (
        document(
            "memquota",
            "handler",
            """
            quotas:
            - name: requestcount.quota.default
              max_amount: 5000
              valid_duration: 1s
              overrides:
              - dimensions: {destination: ratings, source: reviews, sourceVersion: v3}
                max_amount: 1
                valid_duration: 5s
            """,
        ),
        document(
            "quota",
            "requestcount",
            """
            dimensions:
              source: source.labels["app"] | source.service | "unknown"
              sourceVersion: source.labels["version"] | "unknown"
              destination: destination.labels["app"] | destination.service | "unknown"
            """,
        ),
        document("rule", "quota", "actions: [{handler: handler.memquota, instances: [requestcount.quota]}]"),
    ),
    "metric of TCP bytes": (
        document(
            "prometheus",
            "handler",
            """
            metrics:
            - name: mongo_sent_bytes
              instance_name: mongosentbytes.metric.default
              kind: COUNTER
              label_names: [source_service, destination_version]
            """,
        ),
        document(
            "metric",
            "mongosentbytes",
            """
            value: connection.sent.bytes | 0
            dimensions:
              source_service: source.workload.name | "unknown"
              destination_version: destination.labels["version"] | "unknown"
            monitoredResourceType: '"UNSPECIFIED"'
            """,
        ),
        document(
            "rule",
            "mongoprom",
            """
            match: context.protocol == "tcp" && destination.service == "mongodb.default.svc.cluster.local"
            actions: [{handler: handler.prometheus, instances: [mongosentbytes.metric]}]
            """,
        ),
    ),
}


@pytest.mark.parametrize("task", FIRST_RELEASE)
def test_a_task_of_the_first_releases_is_read(task: str) -> None:
    assert faults(*FIRST_RELEASE[task]) == []
