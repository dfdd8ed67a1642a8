"""Which pieces arrived: of which product and lot, on which day, at whose door. What reports are counted against.

Worked out from the whole order before and after each news of it, and told as the difference: order, shipment and
delivery may be heard of in any order, and come to the same sums.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import chain, islice, repeat
from typing import NamedTuple

from libs.common.decisions.facts import Record
from services.intake.domain.orders import Moved, Order


class Arrival(NamedTuple):
    """What pieces are counted by. `lot` is empty where it is not known, since it is part of a key."""

    line_id: str
    sku: str
    lot: str
    day: date


@dataclass(frozen=True, slots=True)
class PiecesArrived(Record):
    """So many pieces more (or fewer) are known to have arrived."""

    order_id: str
    customer_id: str
    arrival: Arrival
    quantity: int


def arrived(before: Order, after: Order) -> list[PiecesArrived]:
    """What the news between these two adds to the pieces that arrived; usually nothing, or one entry a line."""
    known, learnt = arrivals(before), arrivals(after)
    if after.purchase is None or known == learnt:
        return []
    learnt.subtract(known)
    who = after.purchase.customer_id
    return [PiecesArrived(after.order_id, who, one, count) for one, count in sorted(learnt.items()) if count]


def arrivals(order: Order) -> Counter[Arrival]:
    """The pieces of an order that arrived; what arrived beyond the order was not sold and does not count."""
    if not order.purchase or not order.moved:
        return Counter()
    return Counter(
        Arrival(line.line_id, line.sku, lot or "", day)
        for line in order.purchase.lines
        for day, lot in islice(_pieces(order.moved_of(line.line_id)), line.quantity)
    )


def _pieces(moved: Moved) -> Iterable[tuple[date, str | None]]:
    """The day and the lot of each delivered piece: what left first arrived first."""
    days = (repeat(movement.day, movement.quantity) for movement in moved.delivered)
    lots = (repeat(movement.lot, movement.quantity) for movement in moved.shipped)
    return zip(chain.from_iterable(days), chain(chain.from_iterable(lots), repeat(None)), strict=False)
