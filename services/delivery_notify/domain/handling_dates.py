"""Ship dates of lines that the shop gave none: promised by our handling times and announced at once."""

from collections.abc import Collection
from datetime import date, datetime

from libs.common.decisions.fast_replace import replace
from libs.common.events.notices import NoticeKind
from libs.common.events.values import OrderLine
from services.delivery_notify.domain import prepaid_acceptance
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.notice_creation import create_notice
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.promise_notices import days, versions
from services.delivery_notify.domain.promises import SHIP, announcement_of, ledger_row, with_promise
from services.delivery_notify.domain.supersede import notice_line

HANDLING_TIME = "handling_time"
"""Source of a date that follows from the handling times."""


def handling_date(decision: ConversationDecision, ordered: OrderLine, placed_at: datetime) -> date | None:
    """Return the ship date for a line without any date; preorders depend on a supplier and get none."""
    times = decision.rules.handling
    if times is None or ordered.preorder or ordered.promised_ship_date or ordered.promised_delivery_date:
        return None
    return times.ship_date(ordered, placed_at, decision.now, decision.rules.calendars)


def with_handling_date(decision: ConversationDecision, line: Line, day: date) -> Line:
    """Return the line with this promise. It has no time of a statement, so that any date of the shop is newer."""
    line = with_promise(SHIP, line, day, decision.now, decision.rules)
    line = SHIP.put(line, replace(line.shipping, promised_at=None, policy_dated_at=decision.now))
    decision.emit(ledger_row(SHIP, decision.state.order_id, line, HANDLING_TIME, decision.now))
    return line


def announce_handling_dates(decision: ConversationDecision, line_ids: Collection[str]) -> None:
    """Announce the first dates of these lines, where no notice of acceptance does."""
    lines = [line for line in decision.state.lines if line.line_id in line_ids and line.awaiting_shipment]
    if not lines or prepaid_acceptance.is_required(decision.state):
        return
    facts = NoticeFacts(
        tuple(notice_line(line) for line in lines),
        day=max(days(SHIP, lines)),
        purchase_count=decision.state.purchase_count,
    )
    create_notice(
        decision,
        NoticeKind.ORDER_DATED,
        facts,
        cause=versions(SHIP, lines),
        subjects=tuple(line.line_id for line in lines),
        promised_date=facts.day,
        news=announcement_of(SHIP, lines),
    )
