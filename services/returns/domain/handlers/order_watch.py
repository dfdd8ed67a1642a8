"""Order watch: what the shop does with an order that has cases, compared with what each case does.

The shop may cancel an order, pay it back or lose its payment to a chargeback in its own systems. A case then stops what
has not left, and asks staff: goods and money for the same units are never given without a decision. The comparison is
with the state of the order, not with single events, so that order and repetition do not matter.
"""

from libs.common.events.values import Reason
from services.returns.domain.context import CaseDecision
from services.returns.domain.handlers import redelivery, tracking_scans
from services.returns.domain.handlers.replacement_matching import cancel_replacement
from services.returns.domain.state.line_quantities import common_counts, missing
from services.returns.domain.state.order_ledger import OrderLedger
from services.returns.domain.state.outbound_leg import AWAITING_SHIPMENT, OutboundLeg, OutboundStatus
from services.returns.domain.state.review_causes import ReviewCause

_TIMER = "order"
UNDELIVERED_REASONS = (Reason.LOST_IN_TRANSIT, Reason.MISSING_ITEM)


def order_timer(version: int) -> str:
    """Return the name of the timer by which a change of the order reaches its cases."""
    return f"{_TIMER}:{version}"


def address_timer(version: int) -> str:
    """Return the name of the timer by which a corrected address reaches the cases of its order."""
    return f"{_TIMER}:address:{version}"


def is_order_timer(name: str) -> bool:
    return name.startswith(f"{_TIMER}:")


def follow_order(decision: CaseDecision) -> None:
    """Compare the case with its order, and ask staff where both would give for the same units."""
    order = decision.customer.order
    if order is None or decision.case.cancelled_at:
        return
    _follow_cancellation(decision, order)
    _follow_refunds(decision, order)
    _follow_chargebacks(decision, order)
    _follow_arrivals(decision, order)


def _follow_arrivals(decision: CaseDecision, order: OrderLedger) -> None:
    """Notice lost or missing units that arrive after all, by the shop's word or the carrier's.

    Of a line with lost units, the others may still arrive; of a line with missing units, the shop counted all as
    delivered before the report. Intake states those that were delivered before; an acceptance without that statement is
    compared by the shop's time of delivery, since the case may open later than the delivery is read.
    """
    case = decision.case
    is_undelivered = case.reason in UNDELIVERED_REASONS
    if not is_undelivered and not case.virtual_units:
        return
    arrived = {line: order.delivered_units(line) for line in case.reported_units}
    if case.arrived_before is None:
        before_report = {line: order.delivered_units(line, case.accepted_at) for line in case.reported_units}
        decision.change(arrived_before=before_report)
        case = decision.case
    redelivery.follow_deliveries(decision, order)
    if not is_undelivered or case.parcel_found:
        return
    before = case.arrived_before or {}
    for line_id, lost in case.shippable_units.items():
        ordered = order.lines[line_id].quantity if line_id in order.lines else lost
        if arrived[line_id] > max(ordered - lost, before.get(line_id, 0)):
            tracking_scans.arrived_after_all(decision)
            return


def _follow_cancellation(decision: CaseDecision, order: OrderLedger) -> None:
    case = decision.case
    if case.order_cancelled or not any(order.is_line_cancelled(line) for line in case.reported_units):
        return
    decision.change(order_cancelled=True)
    _stop_and_ask(decision, ReviewCause.ORDER_CANCELLED)


def _follow_refunds(decision: CaseDecision, order: OrderLedger) -> None:
    case = decision.case
    refunded = common_counts(order.refunded_by_shop, case.reported_units)
    if not missing(refunded, case.shop_refunded):
        return
    decision.change(shop_refunded=refunded)
    if case.sent_units or case.money.refunds:
        _stop_and_ask(decision, ReviewCause.ORDER_REFUNDED)


def _follow_chargebacks(decision: CaseDecision, order: OrderLedger) -> None:
    count = len(order.chargebacks)
    if count == decision.case.chargebacks:
        return
    decision.change(chargebacks=count)
    if order.charged_back:
        _stop_and_ask(decision, ReviewCause.CHARGED_BACK)


def _stop_and_ask(decision: CaseDecision, cause: ReviewCause) -> None:
    if decision.case.outbound.status in AWAITING_SHIPMENT:
        cancel_replacement(decision, cause)
    decision.open_review(cause)


def continue_case(decision: CaseDecision) -> None:
    """Continue as planned, as staff decided: a replacement that was stopped is ordered again."""
    leg = decision.case.outbound
    if leg.status is OutboundStatus.CANCELLED and not decision.case.is_closed:
        past = decision.case.replacements
        decision.change(past_replacements=past, outbound=OutboundLeg(number=leg.number))
