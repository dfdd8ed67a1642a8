"""Units of an order line that the shop took out of it again, so that their refund does not count for those that stay.

A shop that takes a unit out may pay it back too, with `order.refunded`, and either event can arrive first. Both say
that one unit went back, not two. Services that value lines therefore keep the highest quantity that was stated.
"""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class OrderedUnits:
    """Units of a line and what was paid for all of them."""

    quantity: int = 0
    paid: Decimal = Decimal(0)

    def restated(self, quantity: int, paid: Decimal) -> "OrderedUnits":
        """Return the higher quantity; the newer price counts for an equal one."""
        return self if quantity < self.quantity else OrderedUnits(quantity, paid)

    def with_older(self, quantity: int, paid: Decimal) -> "OrderedUnits":
        """Return the higher quantity, after an older statement that arrived late."""
        return self if quantity <= self.quantity else OrderedUnits(quantity, paid)

    def without(self, quantity: int, paid: Decimal) -> "OrderedUnits":
        """Return the units that were taken out of the line, which now has this quantity and price."""
        if quantity >= self.quantity:
            return NO_UNITS
        return OrderedUnits(self.quantity - quantity, max(self.paid - paid, Decimal(0)))


NO_UNITS = OrderedUnits()
