"""Recording of a sent batch: results of its notices, events, suppressed addresses and staff notices."""

import random
from collections import Counter
from collections.abc import Sequence
from functools import cache

from opentelemetry.trace import SpanKind
from pydantic_core import to_json

from libs.common.messaging import outbox
from libs.common.messaging.failpoints import failpoint
from libs.common.runtime.service import Service, ServiceTransaction
from libs.common.telemetry.span_encoding import span_template
from libs.common.telemetry.tracing import issue_attributes
from services.delivery_notify.domain.staff_notices import StaffKind, StaffNoticeCreated
from services.delivery_notify.sending.circuit_breaker import CircuitBreaker
from services.delivery_notify.sending.messages import SendPlan
from services.delivery_notify.sending.retry_policy import NoticeResult, SendAttempt, event_for
from services.delivery_notify.store import notice_outcomes, preferences, staff_notices
from services.delivery_notify.store.notice_outcomes import BatchOutcomes, Completed, FellBack, Rescheduled
from services.delivery_notify.store.notice_queue import ClaimedNotice

UNREACHABLE_CAUSES = ("contact_unknown", "address_suppressed", "no_channel_left")
"""Causes of suppression after which staff have to contact the customer."""

CompletedNotice = tuple[ClaimedNotice, Completed]


async def record_outcomes(
    service: Service, plan: SendPlan, attempts: Sequence[SendAttempt], breaker: CircuitBreaker, begin: int
) -> None:
    """Record results and events in one transaction; `begin` is the start of their spans (`time_ns`)."""
    completed, batch = _results(plan, attempts, breaker)
    async with service.transaction() as tx:
        # Serialized before the rows are locked: a decision that withdraws one of them waits for the locks.
        timestamp = to_json(tx.now)
        events = {notice.notice_id: event_for(notice, result, tx.now) for notice, result in completed}
        rows = {
            notice.notice_id: tx.decisions.outbox_row(event, notice.trace, timestamp)
            for notice, _ in completed
            if (event := events[notice.notice_id])
        }
        recorded_ids = await notice_outcomes.record_outcomes(tx.conn, batch, tx.now)
        recorded = [(notice, result) for notice, result in completed if notice.notice_id in recorded_ids]
        await outbox.write(tx.conn, [rows[notice.notice_id] for notice, _ in recorded if notice.notice_id in rows])
        await preferences.suppress_addresses(tx.conn, _invalid_addresses(attempts), tx.now)
        await staff_notices.save(
            tx.conn,
            [*_failed_notices(recorded, tx), *_suppressed_addresses(attempts, tx), *_blocked_mail(attempts, tx)],
        )
        failpoint("notices_recording")
    failpoint("notices_recorded")
    service.decisions.committed([[event for notice, _ in recorded if (event := events[notice.notice_id])]])
    for status, count in Counter(result.status for _, result in recorded).items():
        service.counters.add("notice", status, count)
    for notice, result in recorded:
        if notice.trace:
            template = _span(notice.kind, result.status)
            service.tracing.record(template, notice.trace, begin, issue_attributes(notice))


@cache
def _span(kind: str, status: str) -> bytes:
    return span_template(f"notice {kind}", SpanKind.PRODUCER, {"notice.status": status})


def _results(
    plan: SendPlan, attempts: Sequence[SendAttempt], breaker: CircuitBreaker
) -> tuple[list[CompletedNotice], BatchOutcomes]:
    results: list[tuple[ClaimedNotice, NoticeResult]] = [
        (attempt.notice, attempt.result(random.random(), breaker.remaining(attempt.route.channel)))  # noqa: S311
        for attempt in attempts
    ]
    sent_or_failed = [(notice, result) for notice, result in results if isinstance(result, Completed)]
    completed = [*plan.suppressed, *sent_or_failed]
    batch = BatchOutcomes(
        plan.leases,
        completed=[result for _, result in completed],
        rescheduled=[*plan.rescheduled, *(result for _, result in results if isinstance(result, Rescheduled))],
        fell_back=[result for _, result in results if isinstance(result, FellBack)],
        deferred=plan.deferred,
    )
    return completed, batch


def _invalid_addresses(attempts: Sequence[SendAttempt]) -> list[tuple[str, str, str]]:
    return [
        (attempt.route.channel, attempt.route.address, attempt.outcome.cause or "")
        for attempt in attempts
        if attempt.outcome.invalid_address
    ]


def _failed_notices(recorded: Sequence[CompletedNotice], tx: ServiceTransaction) -> list[StaffNoticeCreated]:
    return [
        StaffNoticeCreated(
            StaffKind.NOTICE_FAILED if result.status == "failed" else StaffKind.CUSTOMER_UNREACHABLE,
            (str(notice.notice_id),),
            tx.now,
            _references(notice) | {"cause": result.cause or "unknown"},
        )
        for notice, result in recorded
        if result.status == "failed" or (result.status == "suppressed" and result.cause in UNREACHABLE_CAUSES)
    ]


def _suppressed_addresses(attempts: Sequence[SendAttempt], tx: ServiceTransaction) -> list[StaffNoticeCreated]:
    return [
        StaffNoticeCreated(
            StaffKind.ADDRESS_SUPPRESSED,
            (attempt.route.channel, attempt.notice.customer_id, attempt.outcome.cause or ""),
            tx.now,
            _references(attempt.notice)
            | {"channel": attempt.route.channel, "cause": attempt.outcome.cause or "unknown"},
        )
        for attempt in attempts
        if attempt.outcome.invalid_address
    ]


def _blocked_mail(attempts: Sequence[SendAttempt], tx: ServiceTransaction) -> list[StaffNoticeCreated]:
    """Return one staff notice per channel and day while servers refuse mail from ours."""
    refused = [attempt for attempt in attempts if attempt.outcome.blocked]
    blocked = {attempt.route.channel: attempt.outcome.cause or "unknown" for attempt in refused}
    day = tx.now.date().isoformat()
    return [
        StaffNoticeCreated(StaffKind.MAIL_BLOCKED, (channel, day), tx.now, {"channel": channel, "cause": cause})
        for channel, cause in sorted(blocked.items())
    ]


def _references(notice: ClaimedNotice) -> dict[str, str]:
    issue = {"issue_id": str(notice.issue_id)} if notice.issue_id else {}
    return {"order_id": notice.order_id, "customer_id": notice.customer_id, "kind": notice.kind, **issue}
