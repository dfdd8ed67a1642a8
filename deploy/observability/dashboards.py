"""Grafana dashboards, generated: `python -m deploy.observability.dashboards` writes `deploy/observability/grafana/`.

The files are committed, so that Grafana provisions them without Python; a test fails while one is out of date.
"""

from pathlib import Path

from deploy.observability.grafana_model import Dashboard, Panel, to_json
from libs.common.events.topics import ALL_SERVICES

FOLDER = Path(__file__).parent / "grafana"


def _quantile(q: float, metric: str, by: str, selector: str = "") -> str:
    return f"histogram_quantile({q}, sum by ({by}, le) (rate({metric}_bucket{selector}[$__rate_interval])))"


def _rate(metric: str, by: str, selector: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{selector}[$__rate_interval]))"


_REQUESTS = "http_server_request_duration_seconds"
_FAILED = '{http_response_status_code=~"5..",http_route!~"/health/.*"}'  # a probe that has to wait is no error
_POOL = "sum by (job, db_client_connection_state) (db_client_connection_count)"
_TOPIC = "messaging_destination_name"

OVERVIEW = Dashboard(
    "sakidashi-overview",
    "Sakidashi: overview",
    {
        "Latency": (
            Panel("HTTP, 99th percentile", {_quantile(0.99, _REQUESTS, "job"): "{{job}}"}, "s"),
            Panel("Oldest unread record", {"max by (job) (sakidashi_consumer_oldest_unread_seconds)": "{{job}}"}, "s"),
            Panel("Oldest record of the outbox", {"max by (job) (sakidashi_outbox_age_seconds)": "{{job}}"}, "s"),
        ),
        "Traffic": (
            Panel("Requests", {_rate(f"{_REQUESTS}_count", "job"): "{{job}}"}, "reqps"),
            Panel("Processed records", {_rate("messaging_client_consumed_messages_total", "job"): "{{job}}"}, "ops"),
            Panel("Published events", {_rate("sakidashi_events_published_total", "job"): "{{job}}"}, "ops"),
        ),
        "Errors": (
            Panel(
                "Server errors",
                {_rate(f"{_REQUESTS}_count", "job", _FAILED): "{{job}}"},
                "reqps",
            ),
            Panel("Dead letters", {"max by (job, reason) (sakidashi_dead_letters_open)": "{{job}} {{reason}}"}),
            Panel(
                "Anomalies",
                {'sum by (job, reason) (rate(sakidashi_outcomes_total{outcome="anomaly"}[1h]) * 3600)': "{{reason}}"},
            ),
        ),
        "Saturation": (
            Panel(
                "CPU", {_rate("process_cpu_time_seconds_total", "job, instance"): "{{job}} {{instance}}"}, "percentunit"
            ),
            Panel("Memory", {"max by (job, instance) (process_memory_usage_bytes)": "{{job}} {{instance}}"}, "bytes"),
            Panel(
                "Event loop, 99th percentile of the delay",
                {_quantile(0.99, "sakidashi_event_loop_delay_seconds", "job"): "{{job}}"},
                "s",
            ),
        ),
        "Service levels": (
            Panel("Reports that fail", {"sakidashi:reports:error_ratio_1h": "of the last hour"}, "percentunit"),
            Panel(
                "Replacement orders that are late",
                {"sakidashi:replacements:late_ratio_1h": "of the last hour"},
                "percentunit",
            ),
            Panel(
                "Processes",
                {'sum by (job) (up{job=~"intake|returns|delivery_notify|loyalty|partners"})': "{{job}}"},
                kind="stat",
            ),
        ),
    },
)

MESSAGING = Dashboard(
    "sakidashi-messaging",
    "Sakidashi: Kafka and Postgres",
    {
        "Kafka": (
            Panel(
                "Unread records", {f"sum by (job, {_TOPIC}) (sakidashi_consumer_lag)": f"{{{{job}}}} {{{{{_TOPIC}}}}}"}
            ),
            Panel(
                "Oldest unread record",
                {f"max by (job, {_TOPIC}) (sakidashi_consumer_oldest_unread_seconds)": f"{{{{job}}}} {{{{{_TOPIC}}}}}"},
                "s",
            ),
            Panel(
                "Processed records",
                {_rate("messaging_client_consumed_messages_total", f"job, {_TOPIC}"): f"{{{{job}}}} {{{{{_TOPIC}}}}}"},
                "ops",
            ),
            Panel(
                "Sent records",
                {_rate("messaging_client_sent_messages_total", f"job, {_TOPIC}"): f"{{{{job}}}} {{{{{_TOPIC}}}}}"},
                "ops",
            ),
            Panel("Partitions", {"sum by (job, instance) (sakidashi_consumer_partitions)": "{{job}} {{instance}}"}),
            Panel("Active relay", {"max by (job, instance) (sakidashi_relay_active) > 0": "{{job}} {{instance}}"}),
            Panel(
                "Halted topics",
                {f"max by (job, {_TOPIC}) (sakidashi_consumer_halted) > 0": f"{{{{job}}}} {{{{{_TOPIC}}}}}"},
            ),
            Panel(
                "Retries",
                {_rate("sakidashi_outcomes_total", "job, reason", '{outcome="retried"}'): "{{job}} {{reason}}"},
                "ops",
            ),
        ),
        "Batches": (
            Panel(
                "Duration, 95th percentile",
                {_quantile(0.95, "sakidashi_batch_duration_seconds", "job, aggregate"): "{{job}} {{aggregate}}"},
                "s",
            ),
            Panel(
                "Events per batch, median",
                {_quantile(0.5, "sakidashi_batch_size", "job, aggregate"): "{{job}} {{aggregate}}"},
            ),
            Panel(
                "Decisions of a batch, 95th percentile",
                {_quantile(0.95, "sakidashi_decision_duration_seconds", "job, aggregate"): "{{job}} {{aggregate}}"},
                "s",
            ),
        ),
        "Postgres": (
            Panel(
                "Connections",
                {_POOL: "{{job}} {{db_client_connection_state}}"},
            ),
            Panel(
                "Wait for a connection, 99th percentile",
                {_quantile(0.99, "db_client_connection_wait_time_seconds", "job"): "{{job}}"},
                "s",
            ),
            Panel("Records in the outbox", {"max by (job) (sakidashi_outbox_depth)": "{{job}}"}),
            Panel("Due timers", {"max by (job) (sakidashi_timers_due)": "{{job}}"}),
        ),
    },
)

BUSINESS = Dashboard(
    "sakidashi-business",
    "Sakidashi: customers",
    {
        "Reports": (
            Panel(
                "Accepted reports per hour",
                {"sum by (reason) (increase(sakidashi_issues_accepted_total[1h]))": "{{reason}}"},
            ),
            Panel(
                "Rejected reports per hour",
                {"sum by (code) (increase(sakidashi_issues_rejected_total[1h]))": "{{code}}"},
            ),
            Panel("Open issues", {"max by (status) (sakidashi_issues_open)": "{{status}}"}),
            Panel("Oldest open issue", {"max by (status) (sakidashi_issues_age_seconds)": "{{status}}"}, "s"),
            Panel("Issues without a decision", {"max by (state) (sakidashi_issues_undecided)": "{{state}}"}),
            Panel(
                "Webhooks per hour",
                {
                    "sum by (partner, outcome) (increase(sakidashi_webhooks_received_total[1h]))": (
                        "{{partner}} {{outcome}}"
                    )
                },
            ),
        ),
        "Remedies": (
            Panel(
                "Replacements per hour",
                {"sum by (remedy) (increase(sakidashi_replacements_ordered_total[1h]))": "{{remedy}}"},
            ),
            Panel(
                "Refunds per hour",
                {
                    "sum by (currency) (increase(sakidashi_refunds_requested_total[1h]))": "requested {{currency}}",
                    "sum by (currency) (increase(sakidashi_refunds_paid_total[1h]))": "paid {{currency}}",
                },
            ),
            Panel("Failed refunds per day", {"sum(increase(sakidashi_refunds_failed_total[1d]))": "failed"}),
            Panel("Reviews per day", {"sum by (cause) (increase(sakidashi_reviews_requested_total[1d]))": "{{cause}}"}),
            Panel(
                "Cases",
                {"max by (status) (sakidashi_cases_open)": "{{status}}", "max(sakidashi_cases_in_review)": "in review"},
            ),
        ),
        "Notices and promises": (
            Panel(
                "Notices per hour",
                {"sum by (channel, outcome) (increase(sakidashi_notices_total[1h]))": "{{channel}} {{outcome}}"},
            ),
            Panel(
                "Announced dates per hour",
                {"sum by (subject) (increase(sakidashi_promises_announced_total[1h]))": "{{subject}}"},
            ),
            Panel(
                "Replaced dates per hour",
                {"sum by (subject) (increase(sakidashi_promises_superseded_total[1h]))": "{{subject}}"},
            ),
            Panel(
                "First dates of the last 30 days",
                {
                    "sum by (subject, outcome) (max by (subject, name, outcome) "
                    '(sakidashi_promises_first_dates{dimension="product_group"}))': "{{subject}} {{outcome}}"
                },
            ),
            Panel(
                "Kept first dates by warehouse and carrier",
                {
                    'sakidashi:first_dates:kept_ratio_30d{dimension=~"warehouse|carrier"}': (
                        "{{dimension}} {{name}}, {{subject}}"
                    )
                },
                "percentunit",
            ),
            Panel(
                "Kept first dates by product group",
                {'sakidashi:first_dates:kept_ratio_30d{dimension="product_group"}': "{{name}}, {{subject}}"},
                "percentunit",
            ),
            Panel(
                "Audited promises of the last 30 days",
                {"max by (outcome) (sakidashi_promises_judged)": "{{outcome}}"},
            ),
        ),
        "Desk and points": (
            Panel("Work items", {"max by (kind, state) (sakidashi_work_items)": "{{kind}} {{state}}"}),
            Panel("Oldest overdue decision", {"max(sakidashi_issues_decision_delay_seconds)": "overdue"}, "s"),
            Panel(
                "Points per hour",
                {
                    "sum by (kind) (increase(sakidashi_points_granted_total[1h]))": "granted {{kind}}",
                    "sum(increase(sakidashi_points_redeemed_total[1h]))": "redeemed",
                    "sum(increase(sakidashi_points_reversed_total[1h]))": "reversed",
                },
            ),
        ),
    },
)


def _of_service(service: str) -> Dashboard:
    job = f'{{job="{service}"}}'
    return Dashboard(
        f"sakidashi-{service.replace('_', '-')}",
        f"Sakidashi: {service}",
        {
            "HTTP": (
                Panel(
                    "Requests by route",
                    {
                        _rate(
                            f"{_REQUESTS}_count", "http_request_method, http_route", job
                        ): "{{http_request_method}} {{http_route}}"
                    },
                    "reqps",
                ),
                Panel(
                    "99th percentile by route",
                    {
                        _quantile(
                            0.99, _REQUESTS, "http_request_method, http_route", job
                        ): "{{http_request_method}} {{http_route}}"
                    },
                    "s",
                ),
                Panel(
                    "Answers by status",
                    {_rate(f"{_REQUESTS}_count", "http_response_status_code", job): "{{http_response_status_code}}"},
                    "reqps",
                ),
            ),
            "Events": (
                Panel("Unread records", {f"sum by ({_TOPIC}) (sakidashi_consumer_lag{job})": f"{{{{{_TOPIC}}}}}"}),
                Panel(
                    "Published events",
                    {_rate("sakidashi_events_published_total", "event_type", job): "{{event_type}}"},
                    "ops",
                ),
                Panel(
                    "Outcomes",
                    {_rate("sakidashi_outcomes_total", "outcome, reason", job): "{{outcome}} {{reason}}"},
                    "ops",
                ),
            ),
            "Process": (
                Panel(
                    "CPU",
                    {_rate("process_cpu_time_seconds_total", "instance, cpu_mode", job): "{{instance}} {{cpu_mode}}"},
                    "percentunit",
                ),
                Panel("Memory", {f"max by (instance) (process_memory_usage_bytes{job})": "{{instance}}"}, "bytes"),
                Panel(
                    "Garbage collections",
                    {
                        _rate(
                            "cpython_gc_collections_total", "instance, cpython_gc_generation", job
                        ): "{{instance}} {{cpython_gc_generation}}"
                    },
                    "ops",
                ),
            ),
        },
    )


DASHBOARDS = (OVERVIEW, MESSAGING, BUSINESS, *(_of_service(service) for service in ALL_SERVICES))


def files() -> dict[str, str]:
    """Return the content of each dashboard's file by its name."""
    return {f"{dashboard.uid.removeprefix('sakidashi-')}.json": to_json(dashboard) for dashboard in DASHBOARDS}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
