"""Metrics of notices and of promises to customers."""

from zoneinfo import ZoneInfo

from libs.common.events.notices import NoticeFailed, NoticeSent, NoticeSuppressed
from libs.common.runtime.service_metrics import ServiceMetrics
from libs.common.telemetry.metrics import Kind, Metric
from services.delivery_notify.store.promise_accuracy import FirstDateGauge
from services.delivery_notify.store.promise_integrity import judged_promises

NOTICES = Metric(
    "sakidashi.notices",
    Kind.COUNTER,
    "{notice}",
    "Notices that were sent, failed or were suppressed, by kind and channel.",
    ("kind", "channel", "outcome"),
)
ANNOUNCED = Metric(
    "sakidashi.promises.announced",
    Kind.COUNTER,
    "{promise}",
    "Dates that a sent notice announced to a customer, by what they were promised for.",
    ("subject",),
)
SUPERSEDED = Metric(
    "sakidashi.promises.superseded",
    Kind.COUNTER,
    "{promise}",
    "Announced dates that a later notice declared void.",
    ("subject",),
)
JUDGED = Metric(
    "sakidashi.promises.judged",
    Kind.GAUGE,
    "{promise}",
    "Promises of the last 30 days by outcome, as the last `sakidashi verify promises --store-at` found them.",
    ("outcome",),
)
FIRST_DATES = Metric(
    "sakidashi.promises.first_dates",
    Kind.GAUGE,
    "{promise}",
    "First dates of the last 30 days by outcome, per warehouse, carrier and product group; all but the 20 largest are "
    "`other`.",
    ("dimension", "subject", "name", "outcome"),
)


def add_metrics(metrics: ServiceMetrics, zone: ZoneInfo) -> None:
    notices, announced, superseded = (metrics.counter(each) for each in (NOTICES, ANNOUNCED, SUPERSEDED))

    def sent(event: NoticeSent) -> None:
        notices.add(event.kind, event.channel, "sent")
        for promise in event.announces:
            announced.add(promise.subject)
        for promise in event.supersedes:
            superseded.add(promise.subject)

    metrics.gauge(JUDGED, judged_promises)
    metrics.gauge(FIRST_DATES, FirstDateGauge(zone))
    metrics.on(NoticeSent, sent)
    metrics.on(NoticeFailed, lambda event: notices.add(event.kind, event.channel, "failed"))
    metrics.on(NoticeSuppressed, lambda event: notices.add(event.kind, "none", "suppressed"))
