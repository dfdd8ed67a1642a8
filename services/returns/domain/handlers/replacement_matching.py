"""Matching of partner events to the current replacement or a past one of the case.

Past replacements are kept, because a parcel reported lost or an order that was rejected may still ship. Staff then
review the case. If the current replacement has not shipped, it is cancelled and the past one becomes current again:
the customer gets one of the two, and the one that has shipped arrives first.
"""

from libs.common.decisions.fast_replace import replace
from libs.common.events.carrier import ParcelDelivered, ParcelException
from libs.common.events.warehouse import (
    ReplacementCancelled,
    ReplacementConfirmed,
    ReplacementDelayed,
    ReplacementRecalled,
    ReplacementRejected,
    ReplacementShipmentChanged,
    ReplacementShipped,
)
from services.returns.domain.context import CaseDecision
from services.returns.domain.state.outbound_leg import (
    AWAITING_SHIPMENT,
    SHIPPED_OR_DELIVERED,
    OutboundLeg,
    OutboundStatus,
)
from services.returns.domain.state.review_causes import ReviewCause

MovementEvent = ReplacementShipped | ParcelDelivered
ReplacementEvent = (
    ReplacementConfirmed
    | ReplacementRejected
    | ReplacementDelayed
    | ReplacementRecalled
    | ReplacementShipmentChanged
    | ParcelException
    | MovementEvent
)


def match_replacement(decision: CaseDecision, event: ReplacementEvent) -> bool:
    """Match the event to the current replacement; where that fails, record why and return False."""
    if event.replacement_id == decision.case.outbound.replacement_id:
        return True
    past = next((leg for leg in decision.case.past_replacements if leg.replacement_id == event.replacement_id), None)
    if past is None:
        decision.anomaly("unknown_replacement")
    elif isinstance(event, ParcelDelivered) and past.is_coming_back:
        decision.ignore("returned_to_sender")
    elif isinstance(event, MovementEvent) and not _is_recorded(past, event):
        return _handle_past_movement(decision, past, event)
    else:
        decision.ignore("past_replacement")
    return False


def _is_recorded(past: OutboundLeg, event: MovementEvent) -> bool:
    if isinstance(event, ReplacementShipped):
        return past.status in SHIPPED_OR_DELIVERED
    return past.delivered_at is not None


def _handle_past_movement(decision: CaseDecision, past: OutboundLeg, event: MovementEvent) -> bool:
    """Open a review, and return whether the past replacement became the current one."""
    decision.anomaly("past_replacement_moved")
    decision.open_review(ReviewCause.MOVED_AFTER_STOP)
    current = decision.case.outbound
    is_cancellable = current.status in (*AWAITING_SHIPMENT, OutboundStatus.REJECTED) and not current.has_moved
    if is_cancellable and not decision.case.is_closed:
        _restore_past_replacement(decision, past)
        return True
    legs = (_with_movement(leg, event) if leg is past else leg for leg in decision.case.past_replacements)
    decision.change(past_replacements=tuple(legs))
    return False


def _restore_past_replacement(decision: CaseDecision, past: OutboundLeg) -> None:
    cancel_replacement(decision, "past_replacement_moved")
    others = tuple(leg for leg in decision.case.replacements if leg is not past)
    was_announced_as_shipped = past.expected_delivery is not None
    status = past.status if was_announced_as_shipped else OutboundStatus.ORDERED
    leg = replace(past, status=status, number=decision.case.outbound.number, due_at=None)
    decision.change(outbound=leg, past_replacements=others, choice_request=None)
    decision.close_reviews(ReviewCause.WAREHOUSE_SILENT, ReviewCause.NOT_SHIPPING, ReviewCause.NO_DECISION)


def _with_movement(leg: OutboundLeg, event: MovementEvent) -> OutboundLeg:
    if isinstance(event, ParcelDelivered):
        status = OutboundStatus.DELIVERED if leg.status in SHIPPED_OR_DELIVERED else leg.status
        return replace(leg, status=status, delivered_at=event.delivered_at)
    return replace(leg, status=OutboundStatus.DELIVERED if leg.delivered_at else OutboundStatus.SHIPPED)


def skip_past(decision: CaseDecision, *expected: OutboundStatus) -> bool:
    """Skip an event that comes too late for the status of the leg; open a review where a cancelled order moves."""
    status = decision.case.outbound.status
    if status in expected:
        return False
    if status is OutboundStatus.CANCELLED and OutboundStatus.REJECTED in expected:
        decision.anomaly("moved_after_stop")
        decision.open_review(ReviewCause.MOVED_AFTER_STOP)
    else:
        decision.ignore("superseded")
    return True


def skip_stale(decision: CaseDecision) -> bool:
    """Skip a warehouse event that is older than one already applied to this replacement."""
    updated_at = decision.case.outbound.warehouse_updated_at
    if updated_at is None or decision.effective_time >= updated_at:
        return False
    decision.ignore("stale")
    return True


def record_repeat(decision: CaseDecision) -> None:
    """Record the time of a repeated statement: it is not announced again, but makes older events stale."""
    updated_at = decision.case.outbound.warehouse_updated_at
    if updated_at is None or decision.effective_time <= updated_at:
        decision.ignore("duplicate")
    else:
        decision.change_outbound(warehouse_updated_at=decision.effective_time)


def cancel_replacement(decision: CaseDecision, cause: str) -> None:
    """Cancel what the warehouse has not shipped of the current replacement."""
    leg = decision.case.outbound
    if leg.status in SHIPPED_OR_DELIVERED:
        decision.change_outbound(due_at=None)
        return
    if leg.shipped:  # the shipped part stays; only the rest is cancelled
        decision.change_outbound(status=OutboundStatus.SHIPPED, ordered=leg.shipped, due_at=None)
    else:
        decision.change_outbound(status=OutboundStatus.CANCELLED, due_at=None)
    if leg.status in AWAITING_SHIPMENT:
        decision.emit(
            ReplacementCancelled(
                **decision.ids, replacement_id=leg.replacement_id, cause=cause, cancelled_at=decision.now
            )
        )
