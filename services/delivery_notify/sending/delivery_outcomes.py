"""Writing down how a batch went: ends, turns to the next way, pauses; the events; and what staff should hear."""

import random
from collections import Counter
from collections.abc import Sequence

from pydantic_core import to_json

from libs.common.messaging import outbox
from libs.common.messaging.failpoints import failpoint
from libs.common.runtime.service import Service, ServiceTransaction
from libs.common.telemetry.tracing import Carrier
from services.delivery_notify.domain.staff_notices import StaffKind, StaffNotice
from services.delivery_notify.sending.circuit_breaker import CircuitBreaker
from services.delivery_notify.sending.messages import SendPlan
from services.delivery_notify.sending.retry_policy import SendAttempt, event_for
from services.delivery_notify.store import notice_queue, preferences, staff_notices
from services.delivery_notify.store.notice_queue import BatchOutcomes, ClaimedNotice, Completed, FellBack, Rescheduled


async def record_outcomes(
    service: Service, outgoing: SendPlan, tried: Sequence[SendAttempt], rests: CircuitBreaker
) -> None:
    """Outcomes and their events, in one transaction."""
    ends = [(each.notice, each.result(random.random(), rests.remaining(each.route.channel))) for each in tried]  # noqa: S311
    settled = [*outgoing.suppressed, *((notice, end) for notice, end in ends if isinstance(end, Completed))]
    batch = BatchOutcomes(
        completed=[end for _, end in settled],
        rescheduled=[*outgoing.rescheduled, *(end for _, end in ends if isinstance(end, Rescheduled))],
        fell_back=[end for _, end in ends if isinstance(end, FellBack)],
        deferred=outgoing.deferred,
    )
    async with service.transaction() as tx:
        # Written out before the rows are locked: a decision that withdraws one of them waits until this is over.
        moment = to_json(tx.now)
        events = {notice.notice_id: _event(tx, notice, end, moment) for notice, end in settled}
        known = await notice_queue.record_outcomes(tx.conn, batch, tx.now)
        told = [(notice, end) for notice, end in settled if notice.notice_id in known]
        await outbox.write(tx.conn, [row for notice, _ in told if (row := events[notice.notice_id])])
        await _suppress(tx, tried)
        await staff_notices.save(tx.conn, [*_failures(told, tx), *_dead(tried, tx)])
        failpoint("notices_recording")
    failpoint("notices_recorded")
    for status, count in Counter(end.status for _, end in told).items():
        service.counters.add("notice", status, count)


def _event(tx: ServiceTransaction, notice: ClaimedNotice, end: Completed, moment: bytes) -> outbox.OutboxRow | None:
    event = event_for(notice, end, tx.now)
    return tx.decisions.outbox_row(event, _trace(notice), moment) if event else None


async def _suppress(tx: ServiceTransaction, tried: Sequence[SendAttempt]) -> None:
    dead = [
        (each.route.channel, each.route.address, each.outcome.cause or "")
        for each in tried
        if each.outcome.invalid_address
    ]
    await preferences.suppress_addresses(tx.conn, dead, tx.now)


def _failures(told: Sequence[tuple[ClaimedNotice, Completed]], tx: ServiceTransaction) -> list[StaffNotice]:
    """A customer who does not hear what we had to say is somebody's to call."""
    return [
        StaffNotice(
            StaffKind.NOTICE_FAILED if end.status == "failed" else StaffKind.CUSTOMER_UNREACHABLE,
            (str(notice.notice_id),),
            tx.now,
            _about(notice) | {"cause": end.cause or "unknown"},
        )
        for notice, end in told
        if end.status == "failed" or (end.status == "suppressed" and end.cause in UNREACHABLE)
    ]


UNREACHABLE = ("contact_unknown", "address_suppressed", "no_channel_left")


def _dead(tried: Sequence[SendAttempt], tx: ServiceTransaction) -> list[StaffNotice]:
    return [
        StaffNotice(
            StaffKind.ADDRESS_SUPPRESSED,
            (each.route.channel, each.notice.customer_id, each.outcome.cause or ""),
            tx.now,
            _about(each.notice) | {"channel": each.route.channel, "cause": each.outcome.cause or "unknown"},
        )
        for each in tried
        if each.outcome.invalid_address
    ]


def _about(notice: ClaimedNotice) -> dict[str, str]:
    issue = {"issue_id": str(notice.issue_id)} if notice.issue_id else {}
    return {"order_id": notice.order_id, "customer_id": notice.customer_id, "kind": notice.kind, **issue}


def _trace(notice: ClaimedNotice) -> Carrier | None:
    return {"traceparent": notice.traceparent} if notice.traceparent else None
