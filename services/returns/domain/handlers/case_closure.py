"""Closure of a case: resolution, cancellation, reopening and a change of remedy."""

from datetime import datetime
from itertools import pairwise

from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import IssueCancelled, IssueReopened, IssueResolved
from libs.common.events.values import Remedy
from services.returns.domain.commands import CancelCase, ReopenCase
from services.returns.domain.context import CaseDecision
from services.returns.domain.handlers import inbound, redelivery, refunds
from services.returns.domain.handlers.replacement_matching import cancel_replacement
from services.returns.domain.state.case import Case, RemedyPlan
from services.returns.domain.state.inbound_leg import InboundLeg, InboundStatus
from services.returns.domain.state.line_quantities import UnitCounts, add_counts, common_counts, missing, to_lines
from services.returns.domain.state.outbound_leg import SHIPPED_OR_DELIVERED, OutboundLeg, OutboundStatus
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.movements import CollectOn, RefundOn, ShipOn

CLOSURE_BLOCKING_CAUSES = (
    ReviewCause.UNEXPECTED_ITEM,
    ReviewCause.INSPECTION_MISMATCH,
    ReviewCause.REFUND_DIFFERS,
    ReviewCause.REFUND_OVERPAID,
    ReviewCause.REFUND_REVERSED,
    ReviewCause.ORDER_CANCELLED,
    ReviewCause.ORDER_REFUNDED,
    ReviewCause.CHARGED_BACK,
    ReviewCause.SURPLUS_SHIPPED,
    ReviewCause.WRONG_ITEM_SHIPPED,
    ReviewCause.REPLACEMENT_RETURNED,
    ReviewCause.MOVED_AFTER_STOP,
    ReviewCause.ADDRESS_CHANGED,
)
"""Causes of reviews that no later event answers: the case stays open until staff decide them."""

NOT_AS_REPORTED = "not_as_reported"
"""Cause of a cancellation after inspection; loyalty reverses its grants for it."""


def is_complete(case: Case) -> bool:
    """Return whether every leg that the plan requires is complete."""
    is_moved = _is_outbound_complete(case) and _is_inbound_complete(case)
    return is_moved and _is_money_complete(case) and not redelivery.owed_again(case)


def _is_outbound_complete(case: Case) -> bool:
    if case.shortage:
        return False
    return case.plan.ship_on is ShipOn.NEVER or case.outbound.status is OutboundStatus.DELIVERED


def _is_inbound_complete(case: Case) -> bool:
    if case.plan.collect_on is CollectOn.NEVER or case.inbound.is_waived:
        return True
    last_status = InboundStatus.INSPECTED if case.plan.inspect else InboundStatus.RECEIVED
    return case.inbound.status is last_status


def _is_money_complete(case: Case) -> bool:
    if case.plan.refund_on is RefundOn.NEVER:
        return refunds.is_settled(case)
    is_requested = case.inbound.is_waived or not missing(case.reported_units, case.money.requested_units)
    return is_requested and refunds.is_settled(case)


def resolve_if_complete(decision: CaseDecision) -> None:
    case = decision.case
    if case.is_closed or case.in_review(*CLOSURE_BLOCKING_CAUSES) or not is_complete(case):
        return
    closed = {"resolved_at": decision.now, "choice_request": None, "reviews": (), "address_due_at": None}
    decision.change(resolution=case.resolution + 1, **closed)
    if case.inbound.remind_at:
        decision.change_inbound(remind_at=None)
    decision.emit(resolved_event(decision.case, decision.now))


def resolved_event(case: Case, resolved_at: datetime) -> IssueResolved:
    return IssueResolved(
        **case.ids,
        remedy=case.plan.remedy,
        reason=case.reason,
        fault=case.fault,
        value=case.value,
        resolution=case.resolution,
        resolved_at=resolved_at,
        waited_days=max(0, (_remedied_at(case, resolved_at) - case.accepted_at).days),
        promises_broken=sum(count_broken_promises(leg) for leg in case.replacements),
        requested_remedy_granted=_is_wish_granted(case),
    )


def _is_wish_granted(case: Case) -> bool:
    """Return whether the customer got the requested remedy: the replacement of a part is its shipment."""
    wish, remedy = case.requested_remedy, case.plan.remedy
    is_part = wish is Remedy.REPLACEMENT and remedy is Remedy.PART_SHIPMENT and bool(case.lines_of_parts)
    return (is_part or wish in (None, remedy)) and not case.money.refund_instead


def _remedied_at(case: Case, resolved_at: datetime) -> datetime:
    """Return when the customer had the replacement and the last refund."""
    refunded = [refund.completed_at for refund in case.money.refunds if refund.completed_at]
    moments = [moment for moment in (case.outbound.delivered_at, *refunded) if moment]
    return max(moments, default=resolved_at)


def count_broken_promises(leg: OutboundLeg) -> int:
    """Return how many promised ship dates were replaced by later ones."""
    return sum(later > earlier for earlier, later in pairwise(leg.announced_dates))


def is_cancellable(case: Case) -> bool:
    """Return whether nothing has shipped, come back or been refunded."""
    has_shipped = any(leg.has_moved and not leg.is_coming_back for leg in case.replacements)
    has_returned = case.inbound.received or case.inbound.status is InboundStatus.COLLECTED
    return not (case.is_closed or has_shipped or has_returned or case.money.refunds)


def cancel(decision: CaseDecision, cause: str) -> None:
    if not is_cancellable(decision.case):
        decision.ignore("too_late_to_cancel")
        return
    force_cancel(decision, cause)


def force_cancel(decision: CaseDecision, cause: str) -> None:
    """Cancel the case and stop its legs even if something has moved."""
    cancel_replacement(decision, cause)
    inbound.stop(decision, cause)
    decision.change_inbound(remind_at=None)
    decision.change(cancelled_at=decision.now, choice_request=None, shortage=None, reviews=(), address_due_at=None)
    decision.emit(cancelled_event(decision.case, cause, decision.now))


def cancelled_event(case: Case, cause: str, cancelled_at: datetime) -> IssueCancelled:
    kept = to_lines(_kept_units(case))
    return IssueCancelled(**case.ids, cause=cause, cancelled_at=cancelled_at, kept_lines=kept)


def _kept_units(case: Case) -> UnitCounts:
    """Return units that stay with a cancelled case: their replacement has left, or their money has (invariant 2)."""
    kept = dict(case.money.requested_units) if case.money.refunds else {}
    for leg in case.replacements:
        if leg.status in SHIPPED_OR_DELIVERED and not leg.is_coming_back:
            kept = add_counts(kept, leg.shipped)
    return common_counts(case.reported_units, kept)


def reject(decision: CaseDecision) -> None:
    """Cancel a case whose returned item is not the reported one; revoke its resolution if it had one.

    Shipped units and completed refunds stay; reviews that only staff can decide stay open.
    """
    case = decision.case
    if case.cancelled_at:
        return
    resume(decision, NOT_AS_REPORTED)
    refunds.stop(decision)
    force_cancel(decision, NOT_AS_REPORTED)
    decision.change(reviews=tuple(review for review in case.reviews if review.cause in CLOSURE_BLOCKING_CAUSES))


def cancel_requested(decision: CaseDecision, command: CancelCase) -> None:
    cancel(decision, command.cause)


def resume(decision: CaseDecision, cause: str) -> None:
    """Reopen a resolved case with its legs as they are."""
    if decision.case.resolved_at:
        decision.change(resolved_at=None)
        _emit_reopened(decision, cause)


def _emit_reopened(decision: CaseDecision, cause: str) -> None:
    resolution = decision.case.resolution
    decision.emit(IssueReopened(**decision.ids, cause=cause, resolution=resolution, reopened_at=decision.now))


def choose_remedy(decision: CaseDecision, remedy: Remedy) -> None:
    """Switch to another remedy while nothing has moved; a resolved case is reopened with it."""
    case = decision.case
    if case.resolved_at:
        reopen_with(decision, "another_remedy", remedy)
    elif case.cancelled_at:
        decision.ignore("case_closed")
    elif remedy not in decision.reason_rule.remedies:
        decision.ignore("remedy_not_allowed")
    elif remedy is case.plan.remedy:
        decision.ignore("remedy_unchanged")
    elif not is_cancellable(case):
        decision.ignore("too_late_to_change_remedy")
    else:
        _change_remedy(decision, remedy)


def _change_remedy(decision: CaseDecision, remedy: Remedy) -> None:
    cancel_replacement(decision, "another_remedy")
    if decision.case.inbound.status is not InboundStatus.NONE:
        inbound.reset(decision)
    decision.switch_remedy(remedy)
    decision.close_reviews(ReviewCause.NO_DECISION, ReviewCause.WAREHOUSE_SILENT, ReviewCause.NOT_SHIPPING)
    leg = OutboundLeg(number=decision.case.outbound.number)
    past = decision.case.replacements
    decision.change(past_replacements=past, outbound=leg, choice_request=None, shortage=None)


def reopen_requested(decision: CaseDecision, command: ReopenCase) -> None:
    reopen_with(decision, command.cause, command.remedy)


def reopen_with(decision: CaseDecision, cause: str, chosen: Remedy | None) -> None:
    """Reopen a resolved case and start its legs over, with the same remedy or the chosen one."""
    case, rule = decision.case, decision.reason_rule
    remedy = chosen or case.plan.remedy
    if case.resolved_at is None:
        decision.ignore("not_resolved")
    elif case.money.refunds:
        decision.ignore("already_refunded")
    elif decision.customer.has_follow_up_issue:
        decision.ignore("already_reported")
    elif remedy not in rule.remedies:
        decision.ignore("remedy_not_allowed")
    else:
        decision.change(
            plan=RemedyPlan.from_movements(remedy, rule.remedies[remedy], case.lines),
            past_replacements=case.replacements,
            outbound=OutboundLeg(number=case.outbound.number),
            inbound=InboundLeg(number=case.inbound.number),
            money=replace(case.money, requested_units={}),
            reviews=tuple(decision.rearm(review) for review in case.reviews),
            shortage=None,
            redelivered_at=None,
            resolved_at=None,
        )
        _emit_reopened(decision, cause)
