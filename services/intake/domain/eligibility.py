"""Eligibility of a report: a chain of small checks; each refusal is a value that names the remedy.

Units of a line are alike, so the customer reports a quantity and intake picks the units: free ones inside their report
window. A unit whose replacement was delivered is no longer eligible; the replacement is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import OrderLine, ReportedLine
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
        candidates = self._candidates()
        holders, issue_id = self.state.entitlements, self.report.issue_id
        held = [unit for unit in candidates if holders.get(unit, issue_id) != issue_id]
        free = [unit for unit in candidates if unit not in held]
        return self._too_few(len(candidates)) or self._already_held(held, len(free)) or self._inside_window(free, today)

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

    def _already_held(self, held: list[Unit], free: int) -> Refusal | None:
        if self.reported.quantity <= free:
            return None
        issue_id = self.state.entitlements[held[0]]
        message = f"{len(held)} of these units are reported already, {free} are free; see issue {issue_id}"
        return Refusal("already_reported", f"{self.path}.quantity", message, issue_id)

    def _inside_window(self, free: list[Unit], today: date | None) -> tuple[Unit, ...] | Refusal:
        """Check that enough units are inside their windows on this day; None: do not check."""
        wanted, window = self.reported.quantity, self.window
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
