"""Outbound leg, orders and ship promises: the replacement from its order until it ships (then: `shipments`).

Ship dates are announced as versioned promises, the first one as `first_dates` has it. A statement of the warehouse that
repeats a promise, or is older than the last one by event time, is not announced.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from math import ceil
from typing import Any

from libs.common.decisions.ids import derived_id
from libs.common.events.issues import IssueReplacementDelayed, IssueReplacementOrdered, IssueReplacementPromised
from libs.common.events.values import Fault, IssueLine, Money, Remedy, ReplacementPart, Variant
from libs.common.events.warehouse import Priority, ReplacementConfirmed, ReplacementDelayed, ReplacementOrdered
from services.returns.domain.context import CaseDecision
from services.returns.domain.handlers import first_dates, inbound
from services.returns.domain.handlers.replacement_matching import (
    match_replacement,
    record_repeat,
    skip_past,
    skip_stale,
)
from services.returns.domain.state.case import Case, Shortage, lines_for
from services.returns.domain.state.line_quantities import UnitCounts, to_lines
from services.returns.domain.state.outbound_leg import AWAITING_SHIPMENT, OutboundLeg, OutboundStatus, ShipPromise
from services.returns.domain.state.return_slips import return_slip
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.movements import CollectOn

UNSHIPPED = "units_unshipped"
"""Cause of the new date of units that were announced as shipped."""


def order_replacement(
    decision: CaseDecision, counts: UnitCounts, ship_date: date | None = None, variant: Variant | None = None
) -> None:
    """Order these units by `ship_date`, a date that the customer has, or else by the first date the policy allows and
    the warehouse confirms; `variant` ships instead."""
    number = decision.case.outbound.number + 1
    warehouse = decision.warehouse
    earliest = warehouse.add_open_days(decision.today, decision.limits.promise_open_days)
    promised = warehouse.next_open(ship_date) if ship_date else earliest
    is_awaited = ship_date is None and decision.limits.first_date_seconds > 0
    leg = OutboundLeg(
        status=OutboundStatus.ORDERED,
        number=number,
        replacement_id=derived_id("replacement", decision.case.issue_id, number),
        ordered=counts,
        variant=variant,
        promises=(ShipPromise(promised, 0),),
        date_known_by=first_dates.day_of_date(decision) if is_awaited else None,
        date_expected_at=first_dates.answer_awaited_until(decision) if is_awaited else None,
        address_version=decision.customer.address_version,
        order_attempts=1,
    )
    decision.change(past_replacements=decision.case.replacements, outbound=leg)
    decision.change_outbound(due_at=_answer_deadline(decision))
    _send_order(decision, leg.date_expected_at)
    decision.emit(ordered_event(decision.case, leg, decision.now))


def ordered_event(case: Case, leg: OutboundLeg, ordered_at: datetime) -> IssueReplacementOrdered:
    return IssueReplacementOrdered(
        **case.ids,
        replacement_id=leg.replacement_id,
        remedy=case.plan.remedy,
        lines=to_lines(leg.ordered),
        promised_ship_date=leg.promises[0].ship_date,
        date_expected_at=leg.date_expected_at,
        date_known_by=leg.date_known_by,
        ordered_at=ordered_at,
    )


def order_shortage(decision: CaseDecision, shortage: Shortage) -> None:
    """Order the units that were short; the collection follows this replacement."""
    decision.change(shortage=None)
    inbound.reset(decision)
    ship_date = max(shortage.ship_date, decision.today) if shortage.ship_date else None
    order_replacement(decision, shortage.counts, ship_date, shortage.variant)


def _repeat_order(decision: CaseDecision) -> None:
    """Send the same order again, under its id."""
    leg = decision.case.outbound
    version = decision.customer.address_version
    due_at = _answer_deadline(decision)
    decision.change_outbound(order_attempts=leg.order_attempts + 1, due_at=due_at, address_version=version)
    _send_order(decision, None if leg.is_dated else first_dates.date_deadline(decision, leg))


def _answer_deadline(decision: CaseDecision) -> datetime:
    return min(decision.after(hours=decision.limits.warehouse_answer_hours), _date_or_promise_deadline(decision))


def _date_or_promise_deadline(decision: CaseDecision) -> datetime:
    """Return the deadline of the shipment, or of its date where none is announced; never in the past."""
    leg = decision.case.outbound
    if leg.is_dated:
        return promise_deadline(decision, leg.promises[-1].ship_date)
    ends = first_dates.date_deadline(decision, leg)
    return ends if ends > decision.now else decision.after(hours=1)


def _send_order(decision: CaseDecision, awaited_until: datetime | None) -> None:
    """Send the order to the warehouse; without an address it is sent at the next timer."""
    leg = decision.case.outbound
    if decision.ship_to is None:
        decision.anomaly("no_address")
        return
    decision.emit(
        ReplacementOrdered(
            **decision.ids,
            replacement_id=leg.replacement_id,
            lines=tuple(_sent_line(line, leg.variant) for line in lines_for(decision.case, leg.ordered)),
            ship_to=decision.ship_to,
            priority=Priority.STANDARD if decision.case.fault is Fault.CUSTOMER else Priority.EXPRESS,
            promised_ship_date=leg.promises[-1].ship_date,
            date_expected_at=awaited_until,
            remedy=decision.case.plan.remedy,
            parts=_parts(decision.case, leg.ordered, leg.variant),
            customs_value=Money(amount=decision.case.value_of(leg.ordered), currency=decision.case.currency),
            return_slip=return_slip(decision.case.issue_id) if _is_return_planned(decision) else None,
            ordered_at=decision.now,
        )
    )


def _is_return_planned(decision: CaseDecision) -> bool:
    return decision.case.plan.collect_on is not CollectOn.NEVER


def _parts(case: Case, counts: UnitCounts, variant: Variant | None) -> tuple[ReplacementPart, ...]:
    """Return the parts to be sent in place of whole items; empty where the items themselves are sent."""
    reported = {line.line_id: line.quantity for line in case.lines}
    return tuple(
        part
        for line in lines_for(case, counts)
        if line.is_of_parts or case.plan.remedy is Remedy.PART_SHIPMENT
        for part in _parts_of(line, reported[line.line_id], variant)
    )


def _parts_of(line: IssueLine, reported: int, variant: Variant | None) -> Iterator[ReplacementPart]:
    """Yield the parts for these units of a line, of which `reported` units were reported."""
    names = {part.sku: part.name for part in line.components}
    for part in line.parts:
        quantity = ceil(part.quantity * line.quantity / reported)
        sku, name = part.sku, names.get(part.sku) or part.sku
        if variant and len(line.parts) == 1:
            sku, name = variant.sku, variant.name
        yield ReplacementPart(line_id=line.line_id, sku=sku, name=name[:200], quantity=quantity)
    if line.part and not line.parts:
        yield ReplacementPart(line_id=line.line_id, name=line.part, quantity=line.quantity)


def _sent_line(line: IssueLine, variant: Variant | None) -> IssueLine:
    if variant is None or line.is_of_parts:
        return line
    return line.model_copy(update={"sku": variant.sku, "name": variant.name})


def confirmed(decision: CaseDecision, event: ReplacementConfirmed) -> None:
    if not match_replacement(decision, event) or skip_past(decision, *AWAITING_SHIPMENT) or skip_stale(decision):
        return
    leg, ship_date = decision.case.outbound, _open_ship_date(decision, event.ship_date)
    if leg.status is OutboundStatus.CONFIRMED and leg.promises[-1].ship_date == ship_date:
        record_repeat(decision)
        return
    decision.close_reviews(ReviewCause.WAREHOUSE_SILENT)
    _add_promise(
        decision,
        ship_date,
        None,
        status=OutboundStatus.CONFIRMED,
        warehouse_updated_at=decision.effective_time,
    )


def delayed(decision: CaseDecision, event: ReplacementDelayed) -> None:
    if not match_replacement(decision, event) or skip_past(decision, *AWAITING_SHIPMENT) or skip_stale(decision):
        return
    ship_date = _open_ship_date(decision, event.ship_date)
    if decision.case.outbound.is_dated and ship_date == decision.case.outbound.promises[-1].ship_date:
        record_repeat(decision)
        return
    decision.close_reviews(ReviewCause.WAREHOUSE_SILENT)
    _add_promise(
        decision,
        ship_date,
        event.cause,
        status=OutboundStatus.CONFIRMED,
        warehouse_updated_at=decision.effective_time,
    )


def _open_ship_date(decision: CaseDecision, stated: date) -> date:
    """Return the date that the warehouse stated, or its next open day."""
    return decision.warehouse.next_open(max(stated, decision.today))


def _add_promise(decision: CaseDecision, ship_date: date, cause: str | None, **changes: Any) -> None:
    """Add a promise version, and announce it: a later date than the announced one as a delay."""
    promises = decision.case.outbound.promises
    promise = ShipPromise(ship_date, promises[-1].version + 1)
    due_at = promise_deadline(decision, ship_date)
    decision.change_outbound(promises=(*promises, promise), due_at=due_at, **changes)
    decision.emit(dated_event(decision.case, decision.case.outbound, cause))


def move_promise(decision: CaseDecision, ship_date: date) -> None:
    """Promise this date instead: the warehouse is closed on the one before. An answer is awaited as long as it was."""
    leg = decision.case.outbound
    if not leg.is_dated:
        decision.change_outbound(promises=(ShipPromise(ship_date, 0),))
        return
    _add_promise(decision, ship_date, "calendar")
    if leg.status is OutboundStatus.ORDERED:
        decision.change_outbound(due_at=leg.due_at)


def dated_event(case: Case, leg: OutboundLeg, cause: str | None) -> IssueReplacementPromised | IssueReplacementDelayed:
    """Return the event of the last promise of a replacement that has more than its first."""
    before, promise = leg.promises[-2:]
    was_announced = before.version > 0 or leg.date_known_by is None or cause == UNSHIPPED
    ids = {**case.ids, "replacement_id": leg.replacement_id, "version": promise.version}
    if was_announced and promise.ship_date > before.ship_date:
        return IssueReplacementDelayed(
            **ids, ship_date=promise.ship_date, previous_ship_date=before.ship_date, cause=cause
        )
    return IssueReplacementPromised(**ids, ship_date=promise.ship_date)


def promise_deadline(decision: CaseDecision, ship_date: date) -> datetime:
    """Return the hour of the promised day at which a missing shipment is announced; never in the past."""
    ends = decision.calendar.moment(ship_date, decision.limits.promise_hour)
    return ends if ends > decision.now else decision.after(hours=1)


def delivery_deadline(decision: CaseDecision, expected: date | None) -> datetime:
    """Return the time at which the delivery is overdue."""
    expected = max(expected or decision.today, decision.today)
    last_day = expected + timedelta(days=decision.limits.delivery_grace_days)
    return decision.calendar.moment(last_day, decision.limits.review_hour)


def on_timer(decision: CaseDecision) -> None:
    """Handle an overdue delivery, shipment or answer of the warehouse."""
    leg = decision.case.outbound
    if leg.status is OutboundStatus.SHIPPED:
        decision.open_review(ReviewCause.DELIVERY_OVERDUE)
        decision.change_outbound(due_at=delivery_deadline(decision, leg.expected_delivery))
    elif leg.delivered_at:
        decision.open_review(ReviewCause.DELIVERED_UNSHIPPED)
        decision.change_outbound(due_at=decision.after(days=1))
    elif _is_due(decision):
        miss = _miss_promise if leg.is_dated else first_dates.miss_date
        miss(decision)
    elif leg.order_attempts < decision.limits.warehouse_max_orders:
        _repeat_order(decision)
    else:
        if leg.is_dated:
            decision.open_review(ReviewCause.WAREHOUSE_SILENT)
        decision.change_outbound(due_at=_date_or_promise_deadline(decision))


def _is_due(decision: CaseDecision) -> bool:
    """Return whether the promised day ends without a shipment, or that of the date without one."""
    leg = decision.case.outbound
    if not leg.is_dated:
        return decision.now >= first_dates.date_deadline(decision, leg)
    return decision.now >= decision.calendar.moment(leg.promises[-1].ship_date, decision.limits.promise_hour)


def is_silent(decision: CaseDecision) -> bool:
    """Return whether a second promised day ends without a shipment, or without its date: the customer is to choose."""
    leg = decision.case.outbound
    if leg.status not in AWAITING_SHIPMENT or leg.delivered_at or not leg.missed_promises:
        return False
    return _is_due(decision)


def extend_promise(decision: CaseDecision, ship_date: date) -> None:
    """Promise the date that the customer accepted, and remind the warehouse of its order."""
    _add_promise(decision, ship_date, "customer_waits")
    _repeat_order(decision)


def promise_later(decision: CaseDecision, ship_date: date, cause: str | None) -> None:
    """Promise and announce the date of units that did not leave with others, or not although it was announced."""
    _add_promise(decision, ship_date, cause)


def _miss_promise(decision: CaseDecision) -> None:
    """Announce the next open day before the promised day ends without a shipment."""
    missed_promises = decision.case.outbound.missed_promises + 1
    ship_date = decision.warehouse.open_day_after(decision.today)
    _add_promise(decision, ship_date, "no_shipment", missed_promises=missed_promises)
    if missed_promises > 1:
        decision.open_review(ReviewCause.NOT_SHIPPING)


def resend_replacement(decision: CaseDecision) -> None:
    """Order the replacement again for a parcel that staff consider lost; the collection follows the new one."""
    if decision.case.outbound.status is OutboundStatus.SHIPPED:
        decision.close_reviews(ReviewCause.DELIVERY_OVERDUE, ReviewCause.PARCEL_EXCEPTION, ReviewCause.ADDRESS_CHANGED)
        inbound.reset(decision)
        order_replacement(decision, decision.case.outbound.ordered)


def repeat_order(decision: CaseDecision) -> None:
    """Send the order again at the request of staff."""
    if decision.case.outbound.status in AWAITING_SHIPMENT:
        _repeat_order(decision)
