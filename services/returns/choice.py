"""What the customer chooses when their replacement cannot be sent: asked by link, with a day and a fair default.

delivery_notify asks, and is the only one to answer, also by default when the day is over. What is kept here beside the
question is only the moment at which a human asks why no answer came.
"""

from dataclasses import replace
from datetime import date, timedelta

from libs.common.events.issues import IssueChoiceRequested
from libs.common.events.notices import CustomerDecided
from libs.common.events.values import Choice, Remedy
from libs.common.events.warehouse import ReplacementRejected
from libs.common.ids import derived_id
from services.returns import closing, outbound
from services.returns.case import OutboundStatus, Plan, Question, ReviewCause
from services.returns.turn import Turn


def rejected(turn: Turn, fact: ReplacementRejected) -> None:
    """The warehouse cannot send it; this order is over, and waiting means another one."""
    if not outbound.is_ours(turn, fact) or outbound.is_past(turn, *outbound.WAITED_FOR):
        return
    turn.outbound(status=OutboundStatus.REJECTED, due_at=None)
    turn.withdraw(ReviewCause.WAREHOUSE_SILENT, ReviewCause.NOT_SHIPPING, ReviewCause.DELIVERED_UNSHIPPED)
    ask(turn, fact.cause, fact.restock_date)


def ask(turn: Turn, cause: str, restock_date: date | None) -> None:
    """Wait or refund, where there is a day to wait for; else refund or leave it."""
    number = turn.case.questions + 1
    day = turn.calendar.add_open_days(turn.today, turn.terms.choice_open_days)
    due_at = turn.calendar.moment(day, turn.terms.review_hour)
    restock = turn.calendar.next_open(max(restock_date, turn.today)) if restock_date else None
    question = Question(
        choice_id=derived_id("choice", turn.case.issue_id, number),
        options=(Choice.WAIT, Choice.REFUND) if restock else (Choice.REFUND, Choice.CANCEL),
        default=_fair_default(turn, restock, number),
        restock_date=restock,
        due_at=due_at,
        wake_at=due_at + timedelta(days=1),
    )
    turn.change(question=question, questions=number)
    told = IssueChoiceRequested(
        **turn.ids,
        choice_id=question.choice_id,
        cause=cause,
        options=question.options,
        default=question.default,
        restock_date=restock,
        due_at=due_at,
    )
    turn.say(told)


def _fair_default(turn: Turn, restock: date | None, number: int) -> Choice:
    """Waiting a little is what they asked for; waiting long, or a second time, is not."""
    soon = restock is not None and restock <= turn.today + timedelta(days=turn.terms.wait_if_restock_within_days)
    return Choice.WAIT if soon and number == 1 else Choice.REFUND


def decided(turn: Turn, fact: CustomerDecided) -> None:
    question = turn.case.question
    if question is None or fact.choice_id != question.choice_id:
        turn.ignore("question_closed")
    elif fact.choice not in question.options:
        turn.anomaly("choice_not_offered")
    else:
        take(turn, fact.choice)


def take(turn: Turn, choice: Choice) -> None:
    """Do what was chosen."""
    question = turn.case.question
    turn.change(question=None)
    turn.withdraw(ReviewCause.NO_DECISION)
    match choice:
        case Choice.WAIT if question:
            restock = turn.calendar.next_open(max(question.restock_date or turn.today, turn.today))
            outbound.order(turn, turn.case.outbound.ordered, restock)
        case Choice.CANCEL if closing.is_cancellable(turn.case):
            closing.cancel(turn, "customer_choice")
        case _:
            rule = turn.rules.policy.reasons[turn.case.reason]
            outbound.stop(turn, "refund_chosen")
            turn.change(plan=Plan.of(Remedy.REFUND, rule.remedies[Remedy.REFUND]))


def due(turn: Turn) -> None:
    """Not even the default was told."""
    question = turn.case.question
    if question:
        turn.review(ReviewCause.NO_DECISION)
        wake_at = turn.after(days=1)
        turn.change(question=replace(question, wake_at=wake_at))
