"""Staff decisions: manual adjustments, and reviews of apologies over the limits."""

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

from libs.common.events.loyalty import GrantKind, LegalBasis, PointsAdjusted
from services.loyalty.domain import expiry
from services.loyalty.domain.apologies import grant_apology
from services.loyalty.domain.award import Award
from services.loyalty.domain.commands import AdjustPoints, DecideReview
from services.loyalty.domain.context import LedgerDecision
from services.loyalty.domain.timers import REVIEW, timer_name
from services.loyalty.domain.vesting import settle_debt
from services.loyalty.ledger.causes import adjustment_cause
from services.loyalty.ledger.entries import EntryKind, LedgerAccount


def adjust(decision: LedgerDecision, command: AdjustPoints) -> None:
    if reason := _reason_to_ignore(decision, command):
        decision.ignore(reason)
        return
    cause = adjustment_cause(command.adjustment_id)
    adjusted = PointsAdjusted(
        customer_id=decision.state.customer_id,
        entry_id=_credit(decision, command, cause) if command.change > 0 else _debit(decision, command, cause),
        change=command.change,
        cause=cause,
        staff=command.staff,
        text=command.text,
        adjusted_at=decision.now,
    )
    decision.emit(adjusted)
    decision.record_adjustment(command.adjustment_id)
    settle_debt(decision, cause)
    expiry.schedule_expiry(decision)


def _reason_to_ignore(decision: LedgerDecision, command: AdjustPoints) -> str | None:
    if command.adjustment_id in decision.state.adjustments:
        return "already_adjusted"
    if command.change == 0:
        return "nothing_to_adjust"
    available = sum(lot.balances.available for lot in decision.state.spendable())
    return "insufficient_points" if available < -command.change else None


def _credit(decision: LedgerDecision, command: AdjustPoints, cause: str) -> UUID:
    rules = decision.award_rules
    inputs = {"change": command.change}
    basis, days = LegalBasis.AFTER_SERVICE, rules.validity_days
    award = Award(command.change, "adjustment", rules.version, basis, False, 0, days, inputs)
    return decision.create_lot(award, cause, GrantKind.ADJUSTMENT, command.text, **_staff_columns(command)).lot_id


def _debit(decision: LedgerDecision, command: AdjustPoints, cause: str) -> UUID:
    """Take available points, earliest expiry first. Returns the id of the first entry."""
    remaining, entries = -command.change, []
    accounts = (LedgerAccount.AVAILABLE, LedgerAccount.ISSUED)
    for lot in decision.state.spendable():
        if part := min(remaining, lot.balances.available):
            staff = _staff_columns(command)
            entries.append(decision.post(EntryKind.ADJUST, lot, *accounts, part, cause, command.text, **staff))
            remaining -= part
    return entries[0].entry_id


def _staff_columns(command: AdjustPoints) -> dict[str, Any]:
    return {"staff": command.staff, "note": command.comment}


def decide_review(decision: LedgerDecision, command: DecideReview) -> None:
    withheld = decision.state.withheld.get(command.cause)
    if withheld is None or not withheld.in_review:
        decision.ignore("no_such_review")
        return
    code = "approved" if command.approved else "refused"
    decision.withhold(replace(withheld, code=code, review_by=None, staff=command.staff, note=command.comment))
    decision.cancel_timer(timer_name(REVIEW, command.cause))
    if command.approved:
        award = _recorded_award(decision, withheld.points, json.loads(withheld.inputs or "{}"))
        grant_apology(decision, award, command.cause, withheld.order_id, staff=command.staff, note=command.comment)


def _recorded_award(decision: LedgerDecision, points: int, inputs: dict[str, Any]) -> Award:
    """Return the award of the rule version that was in force when the grant was withheld."""
    rules = decision.award_rules
    basis = LegalBasis(inputs.get("legal_basis", LegalBasis.AFTER_SERVICE))
    rule, version = inputs.get("rule", "unknown"), inputs.get("version", rules.version)
    counts = bool(inputs.get("counts_for_tier", False))
    return Award(points, rule, version, basis, counts, rules.hold_days, rules.validity_days, inputs)
