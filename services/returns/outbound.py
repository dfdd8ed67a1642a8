"""The outbound leg: the replacement, from the order to the customer's door.

Ship dates are told as promises with versions; the same or an older word from the warehouse tells the customer nothing,
older by the moment at which the warehouse said it (the event's time), not by when it was heard.
A delivery that is heard of before its shipping is kept until the shipping is told, so that everybody downstream hears
them in order and the courier is never asked to come before (invariant 1).
"""

from datetime import date, datetime, timedelta

from libs.common.events.carrier import ParcelDelivered, ParcelException
from libs.common.events.issues import (
    IssueReplacementDelayed,
    IssueReplacementDelivered,
    IssueReplacementOrdered,
    IssueReplacementPromised,
    IssueReplacementShipped,
)
from libs.common.events.values import Fault
from libs.common.events.warehouse import (
    Priority,
    ReplacementConfirmed,
    ReplacementDelayed,
    ReplacementOrdered,
    ReplacementShipped,
)
from libs.common.ids import derived_id
from services.returns import inbound
from services.returns.case import Counts, Outbound, OutboundStatus, Promise, ReviewCause, as_lines, lines_of
from services.returns.replacements import GONE, WAITED_FOR, is_ours, is_past, is_stale, repeated, with_former
from services.returns.turn import Turn


def order(turn: Turn, counts: Counts, ship_date: date | None = None) -> None:
    """Ask the warehouse to send these, by `ship_date` or else the first date the policy allows."""
    number = turn.case.outbound.number + 1
    promised = ship_date or turn.calendar.add_open_days(turn.today, turn.terms.promise_open_days)
    fresh = Outbound(
        status=OutboundStatus.ORDERED,
        number=number,
        replacement_id=derived_id("replacement", turn.case.issue_id, number),
        ordered=counts,
        promises=(Promise(promised, 0),),
    )
    turn.change(formers=with_former(turn.case), outbound=fresh)
    _ask(turn)
    told = IssueReplacementOrdered(
        **turn.ids,
        replacement_id=fresh.replacement_id,
        remedy=turn.case.plan.remedy,
        lines=as_lines(counts),
        promised_ship_date=promised,
        ordered_at=turn.now,
    )
    turn.say(told)


def _ask(turn: Turn) -> None:
    """Send the order to the warehouse; sent again it is the same order. Without an address it waits."""
    leg = turn.case.outbound
    answer_by = turn.after(hours=turn.terms.warehouse_answer_hours)
    turn.outbound(asks=leg.asks + 1, due_at=min(answer_by, _promise_ends(turn)))
    if turn.ship_to is None:
        turn.anomaly("no_address")
        return
    turn.say(
        ReplacementOrdered(
            **turn.partner_ids,
            replacement_id=leg.replacement_id,
            lines=lines_of(turn.case, leg.ordered),
            ship_to=turn.ship_to,
            priority=Priority.STANDARD if turn.case.fault is Fault.CUSTOMER else Priority.EXPRESS,
            promised_ship_date=leg.promises[-1].ship_date,
            ordered_at=turn.now,
        )
    )


def confirmed(turn: Turn, fact: ReplacementConfirmed) -> None:
    if not is_ours(turn, fact) or is_past(turn, *WAITED_FOR) or is_stale(turn):
        return
    known = turn.case.outbound
    ship_date = max(fact.ship_date, turn.today)
    if known.status is OutboundStatus.CONFIRMED and known.promises[-1].ship_date == ship_date:
        repeated(turn)
        return
    turn.outbound(status=OutboundStatus.CONFIRMED, heard_at=turn.told_at)
    turn.withdraw(ReviewCause.WAREHOUSE_SILENT)
    _promise(turn, ship_date, None)


def delayed(turn: Turn, fact: ReplacementDelayed) -> None:
    if not is_ours(turn, fact) or is_past(turn, *WAITED_FOR) or is_stale(turn):
        return
    ship_date = max(fact.ship_date, turn.today)
    if ship_date == turn.case.outbound.promises[-1].ship_date:
        repeated(turn)
        return
    turn.withdraw(ReviewCause.WAREHOUSE_SILENT)
    turn.outbound(status=OutboundStatus.CONFIRMED, heard_at=turn.told_at)
    _promise(turn, ship_date, fact.cause)


def _promise(turn: Turn, ship_date: date, cause: str | None) -> None:
    """A new version of the promise; later than the one before it is a delay, and told as one."""
    leg = turn.case.outbound
    before = leg.promises[-1]
    promise = Promise(ship_date, before.version + 1)
    turn.outbound(promises=(*leg.promises, promise))
    turn.outbound(due_at=_promise_ends(turn))
    told = {**turn.ids, "replacement_id": leg.replacement_id, "ship_date": ship_date, "version": promise.version}
    if ship_date > before.ship_date:
        turn.say(IssueReplacementDelayed(**told, previous_ship_date=before.ship_date, cause=cause))
    else:
        turn.say(IssueReplacementPromised(**told))


def _promise_ends(turn: Turn) -> datetime:
    """The hour at which the promise is broken if nothing has left; never in the past, so that a timer always comes."""
    ends = turn.calendar.moment(turn.case.outbound.promises[-1].ship_date, turn.terms.promise_hour)
    return ends if ends > turn.now else turn.after(hours=1)


def shipped(turn: Turn, fact: ReplacementShipped) -> None:
    """It has left, whatever was said before; even a rejected order that is sent after all answers its question."""
    if not is_ours(turn, fact) or is_past(turn, *WAITED_FOR, OutboundStatus.REJECTED):
        return
    leg = turn.case.outbound
    known_delivery = turn.calendar.day(leg.delivered_at) if leg.delivered_at else None
    shipped_on = turn.calendar.day(fact.shipped_at)
    expected = known_delivery or fact.expected_delivery_date or shipped_on + timedelta(days=turn.terms.transit_days)
    expected = max(expected, shipped_on)
    turn.change(question=None)
    turn.withdraw(ReviewCause.WAREHOUSE_SILENT, ReviewCause.NOT_SHIPPING, ReviewCause.DELIVERED_UNSHIPPED)
    turn.withdraw(ReviewCause.NO_DECISION)
    turn.outbound(status=OutboundStatus.SHIPPED, shipped=leg.ordered, expected_delivery=expected)
    turn.outbound(due_at=_delivery_ends(turn))
    told = IssueReplacementShipped(
        **turn.ids,
        replacement_id=fact.replacement_id,
        shipped_at=fact.shipped_at,
        expected_delivery_date=expected,
        carrier=fact.carrier,
        tracking_number=fact.tracking_number,
    )
    turn.say(told)
    if leg.delivered_at:
        _arrived(turn)


def _delivery_ends(turn: Turn) -> datetime:
    expected = max(turn.case.outbound.expected_delivery or turn.today, turn.today)
    return turn.calendar.moment(expected + timedelta(days=turn.terms.delivery_grace_days), turn.terms.review_hour)


def delivered(turn: Turn, fact: ParcelDelivered) -> None:
    if not is_ours(turn, fact) or is_past(turn, *WAITED_FOR, OutboundStatus.REJECTED, OutboundStatus.SHIPPED):
        return
    if turn.case.outbound.delivered_at:
        turn.ignore("repeated")
        return
    turn.outbound(delivered_at=fact.delivered_at)
    if turn.case.outbound.status is OutboundStatus.SHIPPED:
        _arrived(turn)
    else:
        turn.outbound(due_at=turn.after(days=1))


def _arrived(turn: Turn) -> None:
    leg = turn.case.outbound
    turn.outbound(status=OutboundStatus.DELIVERED, due_at=None)
    turn.withdraw(ReviewCause.DELIVERY_OVERDUE, ReviewCause.PARCEL_EXCEPTION)
    told = IssueReplacementDelivered(**turn.ids, replacement_id=leg.replacement_id, delivered_at=leg.delivered_at)
    turn.say(told)


def exception(turn: Turn, fact: ParcelException) -> None:
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
        turn.outbound(expected_delivery=max(fact.expected_delivery_date, turn.today))
        turn.outbound(due_at=_delivery_ends(turn))


def due(turn: Turn) -> None:
    """Nothing came in time."""
    leg = turn.case.outbound
    if leg.status is OutboundStatus.SHIPPED:
        turn.review(ReviewCause.DELIVERY_OVERDUE)
        turn.outbound(due_at=_delivery_ends(turn))
    elif leg.delivered_at:
        turn.review(ReviewCause.DELIVERED_UNSHIPPED)
        turn.outbound(due_at=turn.after(days=1))
    elif turn.now >= turn.calendar.moment(leg.promises[-1].ship_date, turn.terms.promise_hour):
        _slip(turn)
    elif leg.asks < turn.terms.warehouse_max_asks:
        _ask(turn)
    else:
        turn.review(ReviewCause.WAREHOUSE_SILENT)
        turn.outbound(due_at=_promise_ends(turn))


def _slip(turn: Turn) -> None:
    """The promised day passes unshipped: the customer hears the next one before it is over."""
    turn.outbound(slips=turn.case.outbound.slips + 1)
    _promise(turn, turn.open_day_after(turn.today), "no_shipment")
    if turn.case.outbound.slips > 1:
        turn.review(ReviewCause.NOT_SHIPPING)


def take_as_shipped(turn: Turn) -> None:
    """A human knows that what was delivered must have been shipped."""
    leg = turn.case.outbound
    if leg.replacement_id and leg.delivered_at and leg.status not in GONE:
        shipped(
            turn,
            ReplacementShipped(
                issue_id=turn.case.issue_id, replacement_id=leg.replacement_id, shipped_at=leg.delivered_at
            ),
        )


def send_again(turn: Turn) -> None:
    """A human gives the parcel up: another one goes out, and the courier comes after that one."""
    if turn.case.outbound.status is OutboundStatus.SHIPPED:
        turn.withdraw(ReviewCause.DELIVERY_OVERDUE, ReviewCause.PARCEL_EXCEPTION)
        inbound.hold(turn)
        order(turn, turn.case.outbound.ordered)


def ask_again(turn: Turn) -> None:
    """A human wants the warehouse asked once more."""
    if turn.case.outbound.status in WAITED_FOR:
        _ask(turn)
