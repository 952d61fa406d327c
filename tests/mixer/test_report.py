"""What the rules tell of what happened."""

from datetime import timedelta

from lateen.mixer import report
from lateen.mixer.ports import MadeInstance
from tests.mixer.mixes import bag, document, ready_rules

METRIC = document(
    "metric",
    "double",
    """
    value: "2"
    dimensions:
      reporter: conditional((context.reporter.kind | "inbound") == "outbound", "client", "server")
      source: source.workload.name | "unknown"
    monitored_resource_type: '"UNSPECIFIED"'
    """,
)
LOG = document("logentry", "slow", "severity: '\"info\"'\nvariables:\n  latency: response.duration")
STDIO = document("stdio", "out")
RULE = document(
    "rule",
    "tell",
    "match: response.code >= 500\nactions: [{handler: out.stdio, instances: [double.metric, slow.logentry]}]",
)


def test_a_matching_rule_tells_each_of_its_instances() -> None:
    values = {"response.code": 503, "response.duration": timedelta(seconds=2)}
    observed = list(report.observe(ready_rules(METRIC, LOG, STDIO, RULE), bag(values), "default"))
    assert [(each.handler, each.instance) for each in observed] == [
        (
            "out.stdio.default",
            MadeInstance(
                "double.metric.default",
                "metric",
                {
                    "value": 2,
                    "dimensions": {"reporter": "server", "source": "unknown"},
                    "monitored_resource_type": "UNSPECIFIED",
                    "monitored_resource_dimensions": {},
                },
            ),
        ),
        (
            "out.stdio.default",
            MadeInstance(
                "slow.logentry.default",
                "logentry",
                {
                    "severity": "info",
                    "variables": {"latency": timedelta(seconds=2)},
                    "monitored_resource_dimensions": {},
                },
            ),
        ),
    ]


def test_a_batch_is_sorted_by_handler_and_template_and_counts_what_is_lost() -> None:
    rules = ready_rules(METRIC, LOG, STDIO, RULE)
    bags = [bag({"response.code": 500}), bag({"response.code": 503, "response.duration": timedelta(1)}), bag()]
    batch = report.batch(found for each in bags for found in report.observe(rules, each, "default"))
    counts = {template: len(made) for template, made in batch.instances["out.stdio.default"].items()}
    assert counts == {"metric": 2, "logentry": 1}
    assert batch.faults == ("slow.logentry.default: variables.latency has no value: response.duration",)


def test_a_rule_that_does_not_match_tells_nothing() -> None:
    rules = ready_rules(METRIC, LOG, STDIO, RULE)
    assert list(report.observe(rules, bag({"response.code": 200}), "default")) == []
