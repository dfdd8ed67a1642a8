"""Grafana's JSON model of a dashboard, from its panels. What all panels share is here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
"""Source of every panel: the variable at the top of a dashboard, so that a Grafana with several of them can choose."""

_SOURCE_VARIABLE = {
    "name": "datasource",
    "label": "Prometheus",
    "type": "datasource",
    "query": "prometheus",
    "current": {},
    "hide": 0,
    "includeAll": False,
    "multi": False,
    "options": [],
    "refresh": 1,
    "regex": "",
}

WIDTH, HEIGHT = 8, 8
"""Size of a panel on Grafana's grid of 24 columns."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `queries` are legend formats by PromQL expression; `unit` is Grafana's id of a unit."""

    title: str
    queries: Mapping[str, str]
    unit: str = "short"
    kind: str = "timeseries"


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard: its rows of panels by title."""

    uid: str
    title: str
    rows: Mapping[str, Sequence[Panel]]


def expressions(dashboard: Dashboard) -> list[str]:
    """Return all PromQL expressions of a dashboard."""
    return [query for panels in dashboard.rows.values() for panel in panels for query in panel.queries]


def to_json(dashboard: Dashboard) -> str:
    """Return the dashboard in Grafana's JSON model."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in dashboard.rows.items():
        panels.append(
            {"type": "row", "title": title, "id": len(panels) + 1, "gridPos": _position(0, top, 24, 1), "panels": []}
        )
        top += 1
        for number, panel in enumerate(row):
            left, line = number % 3 * WIDTH, number // 3
            panels.append(_panel(panel, len(panels) + 1, _position(left, top + line * HEIGHT, WIDTH, HEIGHT)))
        top += -(-len(row) // 3) * HEIGHT
    model = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["sakidashi"],
        "timezone": "browser",
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_SOURCE_VARIABLE]},
        "panels": panels,
    }
    return json.dumps(model, indent=1, ensure_ascii=False) + "\n"


def _panel(panel: Panel, number: int, position: dict[str, int]) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "title": panel.title,
        "id": number,
        "gridPos": position,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": query, "legendFormat": legend}
            for index, (query, legend) in enumerate(panel.queries.items())
        ],
    }


def _position(left: int, top: int, width: int, height: int) -> dict[str, int]:
    return {"x": left, "y": top, "w": width, "h": height}
