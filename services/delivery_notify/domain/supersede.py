"""Superseded notices: unsent notices that a newer one withdraws, and how long a notice may stay unsent for batching."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from libs.common.decisions.fast_replace import replace
from libs.common.events.notices import NoticeKind
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.conversation import NoticeRecord
from services.delivery_notify.domain.notices import LineExcluded, NoticeLine, NoticesWithdrawn
from services.delivery_notify.domain.order_line import Line

SHIP_DATE_NOTICES = frozenset(
    {
        NoticeKind.ORDER_DATED,
        NoticeKind.ORDER_DELAYED,
        NoticeKind.ORDER_OVERDUE,
        NoticeKind.ORDER_EARLY,
        NoticeKind.PREORDER_PROGRESS,
    }
)
AT_ONCE = (NoticeKind.ORDER_EARLY, NoticeKind.PREORDER_PROGRESS)
"""Notices of ship dates that are sent at once."""

DELIVERY_DATE_NOTICES = frozenset({NoticeKind.DELIVERY_DELAYED, NoticeKind.DELIVERY_OVERDUE})


def supersede(decision: ConversationDecision, kinds: frozenset[NoticeKind], lines: frozenset[str], cause: str) -> None:
    """Withdraw unsent notices that cover only these lines; exclude the lines from those that cover others too."""
    if lines:
        withdraw(decision, kinds, lines, cause)
        _exclude_lines(decision, kinds, lines)


def withdraw(
    decision: ConversationDecision, kinds: frozenset[NoticeKind], subjects: frozenset[str], cause: str
) -> None:
    """Withdraw unsent notices that cover only these subjects."""
    covered = (each for each in decision.state.notices if each.subjects and subjects.issuperset(each.subjects))
    if ids := tuple(each.notice_id for each in covered if each.kind in kinds):
        decision.emit(NoticesWithdrawn(ids, cause))


def _exclude_lines(decision: ConversationDecision, kinds: frozenset[NoticeKind], lines: frozenset[str]) -> None:
    mixed = [each for each in decision.state.notices if each.kind in kinds and not lines.issuperset(each.subjects)]
    excluded = [
        LineExcluded(ids, line_id)
        for line_id in sorted(lines)
        if (ids := tuple(each.notice_id for each in mixed if line_id in each.subjects))
    ]
    if excluded:
        decision.emit(*excluded)
        notices = (_without(each, lines) if each.kind in kinds else each for each in decision.state.notices)
        decision.change(notices=tuple(notices))


def _without(notice: NoticeRecord, lines: frozenset[str]) -> NoticeRecord:
    left = tuple(each for each in notice.subjects if each not in lines)
    return replace(notice, subjects=left) if left and left != notice.subjects else notice


def date_is_unsent(decision: ConversationDecision, line_id: str, kind: NoticeKind) -> bool:
    """Return true if the notice of the newest date of this line, of this kind, is unsent: the customer has an older
    date. One that left at once, with an earlier date, is newer than an unsent one that it withdrew."""
    kinds = (kind, *AT_ONCE) if kind in SHIP_DATE_NOTICES else (kind,)
    covering = (each for each in reversed(decision.state.notices) if each.kind in kinds and line_id in each.subjects)
    return next((each.is_unsent(decision.now) for each in covering), False)


def unsent_due_at(decision: ConversationDecision, kind: NoticeKind, lines: frozenset[str]) -> datetime | None:
    """Return when the unsent notices about these lines are due; the one that supersedes them is due no later."""
    unsent = (each for each in decision.state.notices if each.kind is kind and each.is_unsent(decision.now))
    return min((each.due_at for each in unsent if each.due_at and lines & set(each.subjects)), default=None)


def batching_delay(
    decision: ConversationDecision, wanted: timedelta, deadlines: Iterable[datetime | None]
) -> timedelta:
    """Return how long a notice may be held back: never until a promise that it covers is broken."""
    now = decision.now
    soonest = min((deadline for deadline in deadlines if deadline and deadline > now), default=None)
    if soonest is None:
        return timedelta(0)
    return max(timedelta(0), min(wanted, soonest - decision.rules.deadline_margin - now))


def notice_line(line: Line, *, moved: bool = False, delivery_moved: bool = False) -> NoticeLine:
    """Return an order line as a notice shows it, with the previous dates where they moved."""
    ship, delivery = line.shipping, line.delivery
    return NoticeLine(
        line.name,
        line.quantity - line.shipped if line.open else line.quantity - line.delivered,
        ship.day,
        ship.last_announced_date if moved else None,
        line.stage,
        line.stage_detail,
        line.line_id,
        None,
        None if delivery.updates_sent else delivery.day,
        delivery.last_announced_date if delivery_moved else None,
    )
