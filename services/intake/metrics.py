"""Metrics of reports, open issues and the work of the desk."""

from libs.common.events.issues import IssueAccepted, IssueRejected
from libs.common.runtime.service_metrics import ServiceMetrics
from libs.common.telemetry.metrics import Kind, Metric
from services.intake.store.work_metrics import decision_delay, oldest_issues, open_issues, open_work, undecided_issues

ACCEPTED = Metric("sakidashi.issues.accepted", Kind.COUNTER, "{issue}", "Accepted reports, by reason.", ("reason",))
REJECTED = Metric("sakidashi.issues.rejected", Kind.COUNTER, "{issue}", "Rejected reports, by refusal code.", ("code",))
OPEN = Metric("sakidashi.issues.open", Kind.GAUGE, "{issue}", "Open issues, by status.", ("status",))
AGE = Metric("sakidashi.issues.age", Kind.GAUGE, "s", "Age of the oldest open issue, by status.", ("status",))
UNDECIDED = Metric(
    "sakidashi.issues.undecided",
    Kind.GAUGE,
    "{issue}",
    "Open issues without a decision, by state against the deadline: `in_time` or `overdue`.",
    ("state",),
)
WORK = Metric("sakidashi.work.items", Kind.GAUGE, "{item}", "Work items of the desk.", ("kind", "state"))
DECISION_DELAY = Metric(
    "sakidashi.issues.decision_delay",
    Kind.GAUGE,
    "s",
    "Time by which the oldest decision about a report is overdue.",
)
WEBHOOKS = Metric(
    "sakidashi.webhooks.received",
    Kind.COUNTER,
    "{webhook}",
    "Webhooks of storefronts, by partner and outcome: `published`, or the code of the refusal.",
    ("partner", "outcome"),
)
ORDER_LOOKUPS = Metric(
    "sakidashi.orders.lookups",
    Kind.COUNTER,
    "{lookup}",
    "Uses of the order lookup, by outcome: `found`, `refused`, or `limited` after too many attempts.",
    ("outcome",),
)

MAILS = Metric(
    "sakidashi.mails.received",
    Kind.COUNTER,
    "{mail}",
    "Mails of customers, by outcome: `attached`, `unmatched`, `automatic` or `repeated`.",
    ("outcome",),
)


def add_metrics(metrics: ServiceMetrics) -> None:
    accepted, rejected = metrics.counter(ACCEPTED), metrics.counter(REJECTED)
    metrics.on(IssueAccepted, lambda event: accepted.add(event.reason))
    metrics.on(IssueRejected, lambda event: rejected.add(event.code))
    metrics.gauge(OPEN, open_issues)
    metrics.gauge(AGE, oldest_issues)
    metrics.gauge(UNDECIDED, undecided_issues)
    metrics.gauge(WORK, open_work)
    metrics.gauge(DECISION_DELAY, decision_delay)
