"""Outcomes of requests: answers of the shop, and facts that answer one by themselves (a cancellation, a shipment).

A shop may answer late, twice, or act against its own answer. The newest answer by the shop's clock counts, and each
outcome that differs from the one before is announced.
"""

from collections.abc import Collection, Sequence
from datetime import date, timedelta

from libs.common.decisions.fast_replace import replace
from libs.common.events.change_requests import ChangeAnswer, OrderChangeAnswered
from libs.common.events.notices import ChangeSubject, DecidedBy, NoticeKind
from libs.common.events.storefront import OrderChanged
from libs.common.events.values import Choice
from services.delivery_notify.domain import promises
from services.delivery_notify.domain.change_request import ChangeRequest, RequestStatus
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.notices import NO_PROMISE_NEWS, PromiseNews
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.promises import SHIP, announcement_of, ledger_row, recorded_at
from services.delivery_notify.domain.request_tracking import lines_of, notify_request, settle
from services.delivery_notify.domain.supersede import DELIVERY_DATE_NOTICES, SHIP_DATE_NOTICES, supersede

SOURCE = "order.change_answered"
"""Source of a date that an answer sets."""


def on_change_answered(decision: ConversationDecision, event: OrderChangeAnswered) -> None:
    request = decision.state.request(event.request_id)
    if request is None:
        decision.anomaly("answer_to_unknown_request", f"{event.order_id} {event.request_id}")
    elif request.answered_at and event.answered_at < request.answered_at:
        decision.ignore("older_answer")
    elif request.status is RequestStatus.SUPERSEDED:
        decision.ignore("request_superseded")
    elif event.answer is ChangeAnswer.ACCEPTED:
        _on_accepted(decision, request, event)
    else:
        _on_declined(decision, request, event)


def _on_accepted(decision: ConversationDecision, request: ChangeRequest, event: OrderChangeAnswered) -> None:
    """Accept; goods that have left can still be stopped or redirected, but not shipped on another day."""
    over = request.status is RequestStatus.OVERTAKEN and request.change is ChangeSubject.DATE
    if over or (request.status is RequestStatus.ACCEPTED and not _names_another_day(decision, request, event)):
        _note(decision, request, event, "repeated_answer" if not over else "nothing_left_to_ship")
        return
    request = settle(decision, request, RequestStatus.ACCEPTED, event.reason, event.answered_at)
    accept(decision, request, event.promised_ship_date)


def _note(decision: ConversationDecision, request: ChangeRequest, event: OrderChangeAnswered, reason: str) -> None:
    """Record the time of an answer that changes nothing, so that none from before it is applied later."""
    decision.state = decision.state.with_request(replace(request, answered_at=event.answered_at))
    decision.ignore(reason)


def _names_another_day(decision: ConversationDecision, request: ChangeRequest, event: OrderChangeAnswered) -> bool:
    day = event.promised_ship_date
    if day is None or day < decision.today or (event.answer is ChangeAnswer.ACCEPTED and request.gives_up_lines):
        return False
    return any(
        line.open and line.shipping.day != SHIP.party(line, decision.rules).next_open(day)
        for line in lines_of(decision, request)
    )


def accept(decision: ConversationDecision, request: ChangeRequest, day: date | None = None) -> None:
    """Apply an accepted request to its lines and announce it; `day` is the ship date after it, if stated.

    A day that has passed is a fault of the shop, and is not announced.
    """
    if request.gives_up_lines:
        _give_up(decision, request, gives_up=True)
    if request.choice is Choice.CANCEL:
        _notify_cancelled(decision, request)
        return
    news: PromiseNews = NO_PROMISE_NEWS
    day = day or (request.day if not request.is_promised else None)
    day = day if day and day >= decision.today else None
    if day and not request.gives_up_lines:
        news = _promise(decision, request, day)
    ships_on = _ship_day(lines_of(decision, request)) or day
    notify_request(
        decision,
        request,
        NoticeKind.CHANGE_ACCEPTED,
        lines_of(decision, request),
        cause=("accepted", request.answered_at),
        news=news,
        promised_date=ships_on if news.announces else None,
        day=decision.today,
        ships_on=None if request.gives_up_lines and not day else ships_on,
    )


def _give_up(decision: ConversationDecision, request: ChangeRequest, *, gives_up: bool) -> None:
    """Set whether the lines of the request are still wanted; a cancelled line stays cancelled."""
    for line in lines_of(decision, request):
        if line.cancel_requested is not gives_up and not line.cancelled:
            decision.put_line(replace(line, cancel_requested=gives_up))


def _notify_cancelled(decision: ConversationDecision, request: ChangeRequest) -> None:
    """Announce the cancellation; the amount only if the whole order is cancelled."""
    supersede(decision, SHIP_DATE_NOTICES | DELIVERY_DATE_NOTICES, frozenset(request.line_ids), "cancelled")
    paid, calendar = decision.state.prepaid, decision.rules.calendar
    whole = all(line.cancel_requested or line.cancelled for line in decision.state.lines)
    notify_request(
        decision,
        request,
        NoticeKind.ORDER_CANCELLED,
        lines_of(decision, request),
        cause=("cancelled", request.answered_at) if request.answered_at else (),
        day=decision.today,
        decided_by=request.decided_by,
        refund_by=max(request.refund_by or decision.today, calendar.next_open(decision.today)),
        received_on=paid.received_on if paid else None,
        amount=paid.amount if paid and whole else None,
        currency=paid.currency if paid and whole else None,
    )


def _promise(decision: ConversationDecision, request: ChangeRequest, asked: date) -> PromiseNews:
    """Promise this ship date, or the warehouse's next open day, for lines that still ship; return the announcement."""
    lines: list[Line] = []
    for line in lines_of(decision, request):
        day = SHIP.party(line, decision.rules).next_open(asked)
        unchanged = line.shipping.day == day and not line.shipping.updates_sent
        if line.open and day >= decision.today and not unchanged:
            at = recorded_at(line.shipping, decision.now)
            after = replace(promises.with_promise(SHIP, line, day, at, decision.rules), cancel_requested=False)
            decision.emit(ledger_row(SHIP, decision.state.order_id, after, SOURCE, at))
            decision.put_line(after)
            lines.append(after)
    if lines:
        supersede(decision, SHIP_DATE_NOTICES, frozenset(line.line_id for line in lines), "superseded")
    return announcement_of(SHIP, lines)


def _ship_day(lines: Sequence[Line]) -> date | None:
    """Return the promised ship day of the lines that still ship; None without a reliable one."""
    open_lines = [line for line in lines if line.open]
    days = [line.shipping.day for line in open_lines if line.shipping.day and not line.shipping.updates_sent]
    return max(days) if days and len(days) == len(open_lines) else None


def _on_declined(decision: ConversationDecision, request: ChangeRequest, event: OrderChangeAnswered) -> None:
    repeated = request.status is RequestStatus.DECLINED and not _names_another_day(decision, request, event)
    if repeated or request.status is RequestStatus.OVERTAKEN:
        _note(decision, request, event, "repeated_answer")
        return
    if request.decided_by is DecidedBy.DEADLINE:
        decision.anomaly("statutory_cancellation_declined", decision.state.order_id)
    request = settle(decision, request, RequestStatus.DECLINED, event.reason, event.answered_at)
    decline(decision, request, event.reason, event.promised_ship_date)


def decline(
    decision: ConversationDecision, request: ChangeRequest, reason: str | None, day: date | None = None
) -> None:
    """Let the order go on as it was, watch its promise again, and announce both."""
    if request.gives_up_lines:
        _give_up(decision, request, gives_up=False)
    if day is None and request.is_promised:
        day = _day_before(decision, request)
    news = _promise(decision, request, day) if day else NO_PROMISE_NEWS
    lines = lines_of(decision, request)
    ships_on = _ship_day(lines)
    next_updates = [line.shipping.notify_at for line in lines if line.open and line.shipping.notify_at]
    update_on = decision.rules.calendar.day(min(next_updates)) if next_updates else None
    notify_request(
        decision,
        request,
        NoticeKind.CHANGE_DECLINED,
        lines,
        cause=("declined", request.answered_at),
        news=news,
        promised_date=ships_on if news.announces else None,
        day=decision.today,
        ships_on=ships_on,
        next_update_by=update_on if ships_on is None and update_on and update_on > decision.today else None,
        code=reason,
    )


def _day_before(decision: ConversationDecision, request: ChangeRequest) -> date:
    """Return the ship date that the chosen one replaced, or the next open day where that has passed."""
    known = (line.shipping.last_announced_date for line in lines_of(decision, request) if line.open)
    tomorrow = decision.today + timedelta(days=1)
    soonest = max(SHIP.party(line, decision.rules).next_open(tomorrow) for line in lines_of(decision, request))
    return max((day for day in known if day and day >= decision.today), default=soonest)


def on_lines_cancelled(decision: ConversationDecision) -> None:
    """Settle requests whose lines the shop has all cancelled: that accepts a cancellation, and ends any other."""
    for request in decision.state.requests:
        lines = lines_of(decision, request)
        if not lines or not all(line.cancelled for line in lines):
            continue
        if request.choice is Choice.CANCEL and request.status in (RequestStatus.OPEN, RequestStatus.DECLINED):
            accept(decision, settle(decision, request, RequestStatus.ACCEPTED))
        elif request.open:
            declined = settle(decision, request, RequestStatus.DECLINED, "order_cancelled")
            decline(decision, replace(declined, is_promised=False), "order_cancelled")


def on_order_corrected(decision: ConversationDecision, event: OrderChanged) -> None:
    """Accept open requests that this change carries out: another address, or another item on the same line."""
    for request in decision.state.requests:
        items = {line.line_id for line in event.lines if line.quantity}
        done = (request.change is ChangeSubject.ADDRESS and event.ship_to is not None) or (
            request.change is ChangeSubject.ITEM and items.issuperset(request.line_ids)
        )
        if request.open and done and event.changed_at >= request.requested_at:
            accepted = settle(decision, request, RequestStatus.ACCEPTED, "order_changed", event.changed_at)
            accept(decision, accepted)


def on_units_left(decision: ConversationDecision, line_ids: Collection[str]) -> None:
    """Settle requests about goods that were shipped: a shipment overtakes what it makes impossible."""
    for request in decision.state.requests:
        gone = tuple(line_id for line_id in request.line_ids if line_id in line_ids)
        if not gone or not _is_overtaken_by_shipment(request):
            continue
        if request.change is ChangeSubject.DATE and request.day and decision.today >= request.day:
            if request.open:
                accept(decision, settle(decision, request, RequestStatus.ACCEPTED, "shipped"))
            continue
        _overtake(decision, request, gone)


def _is_overtaken_by_shipment(request: ChangeRequest) -> bool:
    """An item or an address that was accepted before is expected to ship."""
    if request.status is RequestStatus.ACCEPTED:
        return request.choice is Choice.CANCEL or request.change is ChangeSubject.DATE
    return request.open


def _overtake(decision: ConversationDecision, request: ChangeRequest, gone: tuple[str, ...]) -> None:
    """Announce that these lines left; the request stays open for the others, if the customer gave them up as well."""
    rest = tuple(line_id for line_id in request.line_ids if line_id not in gone)
    if rest and request.open and request.gives_up_lines:
        decision.state = decision.state.with_request(replace(request, line_ids=rest))
    else:
        settle(decision, request, RequestStatus.OVERTAKEN, "shipped")
    notify_request(
        decision,
        request,
        NoticeKind.CHANGE_OVERTAKEN,
        [line for line in decision.state.lines if line.line_id in gone],
        cause=("overtaken", *gone),
        day=decision.today,
        refund_by=request.refund_by,
        code=request.status,
    )
