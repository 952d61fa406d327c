"""The dashboards as files."""

import json
from pathlib import Path

import pytest

from lateen.telemetry import dashboards, grafana
from lateen.telemetry.dashboard_types import Dashboard, queries

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana"


@pytest.mark.parametrize("dashboard", dashboards.DASHBOARDS, ids=lambda each: each.name)
def test_the_file_is_what_the_table_says(dashboard: Dashboard) -> None:
    said = json.loads((FOLDER / f"{dashboard.name}.json").read_text())
    assert said == grafana.document(dashboard), "run scripts/write-dashboards"


def test_there_are_no_other_files() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {each.name for each in dashboards.DASHBOARDS}


@pytest.mark.parametrize("dashboard", dashboards.DASHBOARDS, ids=lambda each: each.name)
def test_pictures_do_not_overlap_and_queries_name_only_known_variables(dashboard: Dashboard) -> None:
    panels = grafana.document(dashboard)["panels"]
    places = [
        (x, panel["gridPos"]["y"])
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
    ]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24
    chosen = {variable.name: "x" for variable in dashboard.variables} | {"__rate_interval": "1m"}
    assert not [query for query in queries(dashboard, chosen) if "$" in query]
