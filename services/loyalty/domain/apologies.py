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
from services.loyalty.domain.context import LedgerDecision
from services.loyalty.domain.grants import grant
from services.loyalty.domain.holdout import CONTROL
from services.loyalty.domain.timers import REVIEW, timer_name
from services.loyalty.domain.vesting import reverse
from services.loyalty.ledger.accounts import PointsLot
from services.loyalty.ledger.causes import issue_cause, issue_id_of
from services.loyalty.ledger.entries import ExperimentExposure, WithheldGrant

ZERO_AWARD = "zero_award"
REVERSED = "reversed"


def on_issue_resolved(decision: LedgerDecision, event: IssueResolved) -> None:
    cause, withheld = issue_cause(event.issue_id, event.resolution), decision.state.withheld
    if cause in decision.state.lots:
        decision.ignore("already_granted")
    elif cause in withheld or issue_cause(event.issue_id) in withheld:
        decision.ignore("reversed_before_granted" if _reversed_before_granted(decision, cause) else "already_withheld")
    else:
        _grant_or_withhold(decision, event, cause, _award(decision, event))


def _reversed_before_granted(decision: LedgerDecision, cause: str) -> bool:
    withheld = decision.state.withheld.get(cause)
    return withheld is None or withheld.code == REVERSED


def _award(decision: LedgerDecision, event: IssueResolved) -> Award:
    impact = IncidentImpact(
        event.fault,
        event.reason,
        event.value.amount,
        event.value.currency,
        event.waited_days,
        event.promises_broken,
    )
    tier = decision.award_rules.tier(decision.state.current_membership().tier)
    return apology_award(decision.award_rules, impact, tier.name if tier else "", decision.today)


def _grant_or_withhold(decision: LedgerDecision, event: IssueResolved, cause: str, award: Award) -> None:
    if not award.points:
        _withhold(decision, event, cause, award, ZERO_AWARD)
        decision.ignore("zero_award")
    elif _assign_arm(decision) == CONTROL:
        _withhold(decision, event, cause, award, WithheldCode.HOLDOUT)
    elif code := _limit_exceeded(decision):
        _withhold(decision, event, cause, award, code)
    else:
        grant_apology(decision, _cap_to_limit(decision, award), cause, event.order_id)


def _assign_arm(decision: LedgerDecision) -> str | None:
    """Record the exposure of this customer to the experiment and return their arm; None if the holdout is off."""
    holdout, customer_id = decision.rules.holdout, decision.state.customer_id
    if not holdout.enabled:
        return None
    arm = holdout.arm(customer_id)
    decision.emit(ExperimentExposure(customer_id, holdout.experiment, arm, decision.now))
    return arm


def _recent_apologies(decision: LedgerDecision) -> list[PointsLot]:
    """Return apologies within the period of the rate limits that were not reversed."""
    limits = decision.award_rules.limits
    begin = decision.now - timedelta(days=limits.days if limits else 0)
    lots = decision.state.lots.values()
    return [
        lot for lot in lots if lot.kind is GrantKind.APOLOGY and lot.balances.net_granted and lot.granted_at > begin
    ]


def _limit_exceeded(decision: LedgerDecision) -> WithheldCode | None:
    limits = decision.award_rules.limits
    if limits is None:
        return None
    recent = _recent_apologies(decision)
    if limits.max_grants is not None and len(recent) >= limits.max_grants:
        return WithheldCode.TOO_MANY
    if limits.max_points is not None and sum(lot.balances.net_granted for lot in recent) >= limits.max_points:
        return WithheldCode.TOO_MUCH
    return None


def _cap_to_limit(decision: LedgerDecision, award: Award) -> Award:
    """Cap the award to the points that the customer's limit leaves."""
    limits = decision.award_rules.limits
    if limits is None or limits.max_points is None:
        return award
    remaining = limits.max_points - sum(lot.balances.net_granted for lot in _recent_apologies(decision))
    if award.points <= remaining:
        return award
    return replace(award, points=remaining, inputs={**award.inputs, "capped_from": award.points})


def grant_apology(decision: LedgerDecision, award: Award, cause: str, order_id: str | None, **details: Any) -> None:
    grant(decision, award, cause, GrantKind.APOLOGY, issue_id=issue_id_of(cause), order_id=order_id, **details)


def _withhold(decision: LedgerDecision, event: IssueResolved, cause: str, award: Award, code: str) -> None:
    """Record the reason and the award that the rule would have made; open a review where the limits ask for one."""
    limits = decision.award_rules.limits
    limited = code in (WithheldCode.TOO_MANY, WithheldCode.TOO_MUCH)
    reviewable = limits if limits and limited and limits.when_exceeded == "review" else None
    review_by = decision.now + timedelta(days=reviewable.review_days) if reviewable else None
    rule = {"rule": award.rule, "version": award.version, "legal_basis": award.legal_basis}
    inputs = rule | {"counts_for_tier": award.counts_for_tier}
    withheld = WithheldGrant(
        cause,
        decision.state.customer_id,
        event.issue_id,
        code,
        decision.now,
        event.order_id,
        award.points,
        review_by,
        replace(award, inputs={**award.inputs, **inputs}).inputs_text(),
    )
    decision.withhold(withheld)
    if code in list(WithheldCode):
        decision.emit(_points_withheld(withheld, event.order_id))
        if review_by:
            decision.set_timer(timer_name(REVIEW, cause), review_by)


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


def on_review_deadline(decision: LedgerDecision, cause: str) -> None:
    """Close a review that staff did not decide in time; the points stay withheld."""
    withheld = decision.state.withheld.get(cause)
    if withheld is None or not withheld.in_review:
        decision.ignore("review_closed")
    else:
        decision.withhold(replace(withheld, code="lapsed", review_by=None))


def on_issue_reopened(decision: LedgerDecision, event: IssueReopened) -> None:
    cause = issue_cause(event.issue_id, event.resolution)
    _reverse_grants(
        decision, event.issue_id, cause, [lot for lot in decision.state.lots.values() if lot.cause == cause]
    )


def on_issue_cancelled(decision: LedgerDecision, event: IssueCancelled) -> None:
    lots = sorted(decision.state.lots_for(issue_id=event.issue_id), key=lambda lot: lot.cause)
    _reverse_grants(decision, event.issue_id, issue_cause(event.issue_id), lots)


def on_reversal_merged(decision: LedgerDecision, cause: str) -> None:
    """Reverse what was granted to one account of the customer, and reopened or cancelled under another."""
    issue_id = issue_id_of(cause)
    lots = [lot for lot in decision.state.lots_for(issue_id=issue_id) if cause in (lot.cause, issue_cause(issue_id))]
    _reverse_grants(decision, issue_id, cause, sorted(lots, key=lambda lot: lot.cause))


def _reverse_grants(decision: LedgerDecision, issue_id: UUID, cause: str, lots: Iterable[PointsLot]) -> None:
    """Reverse these grants, and withhold any later grant for `cause`."""
    before = len(decision.facts)
    for lot in lots:
        if lot.balances.net_granted:
            reverse(decision, decision.state.lots[lot.cause], lot.balances.net_granted, lot.cause, "issue_reopened")
    _close_reviews(decision, cause)
    if cause not in decision.state.lots and cause not in decision.state.withheld:
        decision.withhold(WithheldGrant(cause, decision.state.customer_id, issue_id, REVERSED, decision.now))
    if len(decision.facts) == before:
        decision.ignore("already_reversed")


def _close_reviews(decision: LedgerDecision, cause: str) -> None:
    """Close the open reviews of this resolution, or of all resolutions if `cause` is the whole issue."""
    for key, withheld in decision.state.withheld.items():
        if withheld.in_review and (key == cause or key.startswith(f"{cause}:")):
            decision.withhold(replace(withheld, code=REVERSED, review_by=None))
            decision.cancel_timer(timer_name(REVIEW, key))
