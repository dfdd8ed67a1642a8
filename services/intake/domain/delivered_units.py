"""Delivered units by product, lot and day: the denominator of report rates, and the buyers to warn.

Counts are computed from the whole order before and after each order event and recorded as the difference: order, ship
and delivery events may arrive in any order and lead to the same sums. Lots follow the order of arrival.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import chain, islice, repeat
from typing import NamedTuple

from libs.common.decisions.facts import Record
from services.intake.domain.orders import Order
from services.intake.domain.units import LineMovements


class DeliveryKey(NamedTuple):
    """The key by which delivered units are counted. An unknown `lot` is empty, because keys hold no null."""

    line_id: str
    sku: str
    lot: str
    day: date


@dataclass(frozen=True, slots=True)
class UnitsDelivered(Record):
    """A change of the number of delivered units; negative where a later event corrects it."""

    order_id: str
    customer_id: str
    delivery: DeliveryKey
    quantity: int


def delivery_changes(before: Order, after: Order) -> list[UnitsDelivered]:
    """Return the change of delivered units between two states; usually nothing, or one record per line."""
    counts_before, counts = count_delivered(before), count_delivered(after)
    if after.purchase is None or counts_before == counts:
        return []
    counts.subtract(counts_before)
    customer_id = after.purchase.customer_id
    return [
        UnitsDelivered(after.order_id, customer_id, key, change) for key, change in sorted(counts.items()) if change
    ]


def count_delivered(order: Order) -> Counter[DeliveryKey]:
    """Count the delivered units of an order; units beyond the ordered quantity were not sold and do not count."""
    if not order.purchase or not order.deliveries:
        return Counter()
    return Counter(
        DeliveryKey(line.line_id, line.sku, lot or "", day)
        for line in order.purchase.lines
        for day, lot in islice(_days_and_lots(order.movements_of(line.line_id)), line.quantity)
    )


def _days_and_lots(movements: LineMovements) -> Iterable[tuple[date, str | None]]:
    """Yield the day and the lot of each delivered unit; units are delivered in the order in which they are shipped."""
    days = (repeat(movement.day, movement.quantity) for movement in movements.delivered)
    lots = (repeat(movement.lot, movement.quantity) for movement in movements.shipped)
    return zip(chain.from_iterable(days), chain(chain.from_iterable(lots), repeat(None)), strict=False)
