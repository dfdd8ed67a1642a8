"""Outbound leg, parcels: the replacement from its shipment to its delivery.

A delivery that arrives before its shipment event is kept until that event, so that consumers see both in order and no
courier is asked to come before the replacement ships (invariant 1).
"""

from datetime import date, datetime, timedelta

from libs.common.decisions.fast_replace import replace
from libs.common.events.carrier import ParcelDelivered, ParcelException
from libs.common.events.issues import (
    IssueReplacementDelivered,
    IssueReplacementDeliveryChanged,
    IssueReplacementPartShipped,
    IssueReplacementShipped,
)
from libs.common.events.warehouse import ReplacementRecalled, ReplacementShipped
from services.returns.domain.context import CaseDecision
from services.returns.domain.handlers import partial_shipments
from services.returns.domain.handlers.early_parcel_changes import forget_early_changes, with_early_changes
from services.returns.domain.handlers.outbound import (
    delivery_deadline,
    promise_deadline,
    promise_later,
    resend_replacement,
)
from services.returns.domain.handlers.replacement_matching import match_replacement, skip_past
from services.returns.domain.state.case import Case
from services.returns.domain.state.line_quantities import UnitCounts, add_counts, missing, to_lines
from services.returns.domain.state.outbound_leg import (
    AWAITING_SHIPMENT,
    SHIPPED_OR_DELIVERED,
    OutboundLeg,
    OutboundStatus,
    Parcel,
)
from services.returns.domain.state.review_causes import ReviewCause

BEFORE_SHIPMENT = (*AWAITING_SHIPMENT, OutboundStatus.REJECTED)
BEFORE_DELIVERY = (*BEFORE_SHIPMENT, OutboundStatus.SHIPPED)


def shipped(decision: CaseDecision, event: ReplacementShipped) -> None:
    """Record a parcel that left, also of an order that was rejected before.

    One that left when all units were in other parcels is kept: those may be called off yet.
    """
    if not match_replacement(decision, event) or partial_shipments.skip_known_parcel(decision, event):
        return
    is_complete = decision.case.outbound.status in SHIPPED_OR_DELIVERED and not decision.case.is_closed
    if not is_complete and skip_past(decision, *BEFORE_SHIPMENT):
        return
    event = with_early_changes(decision, event, partial_shipments.parcel_id_of(event))
    parcel = partial_shipments.add_parcel(decision, event, _expected_delivery(decision, event))
    forget_early_changes(decision, parcel)
    if not parcel.counts:
        return
    if decision.case.choice_request and not decision.case.shortage:
        decision.change(choice_request=None)
        decision.close_reviews(ReviewCause.NO_DECISION)
    decision.close_reviews(ReviewCause.WAREHOUSE_SILENT, ReviewCause.NOT_SHIPPING, ReviewCause.DELIVERED_UNSHIPPED)
    leg = decision.case.outbound
    if remaining := missing(leg.ordered, leg.shipped):
        _record_partial_shipment(decision, parcel.counts, remaining)
    else:
        complete_shipment(decision)


def _expected_delivery(decision: CaseDecision, event: ReplacementShipped) -> date:
    """Return the delivery date of this parcel, never before the day it shipped."""
    delivered_at = decision.case.outbound.delivered_at
    delivered_on = decision.calendar.day(delivered_at) if delivered_at else None
    shipped_on = decision.calendar.day(event.shipped_at)
    estimated = decision.carrier.next_open(shipped_on + timedelta(days=decision.limits.transit_days))
    return max(delivered_on or event.expected_delivery_date or estimated, shipped_on)


def _record_partial_shipment(decision: CaseDecision, counts: UnitCounts, remaining: UnitCounts) -> None:
    """Keep the promise for the remaining units, or give the first one; an order that was rejected before gets its
    promise back."""
    if decision.case.outbound.status is OutboundStatus.REJECTED:
        due_at = promise_deadline(decision, decision.case.outbound.promises[-1].ship_date)
        decision.change_outbound(status=OutboundStatus.CONFIRMED, due_at=due_at)
    shortage = decision.case.shortage
    if not decision.case.outbound.is_dated:
        asked_for = decision.case.outbound.promises[-1].ship_date
        promise_later(decision, decision.warehouse.next_open(max(asked_for, decision.today)), None)
    _emit_part_shipped(decision, counts, add_counts(remaining, shortage.counts) if shortage else remaining)


def _emit_part_shipped(decision: CaseDecision, counts: UnitCounts, remaining: UnitCounts) -> None:
    leg, shortage = decision.case.outbound, decision.case.shortage
    parcel = leg.parcels[-1]
    shortage_date = shortage.ship_date if shortage else None
    decision.emit(
        IssueReplacementPartShipped(
            **decision.ids,
            replacement_id=leg.replacement_id,
            lines=to_lines(counts),
            remaining_lines=to_lines(remaining),
            remaining_ship_date=max(leg.promises[-1].ship_date, shortage_date or decision.today),
            shipped_at=parcel.shipped_at,
            expected_delivery_date=parcel.expected_delivery,
            carrier=parcel.carrier,
            tracking_number=parcel.tracking_number,
        )
    )


def complete_shipment(decision: CaseDecision) -> None:
    """Record that every unit of this order has left the warehouse."""
    leg = decision.case.outbound
    expected = max(parcel.expected_delivery for parcel in leg.parcels)
    due_at = delivery_deadline(decision, expected)
    decision.change_outbound(status=OutboundStatus.SHIPPED, expected_delivery=expected, due_at=due_at)
    if decision.case.shortage:
        _emit_part_shipped(decision, leg.parcels[-1].counts, decision.case.shortage.counts)
    else:
        _emit_shipped(decision)
    if delivered_at := leg.delivered_at or partial_shipments.last_delivery(decision.case.outbound):
        _complete_delivery(decision, delivered_at)


def continue_with(decision: CaseDecision, parcel: Parcel, cause: str | None) -> None:
    """Announce the day of a parcel that counts in the place of one that did not leave."""
    last = max(each.expected_delivery for each in decision.case.outbound.parcels)
    if last != decision.case.outbound.expected_delivery:
        move_delivery(decision, parcel.parcel_id, parcel.expected_delivery, cause)
    delivered_at = partial_shipments.last_delivery(decision.case.outbound)
    if delivered_at and decision.case.outbound.status is OutboundStatus.SHIPPED:
        _complete_delivery(decision, delivered_at)


def complete_without_shortage(decision: CaseDecision) -> None:
    """Announce the shipped units as the whole replacement, after the units that were short are refunded."""
    if decision.case.outbound.status in SHIPPED_OR_DELIVERED:
        _emit_shipped(decision)
    if decision.case.outbound.status is OutboundStatus.DELIVERED:
        _emit_delivered(decision)


def _emit_shipped(decision: CaseDecision) -> None:
    decision.emit(shipped_event(decision.case, decision.case.outbound))


def shipped_event(case: Case, leg: OutboundLeg) -> IssueReplacementShipped:
    parcel = leg.parcels[-1]
    return IssueReplacementShipped(
        **case.ids,
        replacement_id=leg.replacement_id,
        shipped_at=parcel.shipped_at,
        expected_delivery_date=leg.expected_delivery,
        carrier=parcel.carrier,
        tracking_number=parcel.tracking_number,
    )


def delivered(decision: CaseDecision, event: ParcelDelivered) -> None:
    if not match_replacement(decision, event) or skip_past(decision, *BEFORE_DELIVERY):
        return
    leg = decision.case.outbound
    parcel = partial_shipments.find_parcel(leg, event)
    if parcel is None:
        _keep_early_delivery(decision, event)
    elif parcel.delivered_at:
        decision.ignore("duplicate")
    elif leg.is_turned_back(parcel):
        _record_return_to_sender(decision)
    else:
        partial_shipments.mark_delivered(decision, parcel, event.delivered_at, event.handed_to)
        delivered_at = partial_shipments.last_delivery(decision.case.outbound)
        if delivered_at and leg.status is OutboundStatus.SHIPPED:
            _complete_delivery(decision, delivered_at)


def _record_return_to_sender(decision: CaseDecision) -> None:
    """Leave a parcel that turned back to staff: "delivered" is then the sender's door, not the customer's."""
    if decision.case.is_closed:
        decision.ignore("case_closed")
    elif decision.case.in_review(ReviewCause.PARCEL_EXCEPTION):
        decision.ignore("returned_to_sender")
    else:
        decision.open_review(ReviewCause.PARCEL_EXCEPTION)


def _keep_early_delivery(decision: CaseDecision, event: ParcelDelivered) -> None:
    leg = decision.case.outbound
    if event.shipment_id in leg.early_deliveries or (event.shipment_id is None and (leg.delivered_at or leg.parcels)):
        decision.ignore("duplicate")
    elif event.shipment_id is None:
        decision.change_outbound(delivered_at=event.delivered_at, due_at=decision.after(days=1))
    else:
        early_deliveries = {**leg.early_deliveries, event.shipment_id: event.delivered_at}
        decision.change_outbound(early_deliveries=early_deliveries)


def _complete_delivery(decision: CaseDecision, at: datetime) -> None:
    """Record that every parcel of this order is delivered."""
    parcels = tuple(
        parcel if parcel.delivered_at else replace(parcel, delivered_at=at) for parcel in decision.case.outbound.parcels
    )
    decision.change_outbound(parcels=parcels, delivered_at=at, status=OutboundStatus.DELIVERED, due_at=None)
    decision.close_reviews(ReviewCause.DELIVERY_OVERDUE, ReviewCause.PARCEL_EXCEPTION)
    if not decision.case.shortage:
        _emit_delivered(decision)


def _emit_delivered(decision: CaseDecision) -> None:
    decision.emit(delivered_event(decision.case, decision.case.outbound))


def delivered_event(case: Case, leg: OutboundLeg) -> IssueReplacementDelivered:
    return IssueReplacementDelivered(
        **case.ids,
        replacement_id=leg.replacement_id,
        delivered_at=leg.delivered_at,
        lines=to_lines(case.delivered_units) or None,
    )


def exception_reported(decision: CaseDecision, event: ParcelException) -> None:
    """Record a carrier's exception: a new delivery date is kept, without one staff review the parcel."""
    if not match_replacement(decision, event) or skip_past(decision, *BEFORE_DELIVERY):
        return
    if decision.case.is_closed:
        decision.ignore("case_closed")
    elif decision.case.outbound.status is not OutboundStatus.SHIPPED:
        decision.ignore("not_shipped_yet")
    elif event.expected_delivery_date is None:
        decision.open_review(ReviewCause.PARCEL_EXCEPTION)
    else:
        key = decision.case.outbound.parcel_key(event.shipment_id, event.tracking_number)
        move_delivery(decision, key, max(event.expected_delivery_date, decision.today), event.code)


def move_delivery(decision: CaseDecision, key: str, expected: date, cause: str | None) -> None:
    """Record and announce another delivery day of a parcel; of several parcels the last one counts."""
    leg = decision.case.outbound
    # The rest of a part that had shipped was cancelled: no day was announced for the whole replacement.
    previous = leg.expected_delivery or max((each.expected_delivery for each in leg.parcels), default=expected)
    parcels = tuple(
        replace(each, expected_delivery=expected) if each.parcel_id == key else each for each in leg.parcels
    )
    others = [each.expected_delivery for each in parcels if each.parcel_id != key and not each.delivered_at]
    last = max(expected, *others) if others else expected
    if last == previous:
        decision.ignore("duplicate")
        return
    due_at = delivery_deadline(decision, last)
    decision.change_outbound(parcels=parcels, expected_delivery=last, due_at=due_at)
    decision.emit(
        IssueReplacementDeliveryChanged(
            **decision.ids,
            replacement_id=leg.replacement_id,
            previous_date=previous,
            expected_delivery_date=last,
            cause=cause,
            changed_at=decision.now,
        )
    )


def recalled(decision: CaseDecision, event: ReplacementRecalled) -> None:
    """Replace at once a parcel that the warehouse calls back; before its shipment, the order simply stands."""
    if not match_replacement(decision, event):
        return
    leg = decision.case.outbound
    if leg.status is not OutboundStatus.SHIPPED or decision.case.is_closed:
        decision.ignore("not_on_its_way")
        return
    keys = [event.shipment_id] if event.shipment_id else [parcel.parcel_id for parcel in leg.parcels]
    turned_back = {key: event.recalled_at for key in keys if key not in leg.turned_back}
    if not turned_back:
        decision.ignore("duplicate")
        return
    decision.change_outbound(turned_back={**leg.turned_back, **turned_back})
    if decision.case.outbound.is_coming_back:
        resend_replacement(decision)
    else:
        decision.open_review(ReviewCause.PARCEL_EXCEPTION)


def assume_shipped(decision: CaseDecision) -> None:
    """Record the shipment of a replacement that was delivered without a shipment event, as staff decided."""
    leg = decision.case.outbound
    if leg.replacement_id and leg.delivered_at and leg.status not in SHIPPED_OR_DELIVERED:
        ids = {"issue_id": decision.case.issue_id, "replacement_id": leg.replacement_id}
        shipped(decision, ReplacementShipped(**ids, shipped_at=leg.delivered_at))
