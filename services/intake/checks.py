"""Whether a report stands: one small check after the other, each refusal a value with its remedy.

`code` is stable for machines, `field` is where it is wrong, `message` says what would be right. Pieces of a line are
alike, so the customer names a quantity and intake picks the units: free ones, whose window is open.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import OrderLine, ReportedLine
from services.intake.orders import Book, Unit
from services.intake.windows import Pieces, Rules, Window


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a report does not stand. `issue_id` is the issue that holds the units already, where one does."""

    code: str
    field: str
    message: str
    issue_id: UUID | None = None


MAY_HEAL = frozenset({"unknown_order", "not_delivered"})
"""Refusals that the next news of the order may undo; reports by Kafka wait for it."""


def examine(book: Book, report: IssueSubmitted, today: date, rules: Rules) -> tuple[Unit, ...] | Refusal:
    """The units that the report is about, or why it does not stand."""
    refusal = _order_refused(book, report) or _repeated_line(report.lines)
    if refusal:
        return refusal
    window = rules.windows[report.reason]
    units: list[Unit] = []
    for index, line in enumerate(report.lines):
        found = _units_of(book, line, f"lines.{index}", window, today)
        if isinstance(found, Refusal):
            return found
        units.extend(found)
    return tuple(units)


def _order_refused(book: Book, report: IssueSubmitted) -> Refusal | None:
    purchase = book.order.purchase
    if purchase is None:
        message = f"order {report.order_id!r} is not known here; send order.placed for it first, then report again"
        return Refusal("unknown_order", "order_id", message)
    if purchase.customer_id != report.customer_id:
        message = f"order {report.order_id!r} belongs to another customer; send the id of the customer who placed it"
        return Refusal("foreign_customer", "customer_id", message)
    return None


def _repeated_line(lines: Iterable[ReportedLine]) -> Refusal | None:
    seen: set[str] = set()
    for index, line in enumerate(lines):
        if line.line_id in seen:
            message = f"line {line.line_id!r} is named twice; name it once, with all its pieces"
            return Refusal("repeated_line", f"lines.{index}.line_id", message)
        seen.add(line.line_id)
    return None


def _units_of(book: Book, asked: ReportedLine, at: str, window: Window, today: date) -> tuple[Unit, ...] | Refusal:
    bought = book.order.purchase and book.order.purchase.line(asked.line_id)
    if not bought:
        message = f"order {book.order.order_id!r} has no line {asked.line_id!r}; send a line id of that order"
        return Refusal("unknown_line", f"{at}.line_id", message)
    candidates = _candidates(book, bought, window)
    return (
        _too_few(book, bought, asked, at, len(candidates))
        or _held(book, candidates, asked, at)
        or _open(book, candidates, asked, at, window, today)
    )


def _candidates(book: Book, bought: OrderLine, window: Window) -> list[Unit]:
    """The units that a report of this kind may be about; what never arrived comes first where that is the point."""
    moved = book.order.moved_of(bought.line_id)
    delivered = min(moved.delivered_quantity, bought.quantity)
    if window.pieces is Pieces.DELIVERED or book.order.is_cancelled(bought.line_id):
        numbers = range(1, delivered + 1)
    else:
        numbers = range(min(moved.shipped_quantity, bought.quantity), 0, -1)
    return [Unit(bought.line_id, number) for number in numbers]


def _too_few(book: Book, bought: OrderLine, asked: ReportedLine, at: str, there: int) -> Refusal | None:
    if asked.quantity > bought.quantity:
        message = f"{asked.quantity} pieces reported, {bought.quantity} were ordered; report that many at most"
        return Refusal("too_many_units", f"{at}.quantity", message)
    if asked.quantity <= there:
        return None
    if book.order.is_cancelled(asked.line_id):
        message = f"line {asked.line_id!r} was cancelled, {there} pieces arrived before; report those at most"
        return Refusal("line_cancelled", f"{at}.line_id", message)
    message = f"{asked.quantity} pieces reported, {there} are known to have arrived; report those, or once they have"
    return Refusal("not_delivered", f"{at}.quantity", message)


def _held(book: Book, candidates: list[Unit], asked: ReportedLine, at: str) -> Refusal | None:
    taken = [unit for unit in candidates if unit in book.held]
    free = len(candidates) - len(taken)
    if asked.quantity <= free:
        return None
    issue_id = book.held[taken[0]]
    message = f"{len(taken)} of these pieces are reported already, {free} are free; see issue {issue_id}"
    return Refusal("already_reported", f"{at}.quantity", message, issue_id)


def _open(
    book: Book, candidates: list[Unit], asked: ReportedLine, at: str, window: Window, today: date
) -> tuple[Unit, ...] | Refusal:
    moved = book.order.moved_of(asked.line_id)
    last_days = {unit: _last_day(moved.day_of(unit.number), window) for unit in candidates if unit not in book.held}
    still_open = tuple(unit for unit, last_day in last_days.items() if last_day is None or today <= last_day)
    if len(still_open) >= asked.quantity:
        return still_open[: asked.quantity]
    closed_on = max(last_day for last_day in last_days.values() if last_day is not None and last_day < today)
    message = (
        f"{len(still_open)} of {asked.quantity} pieces can still be reported for this reason: its {window.days} days "
        f"from delivery ended on {closed_on}; report those at most, choose another reason or ask the shop"
    )
    return Refusal("window_closed", f"{at}.quantity", message)


def _last_day(moved_on: date | None, window: Window) -> date | None:
    return moved_on + timedelta(days=window.days) if moved_on else None
