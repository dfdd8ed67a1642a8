"""What intake decides: which reports stand.

- `order.placed`, `.shipped`, `.delivered`, `.cancelled`: keeps what is known of the order, in any order of arrival, and
  decides the reports that waited for it.
- A report over HTTP (`ReportFiled`): decides at once, since somebody waits for the answer; gives `issue.reported` and
  `issue.accepted`, or a refusal as the answer.
- `issue.submitted` by Kafka: decides, or waits some minutes for news of its order, which comes on another topic; gives
  the same, or `issue.rejected`.
- A return whose reason nobody said (`UnclearReportFiled`): a human decides.
- A report that lacks a photo or a fact is held until it comes, see `held.py` (`DetailsGiven`).
- `StaffDecides`: what the shop's people decide, see `staff.py`.
- A timer: of a report that waits for its order, which is decided with what is known by then; or of one that is held.

A report that stands takes its units: rows whose primary key lets nobody else take them (invariant 2).
"""

from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

from libs.common.decisions.facts import Anomaly, CancelTimer, Fact, Facts, Ignored, SetTimer, TimerFired
from libs.common.decisions.fast_replace import replace
from libs.common.decisions.ids import derived_id
from libs.common.events.envelope import Payload
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import IssueSubmitted, OrderCancelled, OrderDelivered, OrderPlaced, OrderShipped
from services.intake.domain import issue_acceptance, pending_details, staff_decisions
from services.intake.domain.delivered_units import arrived
from services.intake.domain.eligibility import MAY_HEAL, Refusal, examine
from services.intake.domain.issue_acceptance import ReportRefused
from services.intake.domain.orders import Order, OrderContext, Purchase, Report, Unit
from services.intake.domain.pending_details import DetailsGiven
from services.intake.domain.staff_decisions import StaffDecides
from services.intake.policy.eligibility_rules import Rules


class ReportFiled(Payload):
    """A report over HTTP: the same as `issue.submitted`, but its sender waits for the answer. Never leaves intake."""

    TYPE: ClassVar = "report.filed.v1"

    issue_id: UUID
    report: IssueSubmitted


class UnclearReportFiled(ReportFiled):
    """A report that does not say what is wrong: for a human. Its reason is one that costs the customer nothing."""

    TYPE: ClassVar = "report.filed_unclear.v1"


def decide(
    book: OrderContext | None, event: AnyEvent, now: datetime, rules: Rules
) -> tuple[OrderContext | None, Facts]:
    """Total: an event that is not for intake is ignored, one that comes early is kept."""
    match event.data:
        case OrderPlaced() | OrderShipped() | OrderDelivered() | OrderCancelled() as news:
            known = book or OrderContext(Order(news.order_id))
            learnt, facts = _learn(known.order, news, rules)
            facts = [*facts, *arrived(known.order, learnt)]
            return _settle(replace(known, order=learnt), facts, now, rules)
        case UnclearReportFiled(issue_id=issue_id, report=said):
            return _file_unclear(book or OrderContext(Order(said.order_id)), Report(issue_id, said, now), now, rules)
        case ReportFiled(issue_id=issue_id, report=said):
            return _file(book, Report(issue_id, said, now), rules)
        case IssueSubmitted() as said:
            return _submit(book or OrderContext(Order(said.order_id)), submitted(event, said, now), now, rules)
        case DetailsGiven() as given:
            return pending_details.take(book, given, now, rules)
        case StaffDecides() as decision:
            return staff_decisions.decide(book, decision, now, rules)
        case TimerFired(name=name) if book:
            return _timer(book, name, now, rules)
        case _:
            return book, [Ignored("not_for_intake")]


def submitted(event: AnyEvent, said: IssueSubmitted, now: datetime) -> Report:
    """A report by Kafka. It counts from when it was sent, however long it lay there; a clock ahead of ours does not."""
    return Report(issue_id_of(event, said), said, min(event.time, now))


def issue_id_of(event: AnyEvent, said: IssueSubmitted) -> UUID:
    """The storefront's own id, else one that is the same whenever the same event comes again."""
    return said.issue_id or derived_id("issue", event.source, event.id)


def timer_name(issue_id: UUID) -> str:
    """The timer of a report that waits for its order."""
    return f"report:{issue_id}"


def _learn(
    order: Order, news: OrderPlaced | OrderShipped | OrderDelivered | OrderCancelled, rules: Rules
) -> tuple[Order, list[Fact]]:
    match news:
        case OrderPlaced() if order.purchase:
            return order, [Ignored("order_known")]
        case OrderPlaced():
            return replace(order, purchase=Purchase(news.customer_id, news.market, news.lines)), []
        case OrderShipped():
            return order.shipped(news.lines, _shop_day(news.shipped_at, rules)), []
        case OrderDelivered():
            learnt = order.delivered(news.lines, _shop_day(news.delivered_at, rules))
            return learnt, _more_than_ordered(learnt)
        case OrderCancelled():
            return order.cancel(news.line_ids), []


def _shop_day(moment: datetime, rules: Rules) -> date:
    return moment.astimezone(rules.zone).date()


def _more_than_ordered(order: Order) -> list[Fact]:
    """Pieces beyond the order cannot be reported; that so many arrived is for ops to look at."""
    lines = order.purchase.lines if order.purchase else ()
    surplus = [line.line_id for line in lines if order.moved_of(line.line_id).delivered_quantity > line.quantity]
    return [Anomaly("more_delivered_than_ordered", f"order {order.order_id}: {surplus}")] if surplus else []


def _file(book: OrderContext | None, report: Report, rules: Rules) -> tuple[OrderContext | None, Facts]:
    known = book or OrderContext(Order(report.said.order_id))
    if _exists(known, report.issue_id):
        issue_id = report.issue_id
        message = f"issue {issue_id} exists already; see its status, or send another Idempotency-Key or issue_id"
        return book, [ReportRefused(Refusal("issue_exists", "issue_id", message, issue_id))]
    found = _examine(known, report, rules)
    if isinstance(found, Refusal):
        return book, [ReportRefused(found)]
    return _take(known, report, found, report.reported_at, rules)


def _file_unclear(book: OrderContext, report: Report, now: datetime, rules: Rules) -> tuple[OrderContext, Facts]:
    if _exists(book, report.issue_id):
        return book, [Ignored("issue_known")]
    found = _examine(book, report, rules)
    if isinstance(found, Refusal):
        return (book, [ReportRefused(found)]) if _may_heal(found) else issue_acceptance.reject(book, report, found, now)
    return pending_details.review(book, report, found, now, rules)


def _submit(book: OrderContext, report: Report, now: datetime, rules: Rules) -> tuple[OrderContext, Facts]:
    if book.issues.get(report.issue_id, report.said.order_id) != report.said.order_id:
        return book, [_foreign_issue(report)]
    if _exists(book, report.issue_id):
        return book, [Ignored("issue_known")]
    found = _examine(book, report, rules)
    if _may_heal(found):
        waiting = replace(book.order, waiting=(*book.order.waiting, report))
        return replace(book, order=waiting), [SetTimer(timer_name(report.issue_id), now + rules.patience)]
    return _conclude(book, report, found, now, rules)


def _settle(book: OrderContext, facts: list[Fact], now: datetime, rules: Rules) -> tuple[OrderContext, Facts]:
    """News of the order: the reports that waited for it, in the order in which they came."""
    for report in book.order.waiting:
        found = _examine(book, report, rules)
        if not _may_heal(found):
            book, decided = _conclude(_no_longer_waiting(book, report), report, found, now, rules)
            facts = [*facts, CancelTimer(timer_name(report.issue_id)), *decided]
    return book, facts


def _timer(book: OrderContext, name: str, now: datetime, rules: Rules) -> tuple[OrderContext, Facts]:
    lacking = next(
        (one for one in book.order.incomplete if pending_details.timer_name(one.report.issue_id) == name), None
    )
    return pending_details.wake(book, lacking, now, rules) if lacking else _give_up(book, name, now, rules)


def _give_up(book: OrderContext, name: str, now: datetime, rules: Rules) -> tuple[OrderContext, Facts]:
    """The time to wait is over: what is known now decides."""
    report = next((one for one in book.order.waiting if timer_name(one.issue_id) == name), None)
    if report is None:
        return book, [Ignored("report_no_longer_waiting")]
    return _conclude(_no_longer_waiting(book, report), report, _examine(book, report, rules), now, rules)


def _examine(book: OrderContext, report: Report, rules: Rules) -> tuple[Unit, ...] | Refusal:
    return examine(book, report, _shop_day(report.reported_at, rules), rules)


def _may_heal(found: tuple[Unit, ...] | Refusal) -> bool:
    return isinstance(found, Refusal) and found.code in MAY_HEAL


def _exists(book: OrderContext, issue_id: UUID) -> bool:
    return issue_id in book.issues or any(report.issue_id == issue_id for report in book.order.waiting)


def _no_longer_waiting(book: OrderContext, done: Report) -> OrderContext:
    left = tuple(report for report in book.order.waiting if report is not done)
    return replace(book, order=replace(book.order, waiting=left))


def _conclude(
    book: OrderContext, report: Report, found: tuple[Unit, ...] | Refusal, now: datetime, rules: Rules
) -> tuple[OrderContext, Facts]:
    if report.issue_id in book.issues:
        return book, [_foreign_issue(report)]
    if isinstance(found, Refusal):
        return issue_acceptance.reject(book, report, found, now)
    return _take(book, report, found, now, rules)


def _take(
    book: OrderContext, report: Report, units: tuple[Unit, ...], now: datetime, rules: Rules
) -> tuple[OrderContext, Facts]:
    """A report that has its pieces: accepted, unless something has to be asked for first."""
    terms = rules.needs.terms(report.said, book.order.purchase) if book.order.purchase else None
    if terms and pending_details.missing_from(terms, report):
        return pending_details.hold(book, report, units, terms, now, rules)
    return issue_acceptance.accept(book, report, units, now, rules)


def _foreign_issue(report: Report) -> Anomaly:
    """The storefront gave the same id to reports of two orders: the first one has it."""
    return Anomaly("issue_id_of_another_order", f"issue {report.issue_id}, order {report.said.order_id}")
