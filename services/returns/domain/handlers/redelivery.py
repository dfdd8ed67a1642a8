"""Virtual goods (a download, a ticket, a gift card): nothing is shipped or collected; the shop delivers them again.

The shop does that in its own system. Either it publishes `order.delivered` for them once more, or staff approve the
review that asks for it; to refuse the review is to pay the units back.
"""

from services.returns.domain.context import CaseDecision
from services.returns.domain.handlers import refunds
from services.returns.domain.state.case import Case
from services.returns.domain.state.line_quantities import UnitCounts, missing
from services.returns.domain.state.order_ledger import OrderLedger
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.movements import RefundOn


def owed_again(case: Case) -> UnitCounts:
    """Return the virtual goods that the shop still has to deliver again."""
    if case.redelivered_at or case.plan.refund_on is not RefundOn.NEVER:
        return {}
    return missing(case.virtual_units, case.money.refund_instead)


def request_redelivery(decision: CaseDecision) -> None:
    """Ask staff to deliver the reported virtual goods again."""
    if owed_again(decision.case):
        decision.open_review(ReviewCause.REDELIVERY)
    else:
        decision.close_reviews(ReviewCause.REDELIVERY)


def follow_deliveries(decision: CaseDecision, order: OrderLedger) -> None:
    """Notice that the shop delivered them again, by its own events."""
    case = decision.case
    owed, before = owed_again(case), case.arrived_before or {}
    if owed and all(order.delivered_units(line) > before.get(line, 0) for line in owed):
        redelivered(decision)


def redelivered(decision: CaseDecision) -> None:
    decision.change(redelivered_at=decision.now)


def refund_instead(decision: CaseDecision) -> None:
    """Pay back what the shop cannot deliver again, as staff decided."""
    refunds.refund_unavailable(decision, owed_again(decision.case))
