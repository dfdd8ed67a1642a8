"""What intake knows of an order: what was bought, and what of it was shipped and delivered on which day.

The knowledge comes in parts that do not need each other, because topics are read at their own pace: a delivery that is
heard of before its order is kept, and counts as soon as the order is known. Days are kept per movement and not per
order, so that each piece has the window of its own delivery. Contact and address are not kept at all (invariant 12).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from libs.common.decisions.fast_replace import replace
from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import LineQuantity, OrderLine, ShippedLine


class Unit(NamedTuple):
    """One physical piece of an order line; numbers count from 1 in the order in which pieces arrived.

    `renewal` 0 is the piece that was bought; a replacement that arrives is the next one in its place.
    """

    line_id: str
    number: int
    renewal: int = 0

    @property
    def successor(self) -> "Unit":
        """What was sent in its place."""
        return self._replace(renewal=self.renewal + 1)


@dataclass(frozen=True, slots=True)
class Movement:
    """So many pieces of a line, on this day in the shop's time zone; `lot` where the warehouse said it."""

    day: date
    quantity: int
    lot: str | None = None


@dataclass(frozen=True)
class Moved:
    """What of one line left the warehouse and what arrived, in the order in which it was told."""

    shipped: tuple[Movement, ...] = ()
    delivered: tuple[Movement, ...] = ()

    @property
    def delivered_quantity(self) -> int:
        return sum(movement.quantity for movement in self.delivered)

    @property
    def shipped_quantity(self) -> int:
        """What arrived was shipped, whether or not anybody said so."""
        return max(sum(movement.quantity for movement in self.shipped), self.delivered_quantity)

    def delivered_on(self, number: int) -> date | None:
        """The day on which the piece of this number arrived."""
        return _day_of(self.delivered, number)

    def day_of(self, number: int) -> date | None:
        """The day on which the piece arrived, else the day on which it left."""
        return self.delivered_on(number) or _day_of(self.shipped, number)

    def lot_of(self, number: int) -> str | None:
        """The lot of the piece of this number: what left first arrived first."""
        found = _movement_of(self.shipped, number)
        return found.lot if found else None


def _day_of(movements: Iterable[Movement], number: int) -> date | None:
    found = _movement_of(movements, number)
    return found.day if found else None


def _movement_of(movements: Iterable[Movement], number: int) -> Movement | None:
    for movement in movements:
        number -= movement.quantity
        if number <= 0:
            return movement
    return None


@dataclass(frozen=True, slots=True)
class Purchase:
    """What `order.placed` told."""

    customer_id: str
    market: str
    lines: tuple[OrderLine, ...]

    def line(self, line_id: str) -> OrderLine | None:
        return next((line for line in self.lines if line.line_id == line_id), None)


@dataclass(frozen=True, slots=True)
class Report:
    """What a customer reported, under the id of its issue, at the moment that counts for its windows."""

    issue_id: UUID
    said: IssueSubmitted
    reported_at: datetime


class Need(StrEnum):
    """What a report may lack."""

    PHOTO = "photo"
    PART = "part"
    DESCRIPTION = "description"


class Silence(StrEnum):
    """What happens to a report whose customer does not answer."""

    REVIEW = "review"
    CLOSE = "close"


class Stage(StrEnum):
    """How far a report that lacks something has got. `QUIET`: nobody was asked yet, it may be on its way."""

    QUIET = "quiet"
    ASKED = "asked"
    REVIEW = "review"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class HeldReport:
    """A report that stands but for what it lacks. Its pieces are taken, except once it is closed.

    `due_at` is the end of its stage; `decide_by` the moment by which the shop owes a decision, while the shop's clock
    runs: it stops while the customer owes an answer, from `asked_at` on.
    """

    report: Report
    missing: tuple[Need, ...]
    when_silent: Silence
    due_at: datetime
    decide_by: datetime
    stage: Stage = Stage.QUIET
    asked_at: datetime | None = None
    reminders: int = 0


@dataclass(frozen=True, slots=True)
class StoredPhoto:
    """A photo that lies in the evidence store under the hash of its content, and what that content says about it."""

    sha256: str
    media_type: str
    size_bytes: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Filed:
    """A report as its row has it: `refusal_code` where it does not stand, `version` counts decisions of staff."""

    report: Report
    refusal_code: str | None
    version: int
    photos: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Order:
    """Everything known so far; `purchase` is None until `order.placed` was heard.

    `waiting` are reports that came by Kafka before the news of the order that they need, `incomplete` those that lack
    something of the customer.
    """

    order_id: str
    purchase: Purchase | None = None
    moved: dict[str, Moved] = field(default_factory=dict)
    cancelled: tuple[str, ...] = ()
    cancelled_whole: bool = False
    waiting: tuple[Report, ...] = ()
    incomplete: tuple[HeldReport, ...] = ()

    def moved_of(self, line_id: str) -> Moved:
        return self.moved.get(line_id, Moved())

    def is_cancelled(self, line_id: str) -> bool:
        return self.cancelled_whole or line_id in self.cancelled

    def shipped(self, lines: Iterable[ShippedLine], day: date) -> "Order":
        moved = dict(self.moved)
        for line in lines:
            known = moved.get(line.line_id, Moved())
            moved[line.line_id] = replace(known, shipped=(*known.shipped, Movement(day, line.quantity, line.lot)))
        return replace(self, moved=moved)

    def delivered(self, lines: Iterable[LineQuantity], day: date) -> "Order":
        moved = dict(self.moved)
        for line in lines:
            known = moved.get(line.line_id, Moved())
            moved[line.line_id] = replace(known, delivered=(*known.delivered, Movement(day, line.quantity)))
        return replace(self, moved=moved)

    def cancel(self, line_ids: tuple[str, ...]) -> "Order":
        """No lines named means all of them."""
        named = tuple(sorted({*self.cancelled, *line_ids}))
        return replace(self, cancelled=named, cancelled_whole=self.cancelled_whole or not line_ids)


@dataclass(frozen=True)
class OrderContext:
    """An order with what lies beside it: who holds which piece, and which issues exist.

    `held` and `issues` are rows of their own (the primary keys carry invariant 2), loaded where a report is to be
    decided; `renewed` says when the replacement of a piece arrived, which can be reported itself; `references` leads
    from the storefront's number to the issue that has it, `filed` are whole rows where one is to be changed, `photos`
    those that reports name and that are there. `stored` is the order as it was loaded: a report that changes only rows
    need not write the order again.
    """

    order: Order
    held: Mapping[Unit, UUID] = field(default_factory=dict)
    issues: Mapping[UUID, str] = field(default_factory=dict)
    references: Mapping[str, UUID] = field(default_factory=dict)
    filed: Mapping[UUID, Filed] = field(default_factory=dict)
    photos: frozenset[str] = frozenset()
    version: int = 0
    stored: Order | None = None
    renewed: Mapping[Unit, date] = field(default_factory=dict)

    def held_report(self, issue_id: UUID) -> HeldReport | None:
        return next((one for one in self.order.incomplete if one.report.issue_id == issue_id), None)

    def with_held(self, changed: HeldReport) -> "OrderContext":
        """This report is held as it is now, in its place or at the end."""
        known = self.held_report(changed.report.issue_id)
        held = self.order.incomplete
        placed = tuple(changed if one is known else one for one in held) if known else (*held, changed)
        return replace(self, order=replace(self.order, incomplete=placed))

    def refiled(self, report: Report, refusal_code: str | None) -> "OrderContext":
        """The row of this report is so from now on, for whatever is decided in the same batch."""
        filed = self.filed.get(report.issue_id)
        if filed is None:
            return self
        changed = replace(filed, report=report, refusal_code=refusal_code)
        return replace(self, filed={**self.filed, report.issue_id: changed})

    def without_held(self, issue_id: UUID) -> "OrderContext":
        left = tuple(one for one in self.order.incomplete if one.report.issue_id != issue_id)
        return replace(self, order=replace(self.order, incomplete=left))

    def units_of(self, issue_id: UUID) -> tuple[Unit, ...]:
        return tuple(unit for unit, holder in self.held.items() if holder == issue_id)

    def piece_at(self, line_id: str, number: int) -> Unit:
        """What the customer has in this place now: the piece that was bought, or the last replacement of it."""
        unit = Unit(line_id, number)
        while unit in self.renewed:
            unit = unit.successor
        return unit

    def arrived_on(self, unit: Unit) -> date | None:
        if unit.renewal:
            return self.renewed.get(unit._replace(renewal=unit.renewal - 1))
        return self.order.moved_of(unit.line_id).delivered_on(unit.number)

    def moved_on(self, unit: Unit) -> date | None:
        """The day on which the piece arrived, else the day on which it left."""
        return self.arrived_on(unit) or self.order.moved_of(unit.line_id).day_of(unit.number)

    def reported_anew(self, issue_id: UUID) -> UUID | None:
        """The issue about what this one had sent, if there is one."""
        successors = (unit.successor for unit in self.units_of(issue_id) if unit in self.renewed)
        return next((self.held[unit] for unit in successors if unit in self.held), None)
