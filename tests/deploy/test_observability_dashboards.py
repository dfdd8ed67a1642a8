"""Dashboards without a Grafana: a linter of their files, and every panel over what a journey made services export."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.observability import dashboards
from deploy.observability.dashboards import DASHBOARDS
from deploy.observability.grafana_model import SOURCE, Dashboard, expressions
from tests.conftest import MakeDatabase
from tests.deploy.promtool import assert_answers, needs_promtool, promtool
from tests.deploy.scraping import Scrape, at_rest, scrape_until, value
from tests.journey.backbone import backbone
from tests.journey.test_replacement import swap

FILES = [pytest.param(json.loads(text), id=name) for name, text in dashboards.files().items()]

UNITS = {"s", "bytes", "percentunit", "ops", "reqps", "short"}
"""Grafana's ids of the units in use."""


def panels(model: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return (panel for panel in model["panels"] if panel["type"] != "row")


@pytest.mark.parametrize("model", FILES)
def test_every_panel_reads_the_chosen_source(model: Mapping[str, Any]) -> None:
    (variable,) = model["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    sources = [each["datasource"] for panel in panels(model) for each in (panel, *panel["targets"])]
    assert all(source == SOURCE for source in sources)


@pytest.mark.parametrize("model", FILES)
def test_titles_and_legends_say_what_is_shown(model: Mapping[str, Any]) -> None:
    titles = [panel["title"] for panel in panels(model)]
    assert len(titles) == len(set(titles))
    assert all(re.fullmatch(r"[A-Z0-9].{1,48}[^.]", title) for title in titles)
    assert all(target["legendFormat"] for panel in panels(model) for target in panel["targets"])


@pytest.mark.parametrize("model", FILES)
def test_every_panel_has_a_query_and_letters_that_differ(model: Mapping[str, Any]) -> None:
    for panel in panels(model):
        letters = [target["refId"] for target in panel["targets"]]
        assert letters, panel["title"]
        assert len(letters) == len(set(letters)), panel["title"]


def unit_of(expression: str) -> str:
    """Return the unit of the values of an expression, by the names and functions in it."""
    if "_ratio_" in expression or "process_cpu_time" in expression:
        return "percentunit"
    if "increase(" in expression or "* 3600" in expression:
        return "short"
    if "histogram_quantile" in expression or "rate(" not in expression:
        for ending, unit in (("_seconds", "s"), ("_bytes", "bytes")):
            if re.search(rf"{ending}(_bucket)?\b", expression):
                return unit
        return "short"
    return "reqps" if "http_server_request" in expression else "ops"


@pytest.mark.parametrize("model", FILES)
def test_every_panel_has_the_unit_of_its_query(model: Mapping[str, Any]) -> None:
    wrong = {}
    for panel in panels(model):
        unit = panel["fieldConfig"]["defaults"]["unit"]
        assert unit in UNITS
        if any(unit_of(target["expr"]) != unit for target in panel["targets"]):
            wrong[panel["title"]] = unit
    assert wrong == {}


@pytest.mark.parametrize("model", FILES)
def test_rates_are_taken_over_the_interval_that_grafana_chooses(model: Mapping[str, Any]) -> None:
    """A fixed range misses samples where a page shows weeks; `increase` per hour or day is meant as it is."""
    for panel in panels(model):
        for target in panel["targets"]:
            ranges = re.findall(r"\brate\([^\[]*\[([^\]]+)\]\)", target["expr"])
            assert all(each == "$__rate_interval" or "* 3600" in target["expr"] for each in ranges), panel["title"]


@needs_promtool
@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: str(each.uid))
def test_prometheus_understands_every_query(dashboard: Dashboard, tmp_path: Path) -> None:
    recorded = [{"record": f"panel:{n}", "expr": _closed(each)} for n, each in enumerate(expressions(dashboard))]
    rules = tmp_path / "panels.yml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}), encoding="utf-8")
    assert f"{len(recorded)} rules found" in promtool("check", "rules", rules.name, folder=tmp_path)


def _closed(expression: str) -> str:
    return expression.replace("$__rate_interval", "5m")


WITHOUT_FAULTS = {
    "Server errors", "Anomalies", "Rejected reports per hour", "Refunds per hour", "Reviews per day", "Retries",
    "Replaced dates per hour", "Webhooks per hour", "Halted topics", "Reports that fail",
    "Replacement orders that are late", "Processes", "First dates of the last 30 days",
    "Kept first dates by warehouse and carrier", "Kept first dates by product group",
    "Audited promises of the last 30 days",
}  # fmt: skip
"""Panels without a line after a journey in which nothing fails, nobody is refunded, no webhook arrives and nobody
audits; its first dates are still to come. The series of "Processes" is Prometheus' own."""

WITHOUT_OUTCOMES = {(f"Sakidashi: {service}", "Outcomes") for service in ("intake", "returns", "loyalty")}
"""In a journey without repetitions these services apply every event; delivery_notify counts what it sends."""

WITHOUT_JOURNEY = "Sakidashi: partners"
"""Partners without Kafka take no part in this journey."""


@needs_promtool
async def test_every_panel_shows_something_after_a_replaced_article(
    database: MakeDatabase, kafka: str, topics: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.common.runtime.database_metrics.READ_SECONDS", 0.05)
    async with backbone(database, kafka, topics, tmp_path) as shop:
        services = (shop.intake, shop.returns, shop.delivery_notify, shop.loyalty)
        before: dict[Any, float] = {}
        for live in services:
            before |= await at_rest(live)
        await shop.place_order("order-1")
        issue_id = await shop.report("order-1")
        await scrape_until(shop.returns, lambda seen: value(seen, "sakidashi_cases_open") == 1, "the case is open")
        await scrape_until(shop.intake, lambda seen: value(seen, "sakidashi_work_items") > 0, "the desk has work")
        during = await _all(services)
        await swap(shop, issue_id)
        await shop.wait_for("points.granted", issue_id=issue_id)
        await shop.wait_for("notice.sent", issue_id=issue_id, kind="issue_resolved")
        after = {**during, **await _all(services)}
    expected = {
        _closed(f"({') or ('.join(panel.queries)})"): panel.title not in WITHOUT_FAULTS
        and (dashboard.title, panel.title) not in WITHOUT_OUTCOMES
        for dashboard in DASHBOARDS
        if dashboard.title != WITHOUT_JOURNEY
        for row in dashboard.rows.values()
        for panel in row
    }
    assert_answers(before, after, expected)


async def _all(services: Any) -> Scrape:
    found: dict[Any, float] = {}
    for live in services:
        found |= await at_rest(live)
    return found
