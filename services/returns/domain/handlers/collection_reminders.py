"""At the customer's door: the window they pick, and what happens while nobody could collect.

The clock of reminders starts when the replacement is there, and stands still for whoever owes nothing: where the item
was lost, was given to the driver, or the replacement never arrived or went back. A reminder comes with a new
appointment; after the last one a human looks. What they do then is theirs to decide: nothing is ever charged from here,
and there is no event by which it could be.
"""

from datetime import date, datetime, timedelta

from libs.common.events.issues import IssueCollectionReminded, IssueCollectionWindowChosen
from services.returns.domain.decision_context import CaseDecision
from services.returns.domain.handlers import inbound
from services.returns.domain.legs.inbound import InboundStatus
from services.returns.domain.legs.outbound import OutboundStatus
from services.returns.domain.review_causes import ReviewCause
from services.returns.policy.policy import CollectOn, ShipOn

NOT_HERE = (InboundStatus.REQUESTED, InboundStatus.BOOKED, InboundStatus.FAILED)


def watch(turn: CaseDecision) -> None:
    """Start the clock when the replacement is there, and stop it when the item has been handed over."""
    leg = turn.case.inbound
    if not _owes_the_item(turn):
        if leg.remind_at:
            turn.inbound(remind_at=None)
    elif leg.remind_at is None and leg.reminders == 0 and turn.case.outbound.delivered_at:
        delivered_on = turn.calendar.day(turn.case.outbound.delivered_at)
        turn.inbound(remind_at=_on(turn, delivered_on + timedelta(days=turn.door.remind_after_days)))


def _owes_the_item(turn: CaseDecision) -> bool:
    """Whether the customer has the replacement, and the old one too."""
    case = turn.case
    swapped = case.plan.ship_on is ShipOn.ACCEPTED and case.outbound.status is OutboundStatus.DELIVERED
    return swapped and case.inbound.status in NOT_HERE


def _on(turn: CaseDecision, day: date) -> datetime:
    """The shop's hour of that day; never in the past, so that a timer always comes."""
    moment = turn.calendar.moment(day, turn.terms.review_hour)
    return moment if moment > turn.now else turn.after(hours=1)


def due(turn: CaseDecision) -> None:
    """It has not come back: remind and come again, or ask a human."""
    number = turn.case.inbound.reminders + 1
    if number > turn.door.max_reminders:
        turn.inbound(reminders=number, remind_at=None)
        turn.review(ReviewCause.NOT_COLLECTED)
        return
    every, most = turn.door.remind_every_days, turn.door.max_reminders
    turn.inbound(reminders=number, remind_at=_on(turn, turn.today + timedelta(days=every)))
    inbound.ask_again(turn)
    leg = turn.case.inbound
    told = IssueCollectionReminded(
        **turn.ids,
        reminder=number,
        next_date=leg.window_day or leg.earliest or turn.today,
        due_on=turn.today + timedelta(days=every * (most - number + 1)),
        reminded_at=turn.now,
    )
    turn.say(told)


def window_chosen(turn: CaseDecision, fact: IssueCollectionWindowChosen) -> None:
    """The customer picks when the courier comes; before anything was asked for, it is kept for then."""
    leg = turn.case.inbound
    if turn.case.is_closed or not _is_to_be_fetched(turn):
        turn.ignore("nothing_to_collect")
    elif fact.window.day < _first_day(turn):
        turn.ignore("window_too_early")
    elif leg.picked == fact.window:
        turn.ignore("repeated")
    else:
        turn.inbound(picked=fact.window)
        if leg.status in NOT_HERE:
            turn.withdraw(ReviewCause.COLLECTION_FAILED)
            _ask_for(turn, fact.window.day)


def _is_to_be_fetched(turn: CaseDecision) -> bool:
    waits = (*NOT_HERE, InboundStatus.NONE)
    return turn.case.plan.collect_on is not CollectOn.NEVER and turn.case.inbound.status in waits


def _first_day(turn: CaseDecision) -> date:
    """Never before the replacement is there (invariant 1)."""
    leg = turn.case.outbound
    expected = leg.expected_delivery if leg.status is OutboundStatus.SHIPPED else None
    return max(turn.today, expected or turn.today)


def _ask_for(turn: CaseDecision, day: date) -> None:
    swap = inbound.can_swap(turn) and day == turn.case.outbound.expected_delivery
    inbound.ask(turn, day, swap=swap)


def come_again(turn: CaseDecision) -> None:
    """A human wants another appointment, with as many reminders as before."""
    turn.inbound(reminders=0)
    inbound.ask_again(turn)
