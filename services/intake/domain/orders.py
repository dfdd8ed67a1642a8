"""State of one order: the purchase, its movements by line, and the reports that wait for an event or for details.

The parts do not depend on each other, because topics are consumed at different speeds: a delivery that arrives before
its order is stored and counts as soon as the order is known. Days are stored per movement and not per order, so that
each unit has the report window of its own delivery. Contact and address are not part of it (invariant 12).
"""

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from libs.common.decisions.fast_dataclass import dataclass
from libs.common.decisions.fast_replace import replace
from libs.common.decisions.shipments import CountedShipment, quantity_of
from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import OrderLine
from services.intake.domain.units import LineMovements, Movement
from services.intake.policy.required_details import NoAnswerAction, RequiredDetail


@dataclass(frozen=True, slots=True)
class Purchase:
    """Content of `order.placed` with later corrections, without personal data.

    `stated_at` is the time of the lines that no later change named, `digest` recognizes an order that is sent again.
    """

    customer_id: str
    market: str
    lines: tuple[OrderLine, ...]
    stated_at: datetime | None = None
    digest: str | None = None

    def line(self, line_id: str) -> OrderLine | None:
        return next((line for line in self.lines if line.line_id == line_id), None)


@dataclass(frozen=True, slots=True)
class MarketChange:
    """The market as the shop corrected it, and when."""

    market: str
    at: datetime


@dataclass(frozen=True, slots=True)
class LineChange:
    """A line as the shop changed it, and when."""

    line: OrderLine
    at: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """A customer's submission with the id of its issue; report windows are measured at `reported_at`.

    `delivered_before` are the units of its lines that were known as delivered when it was received over HTTP. A report
    from Kafka has a time of the shop, which tells the deliveries before it, however long it was queued.
    """

    issue_id: UUID
    submission: IssueSubmitted
    reported_at: datetime
    delivered_before: Mapping[str, int] | None = None

    def of_customer(self, former: str, remaining: str) -> "Report":
        """Return the report after the shop merged these accounts of its customer."""
        if self.submission.customer_id != former:
            return self
        return replace(self, submission=self.submission.model_copy(update={"customer_id": remaining}))


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
    from `requested_at` until the customer answers. `ignore_window`: staff overruled the report window.
    """

    report: Report
    missing: tuple[RequiredDetail, ...]
    on_no_answer: NoAnswerAction
    due_at: datetime
    decide_by: datetime
    stage: PendingStage = PendingStage.GRACE
    requested_at: datetime | None = None
    reminders: int = 0
    ignore_window: bool = False


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

    `shipments` and `deliveries` count each shipment once, however often it is reported.

    `awaiting_order` are reports from Kafka that came before the order events they need, `awaiting_details` those with
    missing details.
    """

    order_id: str
    purchase: Purchase | None = None
    shipments: tuple[CountedShipment, ...] = ()
    deliveries: tuple[CountedShipment, ...] = ()
    line_changes: dict[str, LineChange] = field(default_factory=dict)
    cancelled_lines: tuple[str, ...] = ()
    fully_cancelled: bool = False
    awaiting_order: tuple[Report, ...] = ()
    awaiting_details: tuple[PendingReport, ...] = ()
    market_change: MarketChange | None = None

    def movements_of(self, line_id: str) -> LineMovements:
        return LineMovements(_movements(self.shipments, line_id), _movements(self.deliveries, line_id))

    def delivered_units(self, submission: IssueSubmitted, until: datetime | None = None) -> dict[str, int]:
        """Return the delivered units of the reported lines, at or before `until` by the shop's time."""
        return {line.line_id: quantity_of(self.deliveries, line.line_id, until) for line in submission.lines}

    def is_cancelled(self, line_id: str) -> bool:
        return self.fully_cancelled or line_id in self.cancelled_lines

    def with_changed_lines(self, lines: Iterable[OrderLine], at: datetime) -> "Order":
        """Add or change lines where this statement is newer than what is known of each.

        A statement without components, as a storefront's adapter makes it, keeps those of the same item.
        """
        changes, purchase = dict(self.line_changes), self.purchase
        for line in lines:
            known, bought = changes.get(line.line_id), purchase.line(line.line_id) if purchase else None
            newest = known.at if known else purchase.stated_at if purchase and bought else None
            before = known.line if known else bought
            if newest is None or at >= newest:
                changes[line.line_id] = LineChange(_with_components(line, before), at)
            elif before and (completed := _with_components(before, line)) != before:
                changes[line.line_id] = LineChange(completed, newest)
        if changes == self.line_changes:
            return self
        return replace(self, line_changes=changes, purchase=_merged(purchase, changes) if purchase else None)

    def with_changed_market(self, market: str, at: datetime) -> "Order":
        """Set the market, whose rules apply to later reports, unless a newer statement set it."""
        known = self.market_change.at if self.market_change else self.purchase.stated_at if self.purchase else None
        if known is not None and at < known:
            return self
        purchase = replace(self.purchase, market=market) if self.purchase else None
        return replace(self, market_change=MarketChange(market, at), purchase=purchase)

    def with_purchase(self, purchase: Purchase) -> "Order":
        """Set the purchase; changes that came before it and are newer stay, and components of the same items."""
        early = self.line_changes
        newer = {
            line_id: replace(change, line=_with_components(change.line, purchase.line(line_id)))
            for line_id, change in early.items()
            if not (purchase.line(line_id) and purchase.stated_at and change.at < purchase.stated_at)
        }
        stated = (
            _with_components(line, early[line.line_id].line if line.line_id in early else None)
            for line in purchase.lines
        )
        purchase = replace(purchase, lines=tuple(stated))
        market = self.market_change
        if market and (purchase.stated_at is None or market.at >= purchase.stated_at):
            purchase = replace(purchase, market=market.market)
        return replace(self, purchase=_merged(purchase, newer), line_changes=newer)

    def with_cancelled(self, line_ids: tuple[str, ...]) -> "Order":
        """Cancel these lines; no line ids cancel the whole order."""
        lines = tuple(sorted({*self.cancelled_lines, *line_ids}))
        return replace(self, cancelled_lines=lines, fully_cancelled=self.fully_cancelled or not line_ids)


def _with_components(line: OrderLine, other: OrderLine | None) -> OrderLine:
    """Return the line with the components of another statement about the same item, if it states none itself."""
    if line.components or other is None or not other.components or other.sku != line.sku:
        return line
    return line.model_copy(update={"components": other.components})


def _merged(purchase: Purchase, changes: Mapping[str, LineChange]) -> Purchase:
    known = {line.line_id: line for line in purchase.lines} | {key: change.line for key, change in changes.items()}
    return replace(purchase, lines=tuple(known.values()))


def _movements(shipments: Iterable[CountedShipment], line_id: str) -> tuple[Movement, ...]:
    return tuple(
        Movement(shipment.day, line.quantity, line.lot)
        for shipment in shipments
        if shipment.day is not None
        for line in shipment.lines
        if line.line_id == line_id
    )
