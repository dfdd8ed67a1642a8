"""Units of an order line, and when each of them was shipped and delivered."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple


class Unit(NamedTuple):
    """One physical unit of an order line; numbers count from 1 in the order of delivery.

    Generation 0 is the unit that was bought; a replacement that was delivered is the next generation of it. With a
    `component` it is that part of the unit alone, which is replaced, and reported again, by itself.
    """

    line_id: str
    number: int
    generation: int = 0
    component: str = ""

    @property
    def successor(self) -> "Unit":
        """The replacement of this unit."""
        return self._replace(generation=self.generation + 1)


@dataclass(frozen=True, slots=True)
class Movement:
    """Units of a line that moved on one day in the shop's time zone; `lot` where the warehouse names it."""

    day: date
    quantity: int
    lot: str | None = None


@dataclass(frozen=True)
class LineMovements:
    """Shipped and delivered units of one line, in the order in which the events arrived."""

    shipped: tuple[Movement, ...] = ()
    delivered: tuple[Movement, ...] = ()

    @property
    def delivered_quantity(self) -> int:
        return sum(movement.quantity for movement in self.delivered)

    @property
    def shipped_quantity(self) -> int:
        """A delivered unit counts as shipped, also without a ship event."""
        return max(sum(movement.quantity for movement in self.shipped), self.delivered_quantity)

    def delivered_on(self, number: int) -> date | None:
        return _day_of(self.delivered, number)

    def moved_on(self, number: int) -> date | None:
        """Return the delivery day of this unit, else its ship day."""
        return self.delivered_on(number) or _day_of(self.shipped, number)

    def lot_of(self, number: int) -> str | None:
        """Return the lot of this unit; units are delivered in the order in which they are shipped."""
        movement = _movement_of(self.shipped, number)
        return movement.lot if movement else None


def _day_of(movements: Iterable[Movement], number: int) -> date | None:
    movement = _movement_of(movements, number)
    return movement.day if movement else None


def _movement_of(movements: Iterable[Movement], number: int) -> Movement | None:
    for movement in movements:
        number -= movement.quantity
        if number <= 0:
            return movement
    return None
