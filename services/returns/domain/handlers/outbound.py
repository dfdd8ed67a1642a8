"""The outbound leg: the replacement, from the order to the customer's door.

Ship dates are told as promises with versions; the same or an older word from the warehouse tells the customer nothing,
older by the moment at which the warehouse said it (the event's time), not by when it was heard.
A delivery that is heard of before its shipping is kept until the shipping is told, so that everybody downstream hears
them in order and the courier is never asked to come before (invariant 1).
"""

from datetime import date, datetime, timedelta
from typing import Any

from libs.common.decisions.fast_replace import replace
from libs.common.decisions.ids import derived_id
from libs.common.events.carrier import ParcelDelivered, ParcelException
from libs.common.events.issues import (
    IssueReplacementDelayed,
    IssueReplacementDelivered,
    IssueReplacementOrdered,
    IssueReplacementPartShipped,
    IssueReplacementPromised,
    IssueReplacementShipped,
)
from libs.common.events.values import Fault, IssueLine, Variant
from libs.common.events.warehouse import (
    Priority,
    ReplacementConfirmed,
    ReplacementDelayed,
    ReplacementOrdered,
    ReplacementShipped,
)
from services.returns.domain.case import Short, lines_of
from services.returns.domain.decision_context import CaseDecision
from services.returns.domain.handlers import inbound, partial_shipments
from services.returns.domain.legs.outbound import GONE, WAITED_FOR, Outbound, OutboundStatus, Promise
from services.returns.domain.line_quantities import Counts, added, as_lines, missing
from services.returns.domain.replacement_matching import is_ours, is_past, is_stale, repeated, with_former
from services.returns.domain.review_causes import ReviewCause


def order(turn: CaseDecision, counts: Counts, ship_date: date | None = None, variant: Variant | None = None) -> None:
    """Ask the warehouse to send these, by `ship_date` or else the first date the policy allows.

    `variant` goes out instead of what was bought, where the customer chose it.
    """
    number = turn.case.outbound.number + 1
    promised = ship_date or turn.calendar.add_open_days(turn.today, turn.terms.promise_open_days)
    fresh = Outbound(
        status=OutboundStatus.ORDERED,
        number=number,
        replacement_id=derived_id("replacement", turn.case.issue_id, number),
        ordered=counts,
        variant=variant,
        promises=(Promise(promised, 0),),
        asks=1,
        due_at=_answer_ends(turn, promised),
    )
    turn.change(formers=with_former(turn.case), outbound=fresh)
    _send(turn)
    told = IssueReplacementOrdered(
        **turn.ids,
        replacement_id=fresh.replacement_id,
        remedy=turn.case.plan.remedy,
        lines=as_lines(counts),
        promised_ship_date=promised,
        ordered_at=turn.now,
    )
    turn.say(told)


def order_the_rest(turn: CaseDecision, short: Short) -> None:
    """What was short goes out by itself; the courier comes after it."""
    turn.outbound(is_part=True)
    turn.change(short=None)
    inbound.hold(turn)
    order(turn, short.counts, max(short.ship_date, turn.today) if short.ship_date else None, short.variant)


def _ask(turn: CaseDecision) -> None:
    """Ask the warehouse once more: it is the same order."""
    leg = turn.case.outbound
    turn.outbound(asks=leg.asks + 1, due_at=_answer_ends(turn, leg.promises[-1].ship_date))
    _send(turn)


def _answer_ends(turn: CaseDecision, promised: date) -> datetime:
    return min(turn.after(hours=turn.terms.warehouse_answer_hours), _promise_ends(turn, promised))


def _send(turn: CaseDecision) -> None:
    """Send the order to the warehouse. Without an address it waits."""
    leg = turn.case.outbound
    if turn.ship_to is None:
        turn.anomaly("no_address")
        return
    turn.say(
        ReplacementOrdered(
            **turn.partner_ids,
            replacement_id=leg.replacement_id,
            lines=tuple(_as_sent(line, leg.variant) for line in lines_of(turn.case, leg.ordered)),
            ship_to=turn.ship_to,
            priority=Priority.STANDARD if turn.case.fault is Fault.CUSTOMER else Priority.EXPRESS,
            promised_ship_date=leg.promises[-1].ship_date,
            ordered_at=turn.now,
        )
    )


def _as_sent(line: IssueLine, variant: Variant | None) -> IssueLine:
    return line.model_copy(update={"sku": variant.sku, "name": variant.name}) if variant else line


def confirmed(turn: CaseDecision, fact: ReplacementConfirmed) -> None:
    if not is_ours(turn, fact) or is_past(turn, *WAITED_FOR) or is_stale(turn):
        return
    known = turn.case.outbound
    ship_date = max(fact.ship_date, turn.today)
    if known.status is OutboundStatus.CONFIRMED and known.promises[-1].ship_date == ship_date:
        repeated(turn)
        return
    turn.withdraw(ReviewCause.WAREHOUSE_SILENT)
    _promise(turn, ship_date, None, status=OutboundStatus.CONFIRMED, heard_at=turn.told_at)


def delayed(turn: CaseDecision, fact: ReplacementDelayed) -> None:
    if not is_ours(turn, fact) or is_past(turn, *WAITED_FOR) or is_stale(turn):
        return
    ship_date = max(fact.ship_date, turn.today)
    if ship_date == turn.case.outbound.promises[-1].ship_date:
        repeated(turn)
        return
    turn.withdraw(ReviewCause.WAREHOUSE_SILENT)
    _promise(turn, ship_date, fact.cause, status=OutboundStatus.CONFIRMED, heard_at=turn.told_at)


def _promise(turn: CaseDecision, ship_date: date, cause: str | None, **changes: Any) -> None:
    """A new version of the promise; later than the one before it is a delay, and told as one."""
    leg = turn.case.outbound
    before = leg.promises[-1]
    promise = Promise(ship_date, before.version + 1)
    turn.outbound(promises=(*leg.promises, promise), due_at=_promise_ends(turn, ship_date), **changes)
    told = {**turn.ids, "replacement_id": leg.replacement_id, "ship_date": ship_date, "version": promise.version}
    if ship_date > before.ship_date:
        turn.say(IssueReplacementDelayed(**told, previous_ship_date=before.ship_date, cause=cause))
    else:
        turn.say(IssueReplacementPromised(**told))


def _promise_ends(turn: CaseDecision, ship_date: date) -> datetime:
    """The hour at which the promise is broken if nothing has left; never in the past, so that a timer always comes."""
    ends = turn.calendar.moment(ship_date, turn.terms.promise_hour)
    return ends if ends > turn.now else turn.after(hours=1)


def shipped(turn: CaseDecision, fact: ReplacementShipped) -> None:
    """It has left, or some of it has, whatever was said before; even a rejected order may be sent after all."""
    if not is_ours(turn, fact) or partial_shipments.is_repeated(turn, fact):
        return
    if is_past(turn, *WAITED_FOR, OutboundStatus.REJECTED):
        return
    counts = partial_shipments.packed(turn, fact)
    if not counts:
        turn.anomaly("nothing_shipped")
        return
    if turn.case.outbound.status is OutboundStatus.REJECTED:
        turn.change(question=None)
        turn.withdraw(ReviewCause.NO_DECISION)
    turn.withdraw(ReviewCause.WAREHOUSE_SILENT, ReviewCause.NOT_SHIPPING, ReviewCause.DELIVERED_UNSHIPPED)
    partial_shipments.add(turn, fact, counts, _expected(turn, fact))
    leg = turn.case.outbound
    if rest := missing(leg.ordered, leg.shipped):
        _some_left(turn, counts, rest)
    else:
        all_left(turn)


def _expected(turn: CaseDecision, fact: ReplacementShipped) -> date:
    """The day on which this parcel arrives: never before it left."""
    delivered_at = turn.case.outbound.delivered_at
    known_delivery = turn.calendar.day(delivered_at) if delivered_at else None
    shipped_on = turn.calendar.day(fact.shipped_at)
    expected = known_delivery or fact.expected_delivery_date or shipped_on + timedelta(days=turn.terms.transit_days)
    return max(expected, shipped_on)


def _some_left(turn: CaseDecision, counts: Counts, rest: Counts) -> None:
    """The rest still has its promise; an order that was rejected and leaves after all gets one again."""
    if turn.case.outbound.status is OutboundStatus.REJECTED:
        promised = turn.case.outbound.promises[-1].ship_date
        turn.outbound(status=OutboundStatus.CONFIRMED, due_at=_promise_ends(turn, promised))
    short = turn.case.short
    _tell_part(turn, counts, added(rest, short.counts) if short else rest)


def _tell_part(turn: CaseDecision, counts: Counts, rest: Counts) -> None:
    leg, short = turn.case.outbound, turn.case.short
    parcel = leg.parcels[-1]
    told = IssueReplacementPartShipped(
        **turn.ids,
        replacement_id=leg.replacement_id,
        lines=as_lines(counts),
        remaining_lines=as_lines(rest),
        remaining_ship_date=max(leg.promises[-1].ship_date, (short and short.ship_date) or turn.today),
        shipped_at=parcel.shipped_at,
        expected_delivery_date=parcel.expected,
        carrier=parcel.carrier,
        tracking_number=parcel.tracking_number,
    )
    turn.say(told)


def _tell_all_left(turn: CaseDecision) -> None:
    leg = turn.case.outbound
    last = leg.parcels[-1]
    told = IssueReplacementShipped(
        **turn.ids,
        replacement_id=leg.replacement_id,
        shipped_at=last.shipped_at,
        expected_delivery_date=leg.expected_delivery,
        carrier=last.carrier,
        tracking_number=last.tracking_number,
    )
    turn.say(told)


def nothing_more_comes(turn: CaseDecision) -> None:
    """What was short is paid back: what has left is all there is, and now it is told as such."""
    if turn.case.outbound.status in GONE:
        _tell_all_left(turn)
    if turn.case.outbound.status is OutboundStatus.DELIVERED:
        _tell_arrived(turn)


def all_left(turn: CaseDecision) -> None:
    """Nothing of it is still to come from the warehouse."""
    leg = turn.case.outbound
    last = leg.parcels[-1]
    expected = max(parcel.expected for parcel in leg.parcels)
    turn.outbound(status=OutboundStatus.SHIPPED, expected_delivery=expected, due_at=_delivery_ends(turn, expected))
    if turn.case.short:
        _tell_part(turn, last.counts, turn.case.short.counts)
    else:
        _tell_all_left(turn)
    if leg.delivered_at:
        _all_there(turn, leg.delivered_at)
    elif delivered_at := partial_shipments.last_arrival(turn.case.outbound):
        _all_there(turn, delivered_at)


def _delivery_ends(turn: CaseDecision, expected: date | None) -> datetime:
    expected = max(expected or turn.today, turn.today)
    return turn.calendar.moment(expected + timedelta(days=turn.terms.delivery_grace_days), turn.terms.review_hour)


def delivered(turn: CaseDecision, fact: ParcelDelivered) -> None:
    if not is_ours(turn, fact) or is_past(turn, *WAITED_FOR, OutboundStatus.REJECTED, OutboundStatus.SHIPPED):
        return
    leg = turn.case.outbound
    parcel = partial_shipments.find(leg, fact)
    if parcel is None:
        _before_its_shipping(turn, fact)
    elif parcel.delivered_at:
        turn.ignore("repeated")
    else:
        partial_shipments.arrived(turn, parcel, fact.delivered_at)
        delivered_at = partial_shipments.last_arrival(turn.case.outbound)
        if delivered_at and leg.status is OutboundStatus.SHIPPED:
            _all_there(turn, delivered_at)


def _before_its_shipping(turn: CaseDecision, fact: ParcelDelivered) -> None:
    """Kept until the shipping is told, so that everybody downstream hears them in order."""
    leg = turn.case.outbound
    if fact.shipment_id in leg.early or (fact.shipment_id is None and (leg.delivered_at or leg.parcels)):
        turn.ignore("repeated")
    elif fact.shipment_id is None:
        turn.outbound(delivered_at=fact.delivered_at, due_at=turn.after(days=1))
    else:
        turn.outbound(early={**leg.early, fact.shipment_id: fact.delivered_at})


def _all_there(turn: CaseDecision, at: datetime) -> None:
    there = tuple(one if one.delivered_at else replace(one, delivered_at=at) for one in turn.case.outbound.parcels)
    turn.outbound(parcels=there, delivered_at=at, status=OutboundStatus.DELIVERED, due_at=None)
    turn.withdraw(ReviewCause.DELIVERY_OVERDUE, ReviewCause.PARCEL_EXCEPTION)
    if not turn.case.short:
        _tell_arrived(turn)


def _tell_arrived(turn: CaseDecision) -> None:
    leg = turn.case.outbound
    told = IssueReplacementDelivered(
        **turn.ids,
        replacement_id=leg.replacement_id,
        delivered_at=leg.delivered_at,
        lines=as_lines(turn.case.arrived) or None,
    )
    turn.say(told)


def exception(turn: CaseDecision, fact: ParcelException) -> None:
    """Something happened on the way; without a new day for it a human looks."""
    if not is_ours(turn, fact) or is_past(turn, *WAITED_FOR, OutboundStatus.REJECTED, OutboundStatus.SHIPPED):
        return
    if turn.case.is_closed:
        turn.ignore("closed")
    elif turn.case.outbound.status is not OutboundStatus.SHIPPED:
        turn.ignore("not_shipped_yet")
    elif fact.expected_delivery_date is None:
        turn.review(ReviewCause.PARCEL_EXCEPTION)
    elif fact.expected_delivery_date == turn.case.outbound.expected_delivery:
        turn.ignore("repeated")
    else:
        expected = max(fact.expected_delivery_date, turn.today)
        turn.outbound(expected_delivery=expected, due_at=_delivery_ends(turn, expected))


def due(turn: CaseDecision) -> None:
    """Nothing came in time."""
    leg = turn.case.outbound
    if leg.status is OutboundStatus.SHIPPED:
        turn.review(ReviewCause.DELIVERY_OVERDUE)
        turn.outbound(due_at=_delivery_ends(turn, leg.expected_delivery))
    elif leg.delivered_at:
        turn.review(ReviewCause.DELIVERED_UNSHIPPED)
        turn.outbound(due_at=turn.after(days=1))
    elif turn.now >= turn.calendar.moment(leg.promises[-1].ship_date, turn.terms.promise_hour):
        _slip(turn)
    elif leg.asks < turn.terms.warehouse_max_asks:
        _ask(turn)
    else:
        turn.review(ReviewCause.WAREHOUSE_SILENT)
        turn.outbound(due_at=_promise_ends(turn, leg.promises[-1].ship_date))


def _slip(turn: CaseDecision) -> None:
    """The promised day passes unshipped: the customer hears the next one before it is over."""
    _promise(turn, turn.open_day_after(turn.today), "no_shipment", slips=turn.case.outbound.slips + 1)
    if turn.case.outbound.slips > 1:
        turn.review(ReviewCause.NOT_SHIPPING)


def take_as_shipped(turn: CaseDecision) -> None:
    """A human knows that what was delivered must have been shipped."""
    leg = turn.case.outbound
    if leg.replacement_id and leg.delivered_at and leg.status not in GONE:
        shipped(
            turn,
            ReplacementShipped(
                issue_id=turn.case.issue_id, replacement_id=leg.replacement_id, shipped_at=leg.delivered_at
            ),
        )


def send_again(turn: CaseDecision) -> None:
    """A human gives the parcel up: another one goes out, and the courier comes after that one."""
    if turn.case.outbound.status is OutboundStatus.SHIPPED:
        turn.withdraw(ReviewCause.DELIVERY_OVERDUE, ReviewCause.PARCEL_EXCEPTION)
        inbound.hold(turn)
        order(turn, turn.case.outbound.ordered)


def ask_again(turn: CaseDecision) -> None:
    """A human wants the warehouse asked once more."""
    if turn.case.outbound.status in WAITED_FOR:
        _ask(turn)
