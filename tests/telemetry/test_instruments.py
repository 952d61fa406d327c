"""Counters, gauges and histograms."""

from lateen.telemetry import exposition
from lateen.telemetry.instruments import Counter, Gauge, Histogram, Registry


def test_a_registry_tells_what_its_instruments_read() -> None:
    pushes = Counter("pushes_total", "Pushes.", "type")
    took = Histogram("took_seconds", "How long.", bounds=(0.1, 1.0))
    registry = Registry()
    registry.add(pushes, took, Gauge("proxies", "Proxies.", read=lambda: 2), Counter("never_total", "Never.", "why"))
    pushes.add(1, "cds")
    pushes.add(2, "cds")
    for value in (0.1, 0.5, 7.0):
        took.observe(value)
    assert exposition.write(registry.families()).splitlines() == [
        "# HELP pushes_total Pushes.",
        "# TYPE pushes_total counter",
        'pushes_total{type="cds"} 3',
        "# HELP took_seconds How long.",
        "# TYPE took_seconds histogram",
        'took_seconds_bucket{le="0.1"} 1',
        'took_seconds_bucket{le="1"} 2',
        'took_seconds_bucket{le="+Inf"} 3',
        "took_seconds_sum 7.6",
        "took_seconds_count 3",
        "# HELP proxies Proxies.",
        "# TYPE proxies gauge",
        "proxies 2",
    ]


def test_a_counter_without_labels_is_there_from_the_beginning() -> None:
    assert Counter("x_total", "X.").family().lines == ["x_total 0"]
