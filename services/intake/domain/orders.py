"""State of one order: the purchase, its movements by line, and the reports that wait for an event or for details.

The parts do not depend on each other, because topics are consumed at different speeds: a delivery that arrives before
its order is stored and counts as soon as the order is known. Days are stored per movement and not per order, so that
each unit has the report window of its own delivery. Contact and address are not stored (invariant 12).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from libs.common.decisions.fast_replace import replace
from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import LineQuantity, OrderLine, ShippedLine
from services.intake.domain.units import LineMovements, Movement
from services.intake.policy.required_details import NoAnswerAction, RequiredDetail


@dataclass(frozen=True, slots=True)
class Purchase:
    """Content of `order.placed`, without personal data."""

    customer_id: str
    market: str
    lines: tuple[OrderLine, ...]

    def line(self, line_id: str) -> OrderLine | None:
        return next((line for line in self.lines if line.line_id == line_id), None)


@dataclass(frozen=True, slots=True)
class Report:
    """A customer's submission with the id of its issue; report windows are measured at `reported_at`."""

    issue_id: UUID
    submission: IssueSubmitted
    reported_at: datetime


class PendingStage(StrEnum):
    """Progress of a report with missing details. In `GRACE` nothing was requested yet: they may be on their way."""

    GRACE = "grace"
    REQUESTED = "requested"
    REVIEW = "review"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class PendingReport:
    """An eligible report with missing details. It holds its units, except in `CLOSED`.

    `due_at` ends the stage. `decide_by` is the shop's decision deadline as long as its clock runs; the clock pauses
    from `requested_at` until the customer answers.
    """

    report: Report
    missing: tuple[RequiredDetail, ...]
    on_no_answer: NoAnswerAction
    due_at: datetime
    decide_by: datetime
    stage: PendingStage = PendingStage.GRACE
    requested_at: datetime | None = None
    reminders: int = 0


@dataclass(frozen=True, slots=True)
class StoredPhoto:
    """A photo in the evidence store, named by the hash of its content."""

    sha256: str
    media_type: str
    size_bytes: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A report as its row holds it; `refusal_code` is set where it was rejected, `version` counts staff decisions."""

    report: Report
    refusal_code: str | None
    version: int
    photos: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Order:
    """Everything known about an order; `purchase` is None until `order.placed` arrives.

    `awaiting_order` are reports from Kafka that came before the order events they need, `awaiting_details` those with
    missing details.
    """

    order_id: str
    purchase: Purchase | None = None
    movements: dict[str, LineMovements] = field(default_factory=dict)
    cancelled_lines: tuple[str, ...] = ()
    fully_cancelled: bool = False
    awaiting_order: tuple[Report, ...] = ()
    awaiting_details: tuple[PendingReport, ...] = ()

    def movements_of(self, line_id: str) -> LineMovements:
        return self.movements.get(line_id, LineMovements())

    def is_cancelled(self, line_id: str) -> bool:
        return self.fully_cancelled or line_id in self.cancelled_lines

    def with_shipped(self, lines: Iterable[ShippedLine], day: date) -> "Order":
        movements = dict(self.movements)
        for line in lines:
            known = movements.get(line.line_id, LineMovements())
            shipped = (*known.shipped, Movement(day, line.quantity, line.lot))
            movements[line.line_id] = replace(known, shipped=shipped)
        return replace(self, movements=movements)

    def with_delivered(self, lines: Iterable[LineQuantity], day: date) -> "Order":
        movements = dict(self.movements)
        for line in lines:
            known = movements.get(line.line_id, LineMovements())
            movements[line.line_id] = replace(known, delivered=(*known.delivered, Movement(day, line.quantity)))
        return replace(self, movements=movements)

    def with_cancelled(self, line_ids: tuple[str, ...]) -> "Order":
        """Cancel these lines; no line ids cancel the whole order."""
        lines = tuple(sorted({*self.cancelled_lines, *line_ids}))
        return replace(self, cancelled_lines=lines, fully_cancelled=self.fully_cancelled or not line_ids)
