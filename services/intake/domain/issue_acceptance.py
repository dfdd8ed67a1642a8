"""How reports become issues: the rows and events of accepting and rejecting. Pure; used by every way in."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from libs.common.decisions.facts import Facts, Record
from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import IssueAccepted, IssueRejected, IssueReported
from libs.common.events.values import IssueLine, OrderLine, ReportedLine
from services.intake.domain.eligibility import Refusal
from services.intake.domain.orders import Need, Order, OrderContext, Report, Unit
from services.intake.policy.eligibility_rules import Rules


@dataclass(frozen=True, slots=True)
class IssueFiled(Record):
    """A row in `issues`, and the units it takes. `refusal` is None where the report stands or lacks something."""

    report: Report
    units: tuple[Unit, ...] = ()
    refusal: Refusal | None = None
    skus: tuple[str, ...] = ()
    missing: tuple[Need, ...] = ()
    decide_by: datetime | None = None


@dataclass(frozen=True, slots=True)
class IssueChanged(Record):
    """The row of an issue as it is now. `takes` are units it takes anew; `frees`: those it had are free."""

    report: Report
    at: datetime
    refusal_code: str | None = None
    missing: tuple[Need, ...] = ()
    decide_by: datetime | None = None
    takes: tuple[Unit, ...] = ()
    frees: bool = False


@dataclass(frozen=True, slots=True)
class ReportRefused(Record):
    """The answer to a call over HTTP that does not stand; nothing is written or published for it."""

    refusal: Refusal


def file(
    book: OrderContext, report: Report, units: tuple[Unit, ...], rules: Rules, missing: tuple[Need, ...] = ()
) -> tuple[OrderContext, Facts]:
    """A report that has its pieces: its row and `issue.reported`."""
    held = {**book.held, **dict.fromkeys(units, report.issue_id)}
    filed = IssueFiled(report, units, None, _skus(book.order, report), missing, decide_by(report, rules))
    return replace(_known(book, report), held=held), [filed, reported(report)]


def accept(
    book: OrderContext, report: Report, units: tuple[Unit, ...], now: datetime, rules: Rules
) -> tuple[OrderContext, Facts]:
    """A new report that stands."""
    book, facts = file(book, report, units, rules)
    return book, [*facts, accepted(book, report, units, now, rules)]


def reject(book: OrderContext, report: Report, refusal: Refusal, now: datetime) -> tuple[OrderContext, Facts]:
    """A new report that does not stand."""
    filed = IssueFiled(report, refusal=refusal, skus=_skus(book.order, report))
    after = replace(book, issues={**book.issues, report.issue_id: book.order.order_id})
    return after, [filed, rejected(report, refusal, now)]


def decide_by(report: Report, rules: Rules) -> datetime:
    """By when the shop owes a decision, if the customer owes nothing meanwhile."""
    return rules.hours.after(report.reported_at, rules.targets.decision)


def _known(book: OrderContext, report: Report) -> OrderContext:
    references = book.references
    if report.said.reference:
        references = {**references, report.said.reference: report.issue_id}
    return replace(book, issues={**book.issues, report.issue_id: book.order.order_id}, references=references)


def _skus(order: Order, report: Report) -> tuple[str, ...]:
    lines = [order.purchase.line(line.line_id) for line in report.said.lines] if order.purchase else []
    return tuple(sorted({line.sku for line in lines if line}))


def rejected(report: Report, refusal: Refusal, now: datetime) -> IssueRejected:
    return IssueRejected(
        issue_id=report.issue_id,
        order_id=report.said.order_id,
        customer_id=report.said.customer_id,
        code=refusal.code,
        message=refusal.message,
        reference=report.said.reference,
        duplicate_of=refusal.issue_id,
        rejected_at=now,
    )


def reported(report: Report) -> IssueReported:
    said = report.said
    return IssueReported(
        issue_id=report.issue_id,
        order_id=said.order_id,
        customer_id=said.customer_id,
        reason=said.reason,
        lines=said.lines,
        requested_remedy=said.requested_remedy,
        reference=said.reference,
        noticed_on=said.noticed_on,
        reported_at=report.reported_at,
    )


def accepted(book: OrderContext, report: Report, units: tuple[Unit, ...], now: datetime, rules: Rules) -> IssueAccepted:
    said, order = report.said, book.order
    return IssueAccepted(
        issue_id=report.issue_id,
        order_id=said.order_id,
        customer_id=said.customer_id,
        reason=said.reason,
        lines=issue_lines(order, said.lines, units),
        requested_remedy=said.requested_remedy,
        market=order.purchase.market if order.purchase else "JP",
        delivered_on=_latest_delivery(book, units),
        noticed_on=said.noticed_on,
        next_update_by=rules.hours.open_day(now, rules.targets.next_word_open_days),
        first_response_due_at=rules.hours.after(report.reported_at, rules.targets.first_response),
        reported_at=report.reported_at,
        accepted_at=now,
    )


def issue_lines(order: Order, lines: Iterable[ReportedLine], units: Iterable[Unit] = ()) -> tuple[IssueLine, ...]:
    """Reported lines with what the order said about them, so that nobody has to call back."""
    bought = {line.line_id: line for line in order.purchase.lines} if order.purchase else {}
    return tuple(
        _told(line, bought[line.line_id], _lot_of(order, line.line_id, units))
        for line in lines
        if line.line_id in bought
    )


def _lot_of(order: Order, line_id: str, units: Iterable[Unit]) -> str | None:
    """The lot that all of these pieces are of, if there is one; of replacements nobody says it."""
    moved = order.moved_of(line_id)
    lots = {None if unit.renewal else moved.lot_of(unit.number) for unit in units if unit.line_id == line_id}
    return lots.pop() if len(lots) == 1 else None


def _told(line: ReportedLine, bought: OrderLine, lot: str | None) -> IssueLine:
    return IssueLine(
        line_id=line.line_id,
        quantity=line.quantity,
        part=line.part,
        received_instead=line.received_instead,
        sku=bought.sku,
        name=bought.name,
        unit_price=bought.unit_price,
        product_group=bought.product_group,
        lot=lot,
    )


def _latest_delivery(book: OrderContext, units: Iterable[Unit]) -> date | None:
    days = (book.arrived_on(unit) for unit in units)
    return max((day for day in days if day is not None), default=None)
