"""Opening of a case: its plan under a policy, and the events that can precede it."""

from datetime import datetime
from decimal import Decimal

from libs.common.decisions.facts import Anomaly, Facts, Ignored
from libs.common.decisions.shipments import sum_lines
from libs.common.events.carrier import ParcelScanned
from libs.common.events.issues import IssueAccepted, IssueCollectionWindowChosen, IssueStaffDecided
from libs.common.events.registry import AnyEvent
from libs.common.events.values import Money
from libs.common.events.warehouse import ItemInspected, ItemReceived
from services.returns.domain.context import CaseDecision
from services.returns.domain.handlers import staff_decisions
from services.returns.domain.handlers.risk_review import opening_review_causes
from services.returns.domain.ledger_decisions import OrderEventArrived, order_of
from services.returns.domain.state.case import Case, RemedyPlan, attributes_of
from services.returns.domain.state.count_ids import former_kept_id, kept_id
from services.returns.domain.state.early_events import EventKept, issue_thing
from services.returns.domain.state.exposure import CustomerContext
from services.returns.domain.state.kept_counts import Count, CountKept, KeptCount, count_thing
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.carrier_statuses import translate_status
from services.returns.policy.policy import ReturnPolicy


def open_case(accepted: IssueAccepted, policy: ReturnPolicy) -> Case:
    """Return the case of a report under a policy, before any step."""
    currency = accepted.lines[0].unit_price.currency
    value = sum((line.unit_price.amount * line.quantity for line in accepted.lines), Decimal(0))
    attributes = attributes_of(accepted.lines, Money(amount=value, currency=currency), accepted.market)
    rule = policy.rule(accepted.reason, attributes)
    remedy = rule.choose_remedy(accepted.requested_remedy)
    return Case(
        issue_id=accepted.issue_id,
        order_id=accepted.order_id,
        customer_id=accepted.customer_id,
        reason=accepted.reason,
        fault=rule.fault,
        lines=accepted.lines,
        policy_version=policy.version,
        plan=RemedyPlan.from_movements(remedy, rule.remedies[remedy], accepted.lines),
        accepted_at=accepted.accepted_at,
        market=accepted.market,
        requested_remedy=accepted.requested_remedy,
        arrived_before=None if accepted.delivered_before is None else sum_lines(accepted.delivered_before),
    )


def open_reviews(decision: CaseDecision) -> None:
    """Open the reviews that a new case needs before anything leaves."""
    case = decision.case
    if len({line.unit_price.currency for line in case.lines}) > 1:
        decision.open_review(ReviewCause.MIXED_CURRENCIES)
        return
    for cause in opening_review_causes(case, decision.customer, decision.policy, decision.now):
        decision.open_review(cause)


def facts_without_case(customer: CustomerContext, event: AnyEvent, now: datetime) -> Facts:
    """Return the outcome of an event, other than the acceptance, whose issue has no case."""
    data = event.data
    if order_id := order_of(event):
        if type(data) is ParcelScanned and translate_status(data.raw) is None:
            code = f"{data.raw.source} {data.raw.code} {data.raw.detail or ''}".rstrip()
            thing = f"status:{code}"  # all scans with one code have one cause: the table of statuses lacks it
            return (Anomaly("unknown_carrier_status", f"order {order_id}: {code}", thing=thing),)
        return (OrderEventArrived(order_id, event, now),)
    if type(data) is IssueStaffDecided or type(data) is IssueCollectionWindowChosen:
        return staff_decisions.without_case(data, now)
    if type(data) is ItemReceived or type(data) is ItemInspected:
        number = _id_of_count(customer, data)
        kept = customer.kept_counts.get(number)
        if kept and not kept.is_open:
            return (Ignored("duplicate"),)
        about = f"issue {data.issue_id}" if data.issue_id else f"count {number}"
        return (CountKept(number, data, now), Anomaly("count_without_case", about, thing=count_thing(number)))
    issue_id = getattr(data, "issue_id", None)
    is_command = not hasattr(data, "TOPIC")  # its caller is answered
    thing = issue_thing(issue_id) if issue_id else ""
    anomaly = Anomaly("unknown_issue", f"issue {issue_id}", thing=thing, is_shown=is_command)
    return (anomaly,) if is_command or not issue_id else (EventKept(issue_id, event, now), anomaly)


def _id_of_count(customer: CustomerContext, count: Count) -> str:
    """Return the id of a count to be kept; one that an earlier release kept retains its id, so that it counts once."""
    former = former_kept_id(count)
    kept: KeptCount | None = customer.kept_counts.get(former) if former else None
    return former if former and kept and kept_id(kept.count) == kept_id(count) else kept_id(count)
