"""Decision context of an order: the state that a decision reads, and the decision while it is made."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from libs.common.decisions.context import DecisionContext
from libs.common.decisions.facts import Record
from libs.common.decisions.fast_replace import replace
from libs.common.events.registry import AnyEvent
from services.intake.domain.orders import Order, PendingReport, Report, StoredReport
from services.intake.domain.units import Unit
from services.intake.policy.eligibility_rules import IntakeRules


@dataclass(frozen=True)
class OrderState:
    """An order with the rows beside it: entitlements, issues and photos.

    `entitlements` (unit to issue; the primary key enforces invariant 2) and `order_by_issue` are loaded only where a
    report is decided. `replaced_on` is the day on which the replacement of a unit was delivered: the replacement can be
    reported itself. `issues_by_reference` are the issues that hold a report number of the storefront, the rejected ones
    left out. `stored_reports` are rows that this decision may change, `available_photos` those named by reports and
    present. `loaded_order` is the order as it was loaded: a report that changes only rows does not rewrite it.
    """

    order: Order
    entitlements: Mapping[Unit, UUID] = field(default_factory=dict)
    order_by_issue: Mapping[UUID, str] = field(default_factory=dict)
    issues_by_reference: Mapping[str, frozenset[UUID]] = field(default_factory=dict)
    stored_reports: Mapping[UUID, StoredReport] = field(default_factory=dict)
    available_photos: frozenset[str] = frozenset()
    version: int = 0
    loaded_order: Order | None = None
    replaced_on: Mapping[Unit, date] = field(default_factory=dict)

    def pending_report(self, issue_id: UUID) -> PendingReport | None:
        return next((pending for pending in self.order.awaiting_details if pending.report.issue_id == issue_id), None)

    def with_pending(self, pending: PendingReport) -> "OrderState":
        """Add a pending report, or replace it in its place."""
        known, reports = self.pending_report(pending.report.issue_id), self.order.awaiting_details
        placed = tuple(pending if report is known else report for report in reports) if known else (*reports, pending)
        return replace(self, order=replace(self.order, awaiting_details=placed))

    def without_pending(self, issue_id: UUID) -> "OrderState":
        others = tuple(pending for pending in self.order.awaiting_details if pending.report.issue_id != issue_id)
        return replace(self, order=replace(self.order, awaiting_details=others))

    def issue_exists(self, issue_id: UUID) -> bool:
        return issue_id in self.order_by_issue or any(
            report.issue_id == issue_id for report in self.order.awaiting_order
        )

    def units_of(self, issue_id: UUID) -> tuple[Unit, ...]:
        return tuple(unit for unit, holder in self.entitlements.items() if holder == issue_id)

    def current_unit(self, line_id: str, number: int, component: str = "") -> Unit:
        """Return the unit, or part of it, that the customer has now: the one bought, or its latest replacement."""
        unit = Unit(line_id, number, 0, component)
        while unit in self.replaced_on:
            unit = unit.successor
        return unit

    def delivered_on(self, unit: Unit) -> date | None:
        if unit.generation:
            return self.replaced_on.get(unit._replace(generation=unit.generation - 1))
        return self.order.movements_of(unit.line_id).delivered_on(unit.number)

    def moved_on(self, unit: Unit) -> date | None:
        """Return the delivery day of the unit, else its ship day."""
        return self.delivered_on(unit) or self.order.movements_of(unit.line_id).moved_on(unit.number)

    def first_moved_on(self, unit: Unit) -> date | None:
        """Return the day on which the customer first had this unit, or an earlier one that it replaces."""
        generations = (unit._replace(generation=number) for number in range(unit.generation + 1))
        return next(filter(None, map(self.delivered_on, generations)), None) or self.moved_on(unit)

    def follow_up_issue(self, issue_id: UUID) -> UUID | None:
        """Return the issue about a replacement that this issue had sent, if there is one."""
        successors = (unit.successor for unit in self.units_of(issue_id) if unit in self.replaced_on)
        return next((self.entitlements[unit] for unit in successors if unit in self.entitlements), None)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Reason for refusing a report or a command.

    `code` is stable, `field` is the wrong field, `message` names what would be right. `issue_id` is the issue that
    holds the units already, where there is one.
    """

    code: str
    field: str
    message: str
    issue_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class CommandRefused(Record):
    """Refusal of a command over HTTP; nothing is written or published for it."""

    refusal: Refusal


@dataclass(slots=True)
class OrderDecision(DecisionContext[OrderState, IntakeRules]):
    """The decision on one event of an order."""

    event: AnyEvent = field(kw_only=True)

    @property
    def order(self) -> Order:
        return self.state.order

    @property
    def refused(self) -> bool:
        return any(isinstance(fact, CommandRefused) for fact in self.facts)

    def refuse(self, code: str, field: str, message: str, issue_id: UUID | None = None) -> None:
        self.emit(CommandRefused(Refusal(code, field, message, issue_id)))

    def change_order(self, **changes: Any) -> None:
        self.change(order=replace(self.state.order, **changes))

    def entitle(self, issue_id: UUID, units: Iterable[Unit]) -> None:
        """Give these units to the issue."""
        self.change(entitlements={**self.state.entitlements, **dict.fromkeys(units, issue_id)})

    def release(self, issue_id: UUID) -> None:
        """Free the units of the issue."""
        held = self.state.entitlements
        self.change(entitlements={unit: holder for unit, holder in held.items() if holder != issue_id})

    def revoke_replacements(self, issue_id: UUID) -> None:
        """Do not let replacements of the issue's units be reported."""
        units = self.state.units_of(issue_id)
        self.change(replaced_on={unit: day for unit, day in self.state.replaced_on.items() if unit not in units})

    def hold_reference(self, report: Report) -> None:
        """Add the issue to those that hold its report number."""
        if reference := report.submission.reference:
            self._change_holders(reference, self._holders(reference) | {report.issue_id})

    def release_reference(self, report: Report) -> None:
        """Free the report number of a rejected issue for the next report."""
        if reference := report.submission.reference:
            self._change_holders(reference, self._holders(reference) - {report.issue_id})

    def _holders(self, reference: str) -> frozenset[UUID]:
        return self.state.issues_by_reference.get(reference, frozenset())

    def _change_holders(self, reference: str, holders: frozenset[UUID]) -> None:
        self.change(issues_by_reference={**self.state.issues_by_reference, reference: holders})

    def put_pending(self, pending: PendingReport) -> None:
        self.state = self.state.with_pending(pending)

    def remove_pending(self, issue_id: UUID) -> None:
        self.state = self.state.without_pending(issue_id)

    def remove_awaiting_order(self, report: Report) -> None:
        others = tuple(waiting for waiting in self.order.awaiting_order if waiting is not report)
        self.change_order(awaiting_order=others)

    def change_stored_report(self, issue_id: UUID, **changes: Any) -> None:
        """Update the loaded row of a report, for later decisions of the same batch."""
        stored = self.state.stored_reports.get(issue_id)
        if stored:
            self.change(stored_reports={**self.state.stored_reports, issue_id: replace(stored, **changes)})
