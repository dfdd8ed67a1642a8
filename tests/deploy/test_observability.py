"""Alert rules, dashboards and runbooks: they name what the services export, and lead to pages that exist."""

import importlib
import re
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.api.api_docs import example_app
from deploy.observability import dashboards
from deploy.observability.dashboards import DASHBOARDS
from deploy.observability.grafana_model import Dashboard, expressions, to_json
from deploy.service_settings import settings_class
from libs.common.events.topics import ALL_SERVICES
from libs.common.telemetry.metrics import Metric, series_names
from libs.common.telemetry.providers import otlp_metric_readers
from tests.running import OPS, STOREFRONT, eventually, running
from tests.security.apps import OF_ONE

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "observability" / "prometheus" / "alerts.yml"
RUNBOOKS = ROOT / "docs" / "runbooks"

OF_OTHER_EXPORTERS = {"up", "node_filesystem_avail_bytes", "probe_ssl_earliest_cert_expiry"}
"""Series of Prometheus itself, node_exporter and blackbox_exporter."""

LABELS_OF_ALL = {"job", "instance", "le", "fstype"}
WORDS = {
    "sum", "max", "min", "by", "rate", "increase", "histogram_quantile", "predict_linear", "and", "or", "unless",
    "time",
}  # fmt: skip


@cache
def exported() -> tuple[Metric, ...]:
    """Return the metrics of all services as they are wired."""
    return tuple(metric for service in ALL_SERVICES for metric in example_app(service).state.service.metrics.catalogue)


@cache
def rules() -> tuple[dict[str, Any], ...]:
    loaded = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return tuple(rule for group in loaded["groups"] for rule in group["rules"])


ALERTS = [rule for rule in rules() if "alert" in rule]
RECORDED = {rule["record"] for rule in rules() if "record" in rule}


def names_in(expression: str) -> tuple[set[str], set[str]]:
    """Return the series and the labels that a PromQL expression names."""
    without_texts = re.sub(r'"[^"]*"', '""', expression)
    labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"\"", without_texts))
    for group in re.findall(r"\bby \(([^)]*)\)", without_texts):
        labels |= {label.strip() for label in group.split(",")}
    bare = re.sub(r"\{[^}]*\}|\bby \([^)]*\)|\[[^\]]*\]|\boffset \w+", " ", without_texts)
    return set(re.findall(r"[a-z_][\w:]*", bare)) - WORDS, labels


def all_expressions() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for dashboard in DASHBOARDS:
        yield from ((dashboard.title, expression) for expression in expressions(dashboard))


def test_every_expression_names_series_that_the_services_export() -> None:
    known = series_names(exported()) | OF_OTHER_EXPORTERS | RECORDED
    unknown = [(where, sorted(names_in(text)[0] - known)) for where, text in all_expressions()]
    assert [each for each in unknown if each[1]] == []


def test_every_expression_names_labels_that_its_series_have() -> None:
    of_series = {
        name: {attribute.replace(".", "_") for attribute in metric.attributes}
        for metric in exported()
        for name in series_names([metric])
    }
    recorded = {rule["record"]: names_in(rule["expr"])[1] for rule in rules() if "record" in rule}
    of_series |= recorded  # no more labels than its expression names; that one is checked with the others
    wrong = []
    for where, text in all_expressions():
        series, labels = names_in(text)
        possible = LABELS_OF_ALL.union(*(of_series.get(name, set()) for name in series))
        wrong += [(where, label) for label in labels - possible]
    assert wrong == []


def test_every_alert_on_a_single_outcome_sees_the_first_one() -> None:
    """A series that begins at 1 has no increase in Prometheus."""
    single = [rule for rule in ALERTS if re.search(r"increase\(.*> 0", rule["expr"])]
    assert len(single) >= 3
    for rule in single:
        selector, window = re.findall(r"increase\((\S+?)\[(\w+)\]\)", rule["expr"])[0]
        assert f"({selector} unless sakidashi_outcomes_total offset {window}) > 0" in rule["expr"], rule["alert"]


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_every_alert_leads_to_its_runbook(rule: dict[str, Any]) -> None:
    page = ROOT / rule["annotations"]["runbook"]
    assert page.read_text(encoding="utf-8").startswith(f"# {rule['alert']}\n")
    assert rule["labels"]["severity"] in {"page", "ticket"}


def test_every_runbook_belongs_to_an_alert() -> None:
    named = {ROOT / rule["annotations"]["runbook"] for rule in ALERTS}
    assert set(RUNBOOKS.glob("*.md")) == named


def test_every_recorded_series_is_used() -> None:
    used = set().union(*(names_in(text)[0] for _, text in all_expressions()))
    assert RECORDED - used == set()


def test_the_files_of_the_dashboards_follow_their_definitions() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in dashboards.FOLDER.glob("*.json")}
    assert written == dashboards.files(), "run `python -m deploy.observability.dashboards`"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: str(each.uid))
def test_no_two_panels_of_a_dashboard_overlap(dashboard: Dashboard) -> None:
    panels = yaml.safe_load(to_json(dashboard))["panels"]
    cells = [
        (x, y)
        for each in panels
        for x in range(each["gridPos"]["x"], each["gridPos"]["x"] + each["gridPos"]["w"])
        for y in range(each["gridPos"]["y"], each["gridPos"]["y"] + each["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert all(x < 24 for x, _ in cells)


def test_prometheus_scrapes_every_service_under_its_name() -> None:
    config = yaml.safe_load((RULES.parent / "prometheus.yml").read_text(encoding="utf-8"))
    assert [job["job_name"] for job in config["scrape_configs"]] == list(ALL_SERVICES)


@pytest.mark.parametrize("service", ALL_SERVICES)
async def test_a_running_service_exports_what_its_catalogue_names(
    service: str, database: Callable[[str], Awaitable[str]], tmp_path: Path
) -> None:
    given = {"evidence_dir": tmp_path, **OF_ONE.get(service, {})}
    create_app = importlib.import_module(f"services.{service}.app").create_app
    async with running(create_app, settings_class(service), database=await database(service), **given) as live:
        async with live.service.pool.acquire() as conn:
            await conn.execute("INSERT INTO outbox (topic, key, value) VALUES ('nowhere', 'k', 'v')")
        await live.client.get("/v1/nothing")

        async def has_read_the_database() -> str:
            text = (await live.client.get("/metrics", headers=OPS)).text
            return text if "sakidashi_outbox_depth " in text else ""

        text = await eventually(has_read_the_database, "the database was read for the metrics")
    found = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    always = {
        "db_client_connection_count", "http_server_request_duration_seconds_count", "process_cpu_time_seconds_total",
        "sakidashi_consumer_lag", "sakidashi_dead_letters_open", "sakidashi_outbox_age_seconds",
        "sakidashi_timers_due", "sakidashi_timers_late_seconds",
    }  # fmt: skip
    assert always <= found
    assert found - {"target_info"} <= series_names(live.service.metrics.catalogue)
    assert 'http_route="none"' in text


async def test_only_operators_may_read_the_metrics(
    database: Callable[[str], Awaitable[str]],
) -> None:
    from services.loyalty.app import create_app
    from services.loyalty.settings import LoyaltySettings

    async with running(create_app, LoyaltySettings, database=await database("loyalty")) as live:
        assert (await live.client.get("/metrics")).status_code == 401
        assert (await live.client.get("/metrics", headers=STOREFRONT)).status_code == 403


def test_compose_gives_grafana_every_dashboard() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    mounted = {volume.split(":")[0] for volume in compose["services"]["grafana"]["volumes"]}
    assert {f"./deploy/observability/grafana/{name}" for name in dashboards.files()} <= mounted


def test_a_trace_store_without_metrics_is_sent_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    assert otlp_metric_readers("http://127.0.0.1:1") == []
