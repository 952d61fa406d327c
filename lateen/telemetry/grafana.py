"""Says dashboards as Grafana imports them."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from lateen.telemetry.dashboard_types import Dashboard, Panel, Variable

Json = dict[str, Any]

_SCHEMA: Final = 39
_COLUMNS: Final = 24
_HEIGHT: Final = 8
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def document(dashboard: Dashboard) -> Json:
    """Say a dashboard as Grafana imports it."""
    return {
        "uid": f"lateen-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["lateen"],
        "schemaVersion": _SCHEMA,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-15m", "to": "now"},
        "templating": {"list": [_data_source(), *map(_variable, dashboard.variables)]},
        "panels": list(_panels(dashboard.panels)),
    }


def _panels(panels: Sequence[Panel]) -> Iterator[Json]:
    """Place pictures from left to right, row by row."""
    left, top = 0, 0
    for number, panel in enumerate(panels, start=1):
        if left + panel.width > _COLUMNS:
            left, top = 0, top + _HEIGHT
        place = {"x": left, "y": top, "w": panel.width, "h": _HEIGHT}
        yield _panel(panel, number, place)
        left += panel.width


def _panel(panel: Panel, number: int, place: Json) -> Json:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + position),
                "datasource": _SOURCE,
                "expr": curve.query,
                "legendFormat": curve.legend,
            }
            for position, curve in enumerate(panel.curves)
        ],
    }


def _data_source() -> Json:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _variable(variable: Variable) -> Json:
    query = f"label_values({variable.metric}, {variable.label})"
    return {
        "name": variable.name,
        "label": variable.name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": variable.name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
    }
