"""Overdue notices: updates without a date, each naming the day of the next."""

from collections.abc import Sequence
from datetime import date, datetime

from libs.common.decisions.fast_replace import replace
from services.delivery_notify.domain import promises
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.notice_creation import create_notice
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.promise_notices import days, notify
from services.delivery_notify.domain.promises import DELIVERY, PromiseTrack
from services.delivery_notify.domain.supersede import batching_delay, notice_line, supersede


def send_update(
    decision: ConversationDecision,
    track: PromiseTrack,
    lines: Sequence[Line],
    next_update_by: date | None = None,
    cause: str | None = None,
) -> None:
    """Announce that there is no reliable date, and the day of the next update."""
    rules = decision.rules
    before = [track.of(line) for line in lines]
    next_update_by = next_update_by or max(rules.next_update_by(decision.now, each.updates_sent) for each in before)
    notify_at = rules.update_time(next_update_by)
    lines = [with_update_sent(track, line, notify_at) for line in lines]
    decision.put_lines(lines)
    tracked = [track.of(line) for line in lines]
    facts = NoticeFacts(
        tuple(notice_line(line) for line in lines),
        day=next_update_by,
        previous_day=min((each.owed_day for each in tracked if each.owed_day), default=None),
        next_update_by=next_update_by,
        update_number=max(each.updates_sent for each in tracked),
        code=cause,
        purchase_count=decision.state.purchase_count,
    )
    supersede(decision, track.announced_by, frozenset(line.line_id for line in lines), "superseded")
    notify(
        decision,
        track,
        track.overdue,
        lines,
        facts,
        cause=tuple(f"{line.line_id}:{track.of(line).version}:{track.of(line).updates_sent}" for line in lines),
        wait=batching_delay(decision, rules.overdue_grace, (each.breaks_at for each in before)),
        news=promises.breach_of(track, [line for line in lines if track.of(line).updates_sent == 1]),
    )


def with_update_sent(track: PromiseTrack, line: Line, notify_at: datetime | None) -> Line:
    """Return the line after one more update without a date."""
    promise = track.of(line)
    return track.put(line, replace(promise, updates_sent=promise.updates_sent + 1, notify_at=notify_at))


def announce_with_ship_delay(decision: ConversationDecision, lines: Sequence[Line]) -> None:
    """Announce that these lines, unshipped and without a date, miss their delivery date as well. The updates about the
    ship date go on; the delivery promise ends."""
    if not lines:
        return
    lines = [with_update_sent(DELIVERY, line, None) for line in lines]
    decision.put_lines(lines)
    next_updates = (line.shipping.notify_at for line in lines if line.shipping.notify_at)
    next_update_by = decision.rules.calendar.day(max(next_updates, default=decision.now))
    facts = NoticeFacts(
        tuple(notice_line(line) for line in lines),
        day=next_update_by,
        previous_day=min(days(DELIVERY, lines)),
        next_update_by=next_update_by,
        purchase_count=decision.state.purchase_count,
    )
    create_notice(
        decision,
        DELIVERY.overdue,
        facts,
        cause=tuple(f"{line.line_id}:{line.delivery.version}:1" for line in lines),
        subjects=tuple(line.line_id for line in lines),
        news=promises.breach_of(DELIVERY, lines),
    )
