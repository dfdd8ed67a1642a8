"""Whether a report stands: one small check after the other, each refusal a value with its remedy.

`code` is stable for machines, `field` is where it is wrong, `message` says what would be right. Pieces of a line are
alike, so the customer names a quantity and intake picks the units: free ones, whose window is open. A piece whose
replacement has arrived is out of the question: it is the replacement that may be reported now.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import OrderLine, ReportedLine
from services.intake.domain.orders import OrderContext, Purchase, Report, Unit
from services.intake.policy.eligibility_rules import Pieces, Rules, Window


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a report does not stand. `issue_id` is the issue that holds the units already, where one does."""

    code: str
    field: str
    message: str
    issue_id: UUID | None = None


MAY_HEAL = frozenset({"unknown_order", "not_delivered"})
"""Refusals that the next news of the order may undo; reports by Kafka wait for it."""


def examine(
    book: OrderContext, report: Report, today: date, rules: Rules, *, any_day: bool = False
) -> tuple[Unit, ...] | Refusal:
    """The units that the report is about, or why it does not stand. With `any_day`, whatever the window says."""
    said, purchase = report.said, book.order.purchase
    if purchase is None:
        return _unknown_order(said)
    refusal = _order_refused(book, report, purchase, today) or _repeated_line(said.lines)
    if refusal:
        return refusal
    units: list[Unit] = []
    for index, line in enumerate(said.lines):
        found = _units_of(book, report, line, f"lines.{index}", rules, today if not any_day else date.min)
        if isinstance(found, Refusal):
            return found
        units.extend(found)
    return tuple(units)


def _unknown_order(said: IssueSubmitted) -> Refusal:
    message = f"order {said.order_id!r} is not known here; send order.placed for it first, then report again"
    return Refusal("unknown_order", "order_id", message)


def _order_refused(book: OrderContext, report: Report, purchase: Purchase, today: date) -> Refusal | None:
    said = report.said
    if purchase.customer_id != said.customer_id:
        message = f"order {said.order_id!r} belongs to another customer; send the id of the customer who placed it"
        return Refusal("foreign_customer", "customer_id", message)
    first = book.references.get(said.reference) if said.reference else None
    if first and first != report.issue_id:
        message = f"{said.reference!r} is reported already; see issue {first}, or give a new report a number of its own"
        return Refusal("already_reported", "reference", message, first)
    if said.noticed_on and said.noticed_on > today:
        message = f"{said.noticed_on} is still to come; send the day on which the customer noticed it, or leave it out"
        return Refusal("noticed_in_future", "noticed_on", message)
    unknown = next((photo for photo in said.photos if photo not in book.photos), None)
    if unknown:
        message = f"{unknown} is not here; upload it with POST /v1/photos first, and send the sha256 that it answers"
        return Refusal("unknown_photo", f"photos.{said.photos.index(unknown)}", message)
    return None


def _repeated_line(lines: Iterable[ReportedLine]) -> Refusal | None:
    seen: set[str] = set()
    for index, line in enumerate(lines):
        if line.line_id in seen:
            message = f"line {line.line_id!r} is named twice; name it once, with all its pieces"
            return Refusal("repeated_line", f"lines.{index}.line_id", message)
        seen.add(line.line_id)
    return None


def _units_of(
    book: OrderContext, report: Report, asked: ReportedLine, at: str, rules: Rules, today: date
) -> tuple[Unit, ...] | Refusal:
    purchase = book.order.purchase
    bought = purchase and purchase.line(asked.line_id)
    if not purchase or not bought:
        message = f"order {book.order.order_id!r} has no line {asked.line_id!r}; send a line id of that order"
        return Refusal("unknown_line", f"{at}.line_id", message)
    window = rules.window(report.said.reason, purchase.market, bought.product_group)
    candidates = _candidates(book, bought, window)
    taken = [unit for unit in candidates if book.held.get(unit, report.issue_id) != report.issue_id]
    return (
        _too_few(book, bought, asked, at, len(candidates))
        or _held(book, candidates, taken, asked, at)
        or _open(book, [unit for unit in candidates if unit not in taken], report.said, asked, at, window, today)
    )


def _candidates(book: OrderContext, bought: OrderLine, window: Window) -> list[Unit]:
    """The units that a report of this kind may be about; what never arrived comes first where that is the point."""
    moved = book.order.moved_of(bought.line_id)
    shipped = min(moved.shipped_quantity, bought.quantity)
    pieces = [book.piece_at(bought.line_id, number) for number in range(1, shipped + 1)]
    if window.pieces is Pieces.DELIVERED or book.order.is_cancelled(bought.line_id):
        return [unit for unit in pieces if unit.renewal or unit.number <= moved.delivered_quantity]
    return pieces[::-1]


def _too_few(book: OrderContext, bought: OrderLine, asked: ReportedLine, at: str, there: int) -> Refusal | None:
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


def _held(
    book: OrderContext, candidates: list[Unit], taken: list[Unit], asked: ReportedLine, at: str
) -> Refusal | None:
    free = len(candidates) - len(taken)
    if asked.quantity <= free:
        return None
    issue_id = book.held[taken[0]]
    message = f"{len(taken)} of these pieces are reported already, {free} are free; see issue {issue_id}"
    return Refusal("already_reported", f"{at}.quantity", message, issue_id)


def _open(
    book: OrderContext,
    free: list[Unit],
    said: IssueSubmitted,
    asked: ReportedLine,
    at: str,
    window: Window,
    today: date,
) -> tuple[Unit, ...] | Refusal:
    last_days = {unit: _last_day(book.moved_on(unit), said.noticed_on, window) for unit in free}
    still_open = tuple(unit for unit, last_day in last_days.items() if last_day is None or today <= last_day)
    if len(still_open) >= asked.quantity:
        return still_open[: asked.quantity]
    closed_on = max(last_day for last_day in last_days.values() if last_day is not None and last_day < today)
    message = (
        f"{len(still_open)} of {asked.quantity} pieces can still be reported for this reason: its time, {window.days} "
        f"days from delivery{_or_knowledge(window)}, ended on {closed_on}; report those at most, choose another reason "
        "or ask the shop"
    )
    return Refusal("window_closed", f"{at}.quantity", message)


def _or_knowledge(window: Window) -> str:
    return f" or {window.noticed_days} from noticing it (send noticed_on)" if window.noticed_days else ""


def _last_day(moved_on: date | None, noticed_on: date | None, window: Window) -> date | None:
    return window.last_day(moved_on, noticed_on) if moved_on else None
