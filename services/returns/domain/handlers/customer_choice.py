"""What the customer chooses when their replacement cannot be sent: asked by link, with a day and a fair default.

delivery_notify asks, and is the only one to answer, also by default when the day is over. What is kept here beside the
question is only the moment at which a human asks why no answer came.
"""

from datetime import date, timedelta

from libs.common.decisions.fast_replace import replace
from libs.common.decisions.ids import derived_id
from libs.common.events.issues import IssueChoiceRequested
from libs.common.events.notices import CustomerDecided
from libs.common.events.values import Choice, Remedy, Variant
from libs.common.events.warehouse import ReplacementRejected
from services.returns.domain.case import Question, Short
from services.returns.domain.decision_context import CaseDecision
from services.returns.domain.handlers import case_closure, outbound, partial_shipments, refunds
from services.returns.domain.legs.outbound import WAITED_FOR, OutboundStatus
from services.returns.domain.line_quantities import Counts, missing
from services.returns.domain.replacement_matching import is_ours, is_past, is_stale, stop
from services.returns.domain.review_causes import ReviewCause


def rejected(turn: CaseDecision, fact: ReplacementRejected) -> None:
    """The warehouse cannot send it; this order is over, and waiting means another one."""
    if not is_ours(turn, fact) or is_past(turn, *WAITED_FOR) or is_stale(turn):
        return
    short = partial_shipments.short_of(turn, fact)
    if not short:
        turn.anomaly("unknown_line_rejected")
        return
    turn.outbound(heard_at=turn.told_at)
    turn.withdraw(ReviewCause.WAREHOUSE_SILENT)
    if short == turn.case.outbound.ordered:
        partial_shipments.join(turn)
        turn.outbound(status=OutboundStatus.REJECTED, due_at=None)
        turn.withdraw(ReviewCause.NOT_SHIPPING, ReviewCause.DELIVERED_UNSHIPPED)
    else:
        partial_shipments.cut(turn, short)
        if not missing(turn.case.outbound.ordered, turn.case.outbound.shipped):
            outbound.all_left(turn)
    ask(turn, fact.cause, fact.restock_date, fact.variants if len(_asked_about(turn)) == 1 else ())


def _asked_about(turn: CaseDecision) -> Counts:
    """The pieces that cannot be sent."""
    return turn.case.short.counts if turn.case.short else turn.case.outbound.ordered


def ask(turn: CaseDecision, cause: str, restock_date: date | None, variants: tuple[Variant, ...] = ()) -> None:
    """Ask for their choice among what is possible, and say what happens without an answer."""
    number = turn.case.questions + 1
    day = turn.calendar.add_open_days(turn.today, turn.terms.choice_open_days)
    due_at = turn.calendar.moment(day, turn.terms.review_hour)
    restock = turn.calendar.next_open(max(restock_date, turn.today)) if restock_date else None
    question = Question(
        choice_id=derived_id("choice", turn.case.issue_id, number),
        options=_options(turn, restock, variants),
        default=_fair_default(turn, restock, number),
        restock_date=restock,
        due_at=due_at,
        wake_at=due_at + timedelta(days=1),
        variants=variants,
    )
    turn.change(question=question, questions=number)
    told = IssueChoiceRequested(
        **turn.ids,
        choice_id=question.choice_id,
        cause=cause,
        options=question.options,
        default=question.default,
        restock_date=restock,
        variants=variants,
        due_at=due_at,
    )
    turn.say(told)


def _options(turn: CaseDecision, restock: date | None, variants: tuple[Variant, ...]) -> tuple[Choice, ...]:
    """Wait, where there is a day to wait for; another variant, where there is one; the money, always.

    Leaving it altogether is offered where there is no day, nothing of it has left, and it is about the whole.
    """
    wait = (Choice.WAIT,) if restock else ()
    change = (Choice.CHANGE,) if variants else ()
    leave = not restock and turn.case.short is None and case_closure.is_cancellable(turn.case)
    return (*wait, *change, Choice.REFUND, *((Choice.CANCEL,) if leave else ()))


def _fair_default(turn: CaseDecision, restock: date | None, number: int) -> Choice:
    """Waiting a little is what they asked for; waiting long, or a second time, is not."""
    soon = restock is not None and restock <= turn.today + timedelta(days=turn.terms.wait_if_restock_within_days)
    return Choice.WAIT if soon and number == 1 else Choice.REFUND


def decided(turn: CaseDecision, fact: CustomerDecided) -> None:
    question = turn.case.question
    if question is None or fact.choice_id != question.choice_id:
        turn.ignore("question_closed")
    elif fact.choice not in question.options:
        turn.anomaly("choice_not_offered")
    elif fact.choice is Choice.CHANGE and _variant(question, fact.requested_sku) is None:
        turn.anomaly("variant_not_offered")
    else:
        take(turn, question, fact.choice, _variant(question, fact.requested_sku))


def _variant(question: Question, sku: str | None) -> Variant | None:
    return next((variant for variant in question.variants if variant.sku == sku), None)


def take(turn: CaseDecision, question: Question, choice: Choice, variant: Variant | None = None) -> None:
    """Do what was chosen. What has become impossible meanwhile is for a human, and the question stays open for them."""
    match choice:
        case Choice.WAIT:
            _answered(turn)
            restock = turn.calendar.next_open(max(question.restock_date or turn.today, turn.today))
            _order(turn, restock, None)
        case Choice.CHANGE if variant:
            _answered(turn)
            _order(turn, None, variant)
        case Choice.REFUND if turn.case.short:
            _answered(turn)
            refunds.pay_instead(turn, turn.case.short.counts)
            turn.change(short=None)
            outbound.nothing_more_comes(turn)
        case Choice.REFUND:
            _answered(turn)
            stop(turn, "refund_chosen")
            turn.plan_for(Remedy.REFUND)
        case Choice.CANCEL if case_closure.is_cancellable(turn.case):
            _answered(turn)
            case_closure.cancel(turn, "customer_choice")
        case _:
            turn.anomaly("choice_impossible")
            turn.review(ReviewCause.NO_DECISION)


def _order(turn: CaseDecision, ship_date: date | None, variant: Variant | None) -> None:
    """Order anew what could not be sent; what was short, when the others have arrived."""
    if turn.case.short:
        turn.change(short=Short(turn.case.short.counts, ship_date, variant, is_decided=True))
    else:
        outbound.order(turn, turn.case.outbound.ordered, ship_date, variant)


def _answered(turn: CaseDecision) -> None:
    turn.change(question=None)
    turn.withdraw(ReviewCause.NO_DECISION)


def due(turn: CaseDecision) -> None:
    """Not even the default was told."""
    question = turn.case.question
    if question:
        turn.review(ReviewCause.NO_DECISION)
        wake_at = turn.after(days=1)
        turn.change(question=replace(question, wake_at=wake_at))
