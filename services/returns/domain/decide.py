"""Returns: what moves, in which order, and who is waiting for whom.

`HANDLERS` is the table of contents, `GIVES` what comes of it. Every event in every state has an outcome: it is applied,
or ignored as repeated or overtaken, or an anomaly. Handlers note what happened to one leg; what the plan wants started
because of it is started in one place, `proceed`, which is also where "ship first" is kept (invariant 1). At the end of
every decision the timers are made those of the case, and an open case without one goes to a human (invariant 6).
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from libs.common.decisions.facts import Anomaly, Facts, Ignored, TimerFired
from libs.common.events import carrier, issues, payment, warehouse
from libs.common.events.carrier import (
    CollectionAttemptFailed,
    CollectionBooked,
    CollectionCollected,
    ParcelDelivered,
    ParcelException,
    ParcelFound,
    ParcelScanned,
)
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueAccepted, IssueCollectionWindowChosen, IssueStaffDecided
from libs.common.events.notices import CustomerDecided
from libs.common.events.payment import RefundCompleted, RefundFailed
from libs.common.events.registry import AnyEvent
from libs.common.events.values import Money
from libs.common.events.warehouse import (
    ItemInspected,
    ItemReceived,
    ReplacementConfirmed,
    ReplacementDelayed,
    ReplacementRejected,
    ReplacementShipped,
)
from services.returns.domain.case import Case, Plan
from services.returns.domain.commands import CancelRequested, ReopenRequested, ReviewDecided
from services.returns.domain.decision_context import CaseDecision, Rules
from services.returns.domain.exposure import Around, concerns
from services.returns.domain.handlers import (
    case_closure,
    collection_reminders,
    customer_choice,
    inbound,
    outbound,
    partial_shipments,
    receipts,
    refunds,
    reviews,
    staff_decisions,
    tracking_scans,
)
from services.returns.domain.legs.inbound import InboundStatus
from services.returns.domain.legs.outbound import OutboundStatus
from services.returns.domain.line_quantities import Counts, missing, shared
from services.returns.domain.review_causes import BEFORE_ANYTHING, ReviewCause
from services.returns.policy.policy import CollectOn, Policy, ShipOn, Subject


def decide(
    case: Case | None, around: Around, event: AnyEvent, now: datetime, rules: Rules
) -> tuple[Case | None, Facts]:
    """What this event makes of the case. `around` is what is known of its customer: where they live, what is out."""
    data = event.data
    if case is None:
        return _without_case(around, event, now, rules)
    handler = HANDLERS.get(type(data))
    if handler is None:
        return case, (Ignored("already_open" if isinstance(data, IssueAccepted) else "not_ours"),)
    turn = CaseDecision(case, now, rules, around, event.time)
    handler(turn, data)
    return _settled(turn, case, data.name if type(data) is TimerFired else None)


def _without_case(around: Around, event: AnyEvent, now: datetime, rules: Rules) -> tuple[Case | None, Facts]:
    data = event.data
    if type(data) is IssueStaffDecided or type(data) is IssueCollectionWindowChosen:
        return None, staff_decisions.without_case(data, now)
    if type(data) is not IssueAccepted:
        return None, (Anomaly("unknown_issue", f"issue {getattr(data, 'issue_id', None)}"),)
    turn = CaseDecision(opened(data, rules.in_force(now)), now, rules, around, event.time)
    if len({line.unit_price.currency for line in data.lines}) > 1:
        turn.review(ReviewCause.MIXED_CURRENCIES)
    else:
        for cause in concerns(turn.case, around, turn.policy, now):
            turn.review(cause)
    return _settled(turn, None, None)


def opened(accepted: IssueAccepted, policy: Policy) -> Case:
    """The case of a report under a policy, before anything has happened."""
    price, groups = accepted.lines[0].unit_price, {line.product_group for line in accepted.lines}
    value = sum((line.unit_price.amount * line.quantity for line in accepted.lines), Decimal(0))
    subject = Subject(Money(amount=value, currency=price.currency), accepted.market, groups)
    rule = policy.rule(accepted.reason, subject)
    remedy = rule.remedy(accepted.requested_remedy)
    return Case(
        issue_id=accepted.issue_id,
        order_id=accepted.order_id,
        customer_id=accepted.customer_id,
        reason=accepted.reason,
        fault=rule.fault,
        lines=accepted.lines,
        policy_version=policy.version,
        plan=Plan.of(remedy, rule.remedies[remedy]),
        accepted_at=accepted.accepted_at,
        market=accepted.market,
        requested_remedy=accepted.requested_remedy,
    )


def _settled(turn: CaseDecision, before: Case | None, fired: str | None) -> tuple[Case, Facts]:
    proceed(turn)
    case_closure.resolve_if_done(turn)
    if not turn.case.is_closed and not turn.case.timers():
        turn.anomaly("stalled")
        turn.review(ReviewCause.STALLED)
    turn.set_timers(before, fired)
    return turn.case, turn.facts


def proceed(turn: CaseDecision) -> None:
    """Start what the plan wants by now and what has not been started."""
    case = turn.case
    if case.is_closed or case.in_review(*BEFORE_ANYTHING):
        return
    rest = partial_shipments.to_order(case)
    to_ship, collect_from = rest.counts if rest else _to_ship(case), _collection_day(turn)
    if (to_ship or collect_from) and turn.ship_to is None:
        _await_address(turn)
    else:
        _address_known(turn)
        if rest:
            outbound.order_the_rest(turn, rest)
        elif to_ship:
            outbound.order(turn, to_ship)
        if collect_from:
            inbound.request(turn, collect_from)
    if turn.case.outbound.status is OutboundStatus.SHIPPED and turn.case.outbound.expected_delivery:
        inbound.postpone(turn, turn.case.outbound.expected_delivery)
    if counts := refunds.owed(turn.case):
        refunds.ask(turn, counts)
    collection_reminders.watch(turn)


def _to_ship(case: Case) -> Counts:
    """What is to be sent now."""
    if case.outbound.status is not OutboundStatus.NONE:
        return {}
    match case.plan.ship_on:
        case ShipOn.ACCEPTED:
            return case.reported
        case ShipOn.RECEIVED:
            back = shared(case.inbound.received, case.reported)
            whole = not missing(case.reported, back) or case.inbound.status is InboundStatus.WAIVED
            return back if whole else {}
        case _:
            return {}


def _collection_day(turn: CaseDecision) -> date | None:
    """The first day on which the courier may come, once there is one: never before the replacement is there."""
    case, leg = turn.case, turn.case.outbound
    if case.inbound.status is not InboundStatus.NONE:
        return None
    match case.plan.collect_on, leg.status:
        case CollectOn.ACCEPTED, _:
            return turn.open_day_after(turn.today)
        case CollectOn.SHIPPED | CollectOn.DELIVERED, _ if case.short:
            return None
        case CollectOn.SHIPPED, OutboundStatus.SHIPPED:
            return max(leg.expected_delivery or turn.today, turn.today)
        case CollectOn.SHIPPED | CollectOn.DELIVERED, OutboundStatus.DELIVERED:
            return turn.today
        case _:
            return None


def _await_address(turn: CaseDecision) -> None:
    """The order itself has not been heard of yet: look again soon, and in the end ask a human."""
    case = turn.case
    if case.address_due_at or case.in_review(ReviewCause.NO_ADDRESS):
        return
    if case.address_tries >= turn.terms.address_max_tries:
        turn.review(ReviewCause.NO_ADDRESS)
    else:
        # Usually the order is just a moment behind on its own topic; each look waits twice as long as the one before.
        due_at = turn.now + timedelta(seconds=turn.terms.address_first_look_seconds * 2**case.address_tries)
        turn.change(address_tries=case.address_tries + 1, address_due_at=due_at)


def _address_known(turn: CaseDecision) -> None:
    if turn.case.address_tries or turn.case.address_due_at:
        turn.change(address_tries=0, address_due_at=None)
    turn.withdraw(ReviewCause.NO_ADDRESS)


def _timer_fired(turn: CaseDecision, fired: TimerFired) -> None:
    """A due timer; one that the case no longer has, or has for later, only makes sure that the later one is set."""
    due_at = turn.case.timers().get(fired.name)
    if due_at is None or due_at > turn.now:
        turn.ignore("timer_moved")
    else:
        TIMERS[fired.name](turn)


def _address_due(turn: CaseDecision) -> None:
    turn.change(address_due_at=None)


TIMERS: Mapping[str, Callable[[CaseDecision], None]] = {
    "address": _address_due,
    "outbound": outbound.due,
    "inbound": inbound.due,
    "door": collection_reminders.due,
    "money": refunds.due,
    "choice": customer_choice.due,
    "review": reviews.due,
}

HANDLERS: Mapping[type[Payload], Callable[[CaseDecision, Any], None]] = {
    ReplacementConfirmed: outbound.confirmed,
    ReplacementDelayed: outbound.delayed,
    ReplacementRejected: customer_choice.rejected,
    CustomerDecided: customer_choice.decided,
    ReplacementShipped: outbound.shipped,
    ParcelException: outbound.exception,
    ParcelDelivered: outbound.delivered,
    ParcelScanned: tracking_scans.scanned,
    ParcelFound: tracking_scans.parcel_found,
    CollectionBooked: inbound.booked,
    CollectionAttemptFailed: inbound.attempt_failed,
    CollectionCollected: inbound.collected,
    IssueCollectionWindowChosen: collection_reminders.window_chosen,
    ItemReceived: receipts.received,
    ItemInspected: receipts.inspected,
    RefundCompleted: refunds.completed,
    RefundFailed: refunds.failed,
    IssueStaffDecided: staff_decisions.decided,
    ReviewDecided: reviews.decided,
    CancelRequested: case_closure.cancel_requested,
    ReopenRequested: case_closure.reopen,
    TimerFired: _timer_fired,
}

GIVES = (
    warehouse.ReplacementOrdered,
    warehouse.ReplacementCancelled,
    carrier.CollectionRequested,
    carrier.CollectionCancelled,
    payment.RefundRequested,
    issues.IssueReviewRequested,
    issues.IssueReplacementOrdered,
    issues.IssueReplacementPromised,
    issues.IssueReplacementDelayed,
    issues.IssueReplacementPartShipped,
    issues.IssueReplacementShipped,
    issues.IssueReplacementDelivered,
    issues.IssueChoiceRequested,
    issues.IssueCollectionRequested,
    issues.IssueCollectionBooked,
    issues.IssueCollectionAttempted,
    issues.IssueCollectionReminded,
    issues.IssueCollected,
    issues.IssueItemReceived,
    issues.IssueItemInspected,
    issues.IssueRefundRequested,
    issues.IssueRefunded,
    issues.IssueResolved,
    issues.IssueReopened,
    issues.IssueCancelled,
    issues.IssueStaffDecisionApplied,
)
"""Every event that a decision may give."""
