"""Next steps of a case: the only place that starts a leg, and where "ship first" is enforced (invariant 1)."""

from datetime import date, timedelta

from libs.common.decisions.backoff import backoff_seconds
from services.returns.domain.context import CaseDecision
from services.returns.domain.handlers import (
    collection_reminders,
    inbound,
    outbound,
    partial_shipments,
    redelivery,
    refunds,
)
from services.returns.domain.state.case import Case
from services.returns.domain.state.inbound_leg import InboundStatus
from services.returns.domain.state.line_quantities import UnitCounts, add_counts, common_counts, missing
from services.returns.domain.state.outbound_leg import OutboundStatus
from services.returns.domain.state.review_causes import HOLDING_CAUSES, ReviewCause
from services.returns.policy.movements import CollectOn, ShipOn


def start_next_steps(decision: CaseDecision) -> None:
    """Start the steps whose triggers have occurred and that have not started yet."""
    case = decision.case
    if case.is_closed or case.in_review(*HOLDING_CAUSES):
        return
    shortage = partial_shipments.shortage_to_order(case)
    to_ship = shortage.counts if shortage else _units_to_ship(case)
    collect_from = _collection_date(decision)
    is_order_awaited = _is_order_awaited(decision)
    needs_order = is_order_awaited and bool(refunds.owed_units(case))
    if ((to_ship or collect_from) and decision.ship_to is None) or needs_order:
        _await_address(decision)
    else:
        _clear_address_wait(decision)
        if shortage:
            outbound.order_shortage(decision, shortage)
        elif to_ship:
            outbound.order_replacement(decision, to_ship)
        if collect_from:
            inbound.start_collection(decision, collect_from)
    leg = decision.case.outbound
    if leg.status is OutboundStatus.SHIPPED and leg.expected_delivery:
        inbound.postpone(decision, decision.carrier.next_open(leg.expected_delivery))
    redelivery.request_redelivery(decision)
    if not is_order_awaited and (counts := refunds.owed_units(decision.case)):
        refunds.request_refund(decision, counts)
    collection_reminders.sync_reminder(decision)


def _is_order_awaited(decision: CaseDecision) -> bool:
    """Return whether a refund waits for the prices of the order; after the last attempt the report's prices count."""
    is_last = decision.case.address_attempts >= decision.limits.address_max_attempts
    return decision.customer.order is None and not (is_last and decision.case.address_due_at is None)


def _units_to_ship(case: Case) -> UnitCounts:
    """Return the units to order now for the first replacement."""
    if case.outbound.status is not OutboundStatus.NONE:
        return {}
    match case.plan.ship_on:
        case ShipOn.ACCEPTED:
            return case.shippable_units
        case ShipOn.RECEIVED:
            received = common_counts(case.inbound.received, case.returnable_units)
            is_complete = not missing(case.returnable_units, received) or case.inbound.is_waived
            parts = missing(case.shippable_units, case.returnable_units)
            return add_counts(received, parts) if is_complete else {}
        case _:
            return {}


def _collection_date(decision: CaseDecision) -> date | None:
    """Return the first day for the courier, never before the delivery of the replacement; None before its trigger."""
    case, leg = decision.case, decision.case.outbound
    if case.inbound.status is not InboundStatus.NONE:
        return None
    match case.plan.collect_on, leg.status:
        case CollectOn.ACCEPTED, _:
            return decision.carrier.open_day_after(decision.today)
        case CollectOn.SHIPPED | CollectOn.DELIVERED, _ if case.shortage:
            return None
        case CollectOn.SHIPPED, OutboundStatus.SHIPPED:
            return decision.carrier.next_open(max(leg.expected_delivery or decision.today, decision.today))
        case CollectOn.SHIPPED | CollectOn.DELIVERED, OutboundStatus.DELIVERED:
            return decision.carrier.next_open(decision.today)
        case _:
            return None


def _await_address(decision: CaseDecision) -> None:
    """Set a timer for an order that has not arrived on its topic; after the last attempt open a review."""
    case = decision.case
    if case.address_due_at or case.in_review(ReviewCause.NO_ADDRESS):
        return
    if case.address_attempts >= decision.limits.address_max_attempts:
        decision.open_review(ReviewCause.NO_ADDRESS)
        return
    # Exponential backoff, because the order is usually only moments behind.
    seconds = backoff_seconds(decision.limits.address_first_retry_seconds, case.address_attempts)
    due_at = decision.now + timedelta(seconds=seconds)
    decision.change(address_attempts=case.address_attempts + 1, address_due_at=due_at)


def _clear_address_wait(decision: CaseDecision) -> None:
    if decision.case.address_attempts or decision.case.address_due_at:
        decision.change(address_attempts=0, address_due_at=None)
    decision.close_reviews(ReviewCause.NO_ADDRESS)
