"""Eligibility of a report: a chain of small checks; each refusal is a value that names the remedy.

Units of a line are alike, so the customer reports a quantity and intake picks the units: free ones inside their report
window. A unit whose replacement was delivered is no longer eligible; the replacement is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import OrderLine, PartQuantity, Reason, ReportedLine
from libs.common.events.values.lines import MAX_QUANTITY
from services.intake.domain.components import component_quantities, reported_parts, units_of_part
from services.intake.domain.context import OrderState, Refusal
from services.intake.domain.orders import Purchase, Report
from services.intake.domain.units import Unit
from services.intake.policy.eligibility_rules import IntakeRules, ReportWindow, UnitScope

RETRYABLE = frozenset({"unknown_order", "not_delivered"})
"""Refusals that a later order event may lift; reports from Kafka wait for it."""


def check_eligibility(
    state: OrderState, report: Report, today: date, rules: IntakeRules, *, ignore_window: bool = False
) -> tuple[Unit, ...] | Refusal:
    """Return the units of the report, or the reason for refusing it."""
    submission, purchase = report.submission, state.order.purchase
    if purchase is None:
        return _unknown_order(submission)
    refusal = _order_refused(state, report, purchase, today) or _repeated_line(submission.lines)
    if refusal:
        return refusal
    units: list[Unit] = []
    for index, line in enumerate(submission.lines):
        bought = purchase.line(line.line_id)
        if bought is None:
            message = f"order {state.order.order_id!r} has no line {line.line_id!r}; send a line id of that order"
            return Refusal("unknown_line", f"lines.{index}.line_id", message)
        window = rules.window(submission.reason, purchase.market, bought.product_group)
        check = _LineCheck(state, report, line, bought, window, f"lines.{index}")
        found = check.units(None if ignore_window else today)
        if isinstance(found, Refusal):
            return found
        units.extend(found)
    return tuple(units)


def is_retryable(result: tuple[Unit, ...] | Refusal) -> bool:
    return isinstance(result, Refusal) and result.code in RETRYABLE


def _unknown_order(submission: IssueSubmitted) -> Refusal:
    message = f"order {submission.order_id!r} is not known here; send order.placed for it first, then report again"
    return Refusal("unknown_order", "order_id", message)


def _order_refused(state: OrderState, report: Report, purchase: Purchase, today: date) -> Refusal | None:
    submission = report.submission
    if purchase.customer_id != submission.customer_id:
        message = (
            f"order {submission.order_id!r} belongs to another customer; send the id of the customer who placed it"
        )
        return Refusal("foreign_customer", "customer_id", message)
    reference = submission.reference
    holders = state.issues_by_reference.get(reference, frozenset()) if reference else frozenset()
    if others := holders - {report.issue_id}:
        other = min(others)
        message = f"{reference!r} is reported already; see issue {other}, or give a new report a number of its own"
        return Refusal("already_reported", "reference", message, other)
    if submission.noticed_on and submission.noticed_on > today:
        message = f"{submission.noticed_on} is in the future; send the day on which the customer noticed it, or omit it"
        return Refusal("noticed_in_future", "noticed_on", message)
    unknown = next((photo for photo in submission.photos if photo not in state.available_photos), None)
    if unknown:
        message = f"{unknown} is not here; upload it with POST /v1/photos first, and send the sha256 from its answer"
        return Refusal("unknown_photo", f"photos.{submission.photos.index(unknown)}", message)
    return None


def _repeated_line(lines: Iterable[ReportedLine]) -> Refusal | None:
    seen: set[str] = set()
    for index, line in enumerate(lines):
        if line.line_id in seen:
            message = f"line {line.line_id!r} is named twice; name it once, with its whole quantity"
            return Refusal("repeated_line", f"lines.{index}.line_id", message)
        seen.add(line.line_id)
    return None


@dataclass(frozen=True, slots=True)
class _LineCheck:
    """The checks of one reported line; `path` is its place in the report."""

    state: OrderState
    report: Report
    reported: ReportedLine
    bought: OrderLine
    window: ReportWindow
    path: str

    def units(self, today: date | None) -> tuple[Unit, ...] | Refusal:
        candidates, parts = self._candidates(), reported_parts(self.reported, self.bought)
        refusal = self._wrong_parts(parts) or self._too_few(len(candidates))
        if refusal:
            return refusal
        if not parts:
            return self._claim(candidates, self.reported.quantity, today)
        claimed: list[Unit] = []
        for part in parts:
            places = [self.state.current_unit(self.bought.line_id, unit.number, part.sku) for unit in candidates]
            found = self._claim(places, units_of_part(part, self.bought), today)
            if isinstance(found, Refusal):
                return found
            claimed.extend(found)
        return tuple(claimed)

    def _claim(self, candidates: list[Unit], wanted: int, today: date | None) -> tuple[Unit, ...] | Refusal:
        """Return `wanted` of these units, or of these parts of units, that are free and inside their windows."""
        holders = {unit: holder for unit in candidates if (holder := self._holder(unit)) is not None}
        free = [unit for unit in candidates if unit not in holders]
        if wanted > len(free):
            return self._already_held(holders, len(free))
        found = self._inside_window(free, wanted, today)
        return found if isinstance(found, Refusal) else tuple(each for unit in found for each in self._whole(unit))

    def _holder(self, unit: Unit) -> UUID | None:
        """Return another issue that holds a unit or one of its parts; for a part, also one that holds the unit."""
        line_id, number = unit.line_id, unit.number
        needed = (unit, self.state.current_unit(line_id, number)) if unit.component else self._whole(unit)
        others = (self.state.entitlements.get(each) for each in needed)
        return next((holder for holder in others if holder not in (None, self.report.issue_id)), None)

    def _whole(self, unit: Unit) -> tuple[Unit, ...]:
        """Return a unit with all its components as the customer has them now; a part is by itself."""
        if unit.component or not self.bought.components:
            return (unit,)
        current, line_id, number = self.state.current_unit, unit.line_id, unit.number
        return (unit, *(current(line_id, number, sku) for sku in component_quantities(self.bought)))

    def _wrong_parts(self, parts: tuple[PartQuantity, ...]) -> Refusal | None:
        """Check that the order names these parts, in this number, and that the reason is about parts."""
        known, path = component_quantities(self.bought), f"{self.path}.parts"
        if parts and self.report.submission.reason is Reason.CHANGED_MIND:
            return Refusal("parts_not_returnable", path, "a unit goes back whole; report it without parts")
        for part in parts:
            if part.sku not in known:
                message = f"line {self.bought.line_id!r} has no part {part.sku!r}; send one of {', '.join(known)}"
                return Refusal("unknown_part", path, message)
            most = min(known[part.sku] * self.reported.quantity, MAX_QUANTITY)
            if part.quantity > most:
                message = f"{part.quantity} of part {part.sku!r} reported, {self.reported.quantity} units hold {most}; "
                return Refusal("too_many_parts", path, message + "report at most that many, or more units")
        return None

    def _candidates(self) -> list[Unit]:
        """Units that a report of this reason may cover; undelivered ones first where those are eligible."""
        line_id, order = self.bought.line_id, self.state.order
        movements = order.movements_of(line_id)
        if not self.bought.requires_shipping and not order.is_cancelled(line_id):
            return [self.state.current_unit(line_id, number) for number in range(1, self.bought.quantity + 1)]
        shipped = min(movements.shipped_quantity, self.bought.quantity)
        units = [self.state.current_unit(line_id, number) for number in range(1, shipped + 1)]
        if self.window.units == UnitScope.DELIVERED or order.is_cancelled(line_id):
            return [unit for unit in units if unit.generation or unit.number <= movements.delivered_quantity]
        return units[::-1]

    def _too_few(self, available: int) -> Refusal | None:
        wanted, ordered, line_id = self.reported.quantity, self.bought.quantity, self.reported.line_id
        if wanted > ordered:
            message = f"{wanted} units reported, {ordered} were ordered; report at most that many"
            return Refusal("too_many_units", f"{self.path}.quantity", message)
        if wanted <= available:
            return None
        if self.state.order.is_cancelled(line_id):
            message = f"line {line_id!r} was cancelled after {available} units were delivered; report at most those"
            return Refusal("line_cancelled", f"{self.path}.line_id", message)
        message = f"{wanted} units reported, {available} are known as delivered; report those, or wait for delivery"
        return Refusal("not_delivered", f"{self.path}.quantity", message)

    def _already_held(self, holders: Mapping[Unit, UUID], free: int) -> Refusal:
        issue_id = next(iter(holders.values()))
        message = f"{len(holders)} of these units are reported already, {free} are free; see issue {issue_id}"
        return Refusal("already_reported", f"{self.path}.quantity", message, issue_id)

    def _inside_window(self, free: list[Unit], wanted: int, today: date | None) -> tuple[Unit, ...] | Refusal:
        """Check that enough units are inside their windows on this day; None: do not check."""
        window = self.window
        if today is None:
            return tuple(free[:wanted])
        last_days = {unit: self._last_day(unit) for unit in free}
        still_open = tuple(unit for unit, last_day in last_days.items() if last_day is None or today <= last_day)
        if len(still_open) >= wanted:
            return still_open[:wanted]
        closed_on = max(last_day for last_day in last_days.values() if last_day is not None and last_day < today)
        noticed = f" or {window.noticed_days} from noticing it (send noticed_on)" if window.noticed_days else ""
        message = (
            f"{len(still_open)} of {wanted} units can still be reported for this reason: its window, {window.days} "
            f"days from delivery{noticed}, ended on {closed_on}; report at most those, choose another reason or ask "
            "the shop"
        )
        return Refusal("window_closed", f"{self.path}.quantity", message)

    def _last_day(self, unit: Unit) -> date | None:
        begins = self.state.moved_on if self.window.restarts_with_replacement else self.state.first_moved_on
        moved_on = begins(unit)
        return self.window.last_day(moved_on, self.report.submission.noticed_on) if moved_on else None
