"""Answers to the collection window that a customer chose, or that was booked: kept, or declined with another day.

A chosen window is open until the courier books it, and a booked one is announced. Both can be lost in many ways: the
courier declines or is silent, the replacement comes later, staff waive the return. So every decision is compared with
the state before it.
"""

from datetime import date

from libs.common.decisions.facts import TimerFired
from libs.common.events.carrier import CollectionBooked, CollectionDeclined
from libs.common.events.envelope import Payload
from libs.common.events.issues import (
    IssueCollectionAttempted,
    IssueCollectionWindowChosen,
    IssueCollectionWindowDeclined,
    WindowDeclinedBy,
)
from libs.common.events.values import TimeWindow
from services.returns.domain.context import CaseDecision
from services.returns.domain.state.case import Case
from services.returns.domain.state.inbound_leg import InboundLeg, InboundStatus

_UNANSWERED = (InboundStatus.NONE, InboundStatus.REQUESTED, InboundStatus.FAILED)
_WITHOUT_VISIT = (InboundStatus.WAIVED, InboundStatus.CANCELLED)


def answer_window(decision: CaseDecision, before: Case, event: Payload) -> None:
    """Decline a window that was open or booked before this event and is lost after it; a newer choice replaces it."""
    was, leg = before.inbound, decision.case.inbound
    day = was.chosen_window.day if was.chosen_window else None
    if was.status is InboundStatus.BOOKED:
        day = was.window_day
    elif was.status not in _UNANSWERED:
        return
    if day is None or isinstance(event, IssueCollectionWindowChosen):
        return
    if decision.case.is_closed and leg.status is not InboundStatus.WAIVED:
        return  # the notice of the closure says that nothing is collected
    is_announced = any(isinstance(fact, IssueCollectionAttempted) for fact in decision.facts)
    if leg.status in _WITHOUT_VISIT:
        decline(decision, day, was.chosen_window, WindowDeclinedBy.NOT_NEEDED)
    elif _is_lost(was, leg) and not is_announced:
        decline(decision, day, was.chosen_window, _cause(event))


def _is_lost(was: InboundLeg, leg: InboundLeg) -> bool:
    if was.status is InboundStatus.BOOKED:
        return leg.status in _UNANSWERED and leg.earliest_date != was.window_day
    return leg.chosen_window is None


def _cause(event: Payload) -> WindowDeclinedBy:
    if isinstance(event, TimerFired):
        return WindowDeclinedBy.NO_ANSWER
    by_courier = isinstance(event, CollectionDeclined | CollectionBooked)
    return WindowDeclinedBy.COURIER if by_courier else WindowDeclinedBy.MOVED


def decline(decision: CaseDecision, day: date, window: TimeWindow | None, cause: WindowDeclinedBy) -> None:
    """Publish that the courier does not come then, with the day that is booked or requested instead."""
    leg = decision.case.inbound
    next_date = leg.window_day or leg.earliest_date if leg.is_pending else None
    decision.emit(
        IssueCollectionWindowDeclined(
            **decision.ids,
            day=day,
            window=window,
            cause=cause,
            next_date=None if cause is WindowDeclinedBy.NOT_NEEDED else next_date,
            declined_at=decision.now,
        )
    )
