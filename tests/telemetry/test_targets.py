"""Where an application's own metrics are, as its annotations tell."""

import pytest

from lateen.telemetry import targets

SCRAPED = {"prometheus.io/scrape": "true"}


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, ""),
        ({"prometheus.io/scrape": "false", "prometheus.io/port": "80"}, ""),
        (SCRAPED, "http://10.0.0.1:9080/metrics"),
        (
            {**SCRAPED, "prometheus.io/port": "8081", "prometheus.io/path": "stats", "prometheus.io/scheme": "https"},
            "https://10.0.0.1:8081/stats",
        ),
        ({**SCRAPED, "prometheus.istio.io/merge-metrics": "false"}, ""),
        ({**SCRAPED, "prometheus.io/port": "web"}, ""),
        ({**SCRAPED, "prometheus.io/scheme": "file"}, ""),
    ],
)
def test_annotations_tell_the_address(annotations: dict[str, str], expected: str) -> None:
    assert targets.application_url(annotations, address="10.0.0.1", declared_port=9080) == expected


def test_what_the_mesh_does_not_merge_a_pod_can() -> None:
    merged = {**SCRAPED, "prometheus.istio.io/merge-metrics": "true"}
    found = [targets.application_url(each, address="10.0.0.1", merges=False) for each in (SCRAPED, merged)]
    assert found == ["", "http://10.0.0.1:80/metrics"]
