"""Points that say sorry: once per resolution of an issue, taken back when it does not hold.

The governor: an apology over the limits waits for a human, or stays words. The holdout: a share of the customers gets
words only, so that somebody can tell what points are worth. Both are recorded with what the rule would have given.
"""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import IssueCancelled, IssueReopened, IssueResolved
from libs.common.events.loyalty import GrantKind, PointsGranted, PointsWithheld, WithheldCode
from services.loyalty.domain.award import Award, Trouble, apology
from services.loyalty.domain.decision_context import LedgerDecision
from services.loyalty.domain.holdout import WORDS
from services.loyalty.domain.vesting import begin, take_back
from services.loyalty.ledger.accounts import Exposure, Lot, Withheld, cause_of, issue_of

REVIEW = "review:"
TAKEN_BACK = "taken_back"


def resolved(turn: LedgerDecision, event: IssueResolved) -> None:
    cause, known = cause_of(event.issue_id, event.resolution), turn.account.withheld
    if cause in turn.account.lots:
        turn.ignore("already_granted")
    elif cause in known or cause_of(event.issue_id) in known:
        turn.ignore("taken_back_before_granted" if _taken_back(turn, cause) else "already_withheld")
    else:
        _judge(turn, event, cause, _award(turn, event))


def _taken_back(turn: LedgerDecision, cause: str) -> bool:
    found = turn.account.withheld.get(cause)
    return found is None or found.code == TAKEN_BACK


def _award(turn: LedgerDecision, event: IssueResolved) -> Award:
    trouble = Trouble(
        event.fault,
        event.reason,
        event.value.amount,
        event.value.currency,
        event.waited_days,
        event.promises_broken,
    )
    tier = turn.rules.tier(turn.account.member().tier)
    return apology(turn.rules, trouble, tier.name if tier else "", turn.today)


def _judge(turn: LedgerDecision, event: IssueResolved, cause: str, award: Award) -> None:
    if not award.points:
        _withhold(turn, event, cause, award, "nothing")
        turn.ignore("rule_gives_nothing")
    elif _held_out(turn):
        _withhold(turn, event, cause, award, WithheldCode.HOLDOUT)
    elif code := _over(turn):
        _withhold(turn, event, cause, award, code)
    else:
        give(turn, _within(turn, award), cause, event.order_id)


def _held_out(turn: LedgerDecision) -> bool:
    """Whether this customer gets words only; that they were looked at is kept either way."""
    holdout, customer = turn.terms.holdout, turn.account.customer_id
    if not holdout.on:
        return False
    turn.say(Exposure(customer, holdout.experiment, holdout.arm(customer), turn.now))
    return holdout.arm(customer) == WORDS


def _recent(turn: LedgerDecision) -> list[Lot]:
    """Apologies within the governor's period that still stand."""
    limits = turn.rules.limits
    begin = turn.now - timedelta(days=limits.days if limits else 0)
    lots = turn.account.lots.values()
    return [lot for lot in lots if lot.what is GrantKind.APOLOGY and lot.purse.kept and lot.granted_at > begin]


def _over(turn: LedgerDecision) -> WithheldCode | None:
    limits = turn.rules.limits
    if limits is None:
        return None
    recent = _recent(turn)
    if limits.most_grants is not None and len(recent) >= limits.most_grants:
        return WithheldCode.TOO_MANY
    if limits.most_points is not None and sum(lot.purse.kept for lot in recent) >= limits.most_points:
        return WithheldCode.TOO_MUCH
    return None


def _within(turn: LedgerDecision, award: Award) -> Award:
    """At most what the customer's limit leaves."""
    limits = turn.rules.limits
    if limits is None or limits.most_points is None:
        return award
    left = limits.most_points - sum(lot.purse.kept for lot in _recent(turn))
    if award.points <= left:
        return award
    return replace(award, points=left, inputs={**award.inputs, "capped_from": award.points})


def give(
    turn: LedgerDecision,
    award: Award,
    cause: str,
    order_id: str | None,
    staff: str | None = None,
    note: str | None = None,
) -> None:
    named = {"issue_id": issue_of(cause), "order_id": order_id, "staff": staff, "note": note}
    lot = turn.grant(award, cause, GrantKind.APOLOGY, "apology", **named)
    vests_at = turn.now + timedelta(days=award.hold_days)
    granted = PointsGranted(
        customer_id=turn.account.customer_id,
        entry_id=lot.lot_id,
        points=award.points,
        cause=cause,
        text="apology",
        issue_id=lot.issue_id,
        order_id=order_id,
        rule=award.rule,
        rule_version=award.version,
        granted_at=turn.now,
        kind=lot.what,
        legal_basis=award.legal_basis,
        expires_on=lot.expires_on,
        counts_for_tier=lot.counts_for_tier,
        vests_at=vests_at,
    )
    turn.say(granted)
    begin(turn, lot, vests_at)


def _withhold(turn: LedgerDecision, event: IssueResolved, cause: str, award: Award, code: str) -> None:
    """Record why, and what would have been; where a human may still decide, until when."""
    limits = turn.rules.limits
    in_review = code in (WithheldCode.TOO_MANY, WithheldCode.TOO_MUCH) and limits and limits.over == "review"
    review_by = turn.now + timedelta(days=limits.review_days) if limits and in_review else None
    named = {"rule": award.rule, "version": award.version, "legal_basis": award.legal_basis}
    inputs = replace(award, inputs={**award.inputs, **named}).inputs_text()
    customer, issue, order = turn.account.customer_id, event.issue_id, event.order_id
    turn.withhold(Withheld(cause, customer, issue, code, turn.now, order, award.points, review_by, inputs))
    if code not in list(WithheldCode):
        return
    told = PointsWithheld(
        customer_id=customer,
        issue_id=issue,
        order_id=order,
        cause=cause,
        code=WithheldCode(code),
        points=award.points,
        review_by=review_by,
        withheld_at=turn.now,
    )
    turn.say(told)
    if review_by:
        turn.wake(REVIEW + cause, review_by)


def review_lapsed(turn: LedgerDecision, cause: str) -> None:
    """Nobody decided in time: it stays words."""
    found = turn.account.withheld.get(cause)
    if found is None or not found.in_review:
        turn.ignore("review_settled")
    else:
        turn.withhold(replace(found, code="lapsed", review_by=None))


def reopened(turn: LedgerDecision, event: IssueReopened) -> None:
    cause = cause_of(event.issue_id, event.resolution)
    _take_back(turn, event.issue_id, cause, [lot for lot in turn.account.lots.values() if lot.cause == cause])


def cancelled(turn: LedgerDecision, event: IssueCancelled) -> None:
    lots = sorted(turn.account.lots_of(issue_id=event.issue_id), key=lambda lot: lot.cause)
    _take_back(turn, event.issue_id, cause_of(event.issue_id), lots)


def _take_back(turn: LedgerDecision, issue_id: UUID, whole: str, lots: Iterable[Lot]) -> None:
    """Reverse these grants, and see to it that nothing is granted for `whole` any more."""
    said = len(turn.facts)
    for lot in lots:
        if lot.purse.kept:
            take_back(turn, turn.account.lots[lot.cause], lot.purse.kept, lot.cause, "issue_reopened")
    _end_reviews(turn, whole)
    if whole not in turn.account.lots and whole not in turn.account.withheld:
        turn.withhold(Withheld(whole, turn.account.customer_id, issue_id, TAKEN_BACK, turn.now))
    if len(turn.facts) == said:
        turn.ignore("already_reversed")


def _end_reviews(turn: LedgerDecision, whole: str) -> None:
    for cause, found in turn.account.withheld.items():
        if found.in_review and (cause == whole or cause.startswith(f"{whole}:")):
            turn.withhold(replace(found, code=TAKEN_BACK, review_by=None))
            turn.forget(REVIEW + cause)
