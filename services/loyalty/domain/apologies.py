"""Apology points: granted once per resolution of an issue, reversed if the issue is reopened or cancelled.

Rate limits: an apology over the customer's limits waits for a review or is withheld. Holdout: the control arm of the
experiment gets an apology without points. Both are recorded with the award that the rule would have made.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import IssueCancelled, IssueReopened, IssueResolved
from libs.common.events.loyalty import GrantKind, PointsWithheld, WithheldCode
from services.loyalty.domain.award import Award, IncidentImpact, apology_award
from services.loyalty.domain.decision_context import LedgerDecision
from services.loyalty.domain.grants import grant
from services.loyalty.domain.holdout import CONTROL
from services.loyalty.domain.timers import REVIEW, timer_name
from services.loyalty.domain.vesting import reverse
from services.loyalty.ledger.accounts import Lot
from services.loyalty.ledger.causes import issue_cause, issue_id_of
from services.loyalty.ledger.entries import ExperimentExposure, WithheldGrant

ZERO_AWARD = "zero_award"
REVERSED = "reversed"


def on_issue_resolved(ctx: LedgerDecision, event: IssueResolved) -> None:
    cause, withheld = issue_cause(event.issue_id, event.resolution), ctx.state.withheld
    if cause in ctx.state.lots:
        ctx.ignore("already_granted")
    elif cause in withheld or issue_cause(event.issue_id) in withheld:
        ctx.ignore("reversed_before_granted" if _reversed_before_granted(ctx, cause) else "already_withheld")
    else:
        _grant_or_withhold(ctx, event, cause, _award(ctx, event))


def _reversed_before_granted(ctx: LedgerDecision, cause: str) -> bool:
    withheld = ctx.state.withheld.get(cause)
    return withheld is None or withheld.code == REVERSED


def _award(ctx: LedgerDecision, event: IssueResolved) -> Award:
    impact = IncidentImpact(
        event.fault,
        event.reason,
        event.value.amount,
        event.value.currency,
        event.waited_days,
        event.promises_broken,
    )
    tier = ctx.award_rules.tier(ctx.state.current_membership().tier)
    return apology_award(ctx.award_rules, impact, tier.name if tier else "", ctx.today)


def _grant_or_withhold(ctx: LedgerDecision, event: IssueResolved, cause: str, award: Award) -> None:
    if not award.points:
        _withhold(ctx, event, cause, award, ZERO_AWARD)
        ctx.ignore("zero_award")
    elif _assign_arm(ctx) == CONTROL:
        _withhold(ctx, event, cause, award, WithheldCode.HOLDOUT)
    elif code := _limit_exceeded(ctx):
        _withhold(ctx, event, cause, award, code)
    else:
        grant_apology(ctx, _cap_to_limit(ctx, award), cause, event.order_id)


def _assign_arm(ctx: LedgerDecision) -> str | None:
    """Record the exposure of this customer to the experiment and return their arm; None if the holdout is off."""
    holdout, customer_id = ctx.rules.holdout, ctx.state.customer_id
    if not holdout.enabled:
        return None
    arm = holdout.arm(customer_id)
    ctx.emit(ExperimentExposure(customer_id, holdout.experiment, arm, ctx.now))
    return arm


def _recent_apologies(ctx: LedgerDecision) -> list[Lot]:
    """Return apologies within the period of the rate limits that were not reversed."""
    limits = ctx.award_rules.limits
    begin = ctx.now - timedelta(days=limits.days if limits else 0)
    lots = ctx.state.lots.values()
    return [
        lot for lot in lots if lot.kind is GrantKind.APOLOGY and lot.balances.net_granted and lot.granted_at > begin
    ]


def _limit_exceeded(ctx: LedgerDecision) -> WithheldCode | None:
    limits = ctx.award_rules.limits
    if limits is None:
        return None
    recent = _recent_apologies(ctx)
    if limits.max_grants is not None and len(recent) >= limits.max_grants:
        return WithheldCode.TOO_MANY
    if limits.max_points is not None and sum(lot.balances.net_granted for lot in recent) >= limits.max_points:
        return WithheldCode.TOO_MUCH
    return None


def _cap_to_limit(ctx: LedgerDecision, award: Award) -> Award:
    """Cap the award to the points that the customer's limit leaves."""
    limits = ctx.award_rules.limits
    if limits is None or limits.max_points is None:
        return award
    remaining = limits.max_points - sum(lot.balances.net_granted for lot in _recent_apologies(ctx))
    if award.points <= remaining:
        return award
    return replace(award, points=remaining, inputs={**award.inputs, "capped_from": award.points})


def grant_apology(ctx: LedgerDecision, award: Award, cause: str, order_id: str | None, **details: Any) -> None:
    grant(ctx, award, cause, GrantKind.APOLOGY, issue_id=issue_id_of(cause), order_id=order_id, **details)


def _withhold(ctx: LedgerDecision, event: IssueResolved, cause: str, award: Award, code: str) -> None:
    """Record the reason and the award that the rule would have made; open a review where the limits ask for one."""
    limits = ctx.award_rules.limits
    limited = code in (WithheldCode.TOO_MANY, WithheldCode.TOO_MUCH)
    reviewable = limits if limits and limited and limits.when_exceeded == "review" else None
    review_by = ctx.now + timedelta(days=reviewable.review_days) if reviewable else None
    inputs = {"rule": award.rule, "version": award.version, "legal_basis": award.legal_basis}
    withheld = WithheldGrant(
        cause,
        ctx.state.customer_id,
        event.issue_id,
        code,
        ctx.now,
        event.order_id,
        award.points,
        review_by,
        replace(award, inputs={**award.inputs, **inputs}).inputs_text(),
    )
    ctx.withhold(withheld)
    if code in list(WithheldCode):
        ctx.emit(_points_withheld(withheld, event.order_id))
        if review_by:
            ctx.set_timer(timer_name(REVIEW, cause), review_by)


def _points_withheld(withheld: WithheldGrant, order_id: str) -> PointsWithheld:
    return PointsWithheld(
        customer_id=withheld.customer_id,
        issue_id=withheld.issue_id,
        order_id=order_id,
        cause=withheld.cause,
        code=WithheldCode(withheld.code),
        points=withheld.points,
        review_by=withheld.review_by,
        withheld_at=withheld.at,
    )


def on_review_deadline(ctx: LedgerDecision, cause: str) -> None:
    """Close a review that staff did not decide in time; the points stay withheld."""
    withheld = ctx.state.withheld.get(cause)
    if withheld is None or not withheld.in_review:
        ctx.ignore("review_closed")
    else:
        ctx.withhold(replace(withheld, code="lapsed", review_by=None))


def on_issue_reopened(ctx: LedgerDecision, event: IssueReopened) -> None:
    cause = issue_cause(event.issue_id, event.resolution)
    _reverse_grants(ctx, event.issue_id, cause, [lot for lot in ctx.state.lots.values() if lot.cause == cause])


def on_issue_cancelled(ctx: LedgerDecision, event: IssueCancelled) -> None:
    lots = sorted(ctx.state.lots_for(issue_id=event.issue_id), key=lambda lot: lot.cause)
    _reverse_grants(ctx, event.issue_id, issue_cause(event.issue_id), lots)


def _reverse_grants(ctx: LedgerDecision, issue_id: UUID, cause: str, lots: Iterable[Lot]) -> None:
    """Reverse these grants, and withhold any later grant for `cause`."""
    before = len(ctx.facts)
    for lot in lots:
        if lot.balances.net_granted:
            reverse(ctx, ctx.state.lots[lot.cause], lot.balances.net_granted, lot.cause, "issue_reopened")
    _close_reviews(ctx, cause)
    if cause not in ctx.state.lots and cause not in ctx.state.withheld:
        ctx.withhold(WithheldGrant(cause, ctx.state.customer_id, issue_id, REVERSED, ctx.now))
    if len(ctx.facts) == before:
        ctx.ignore("already_reversed")


def _close_reviews(ctx: LedgerDecision, cause: str) -> None:
    """Close the open reviews of this resolution, or of all resolutions if `cause` is the whole issue."""
    for key, withheld in ctx.state.withheld.items():
        if withheld.in_review and (key == cause or key.startswith(f"{cause}:")):
            ctx.withhold(replace(withheld, code=REVERSED, review_by=None))
            ctx.cancel_timer(timer_name(REVIEW, key))
