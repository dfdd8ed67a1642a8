"""What ops decide by hand: points given or taken with who and why, and apologies that the governor held back."""

import json
from dataclasses import replace
from uuid import UUID

from libs.common.events.loyalty import GrantKind, LegalBasis, PointsAdjusted
from services.loyalty.domain import expiry
from services.loyalty.domain.apologies import REVIEW, give
from services.loyalty.domain.award import Award
from services.loyalty.domain.commands import AdjustAsked, ReviewAnswered
from services.loyalty.domain.decision_context import LedgerDecision
from services.loyalty.domain.vesting import settle
from services.loyalty.ledger.accounts import Kind, Place, adjustment_cause


def adjust(turn: LedgerDecision, command: AdjustAsked) -> None:
    cause = adjustment_cause(command.adjustment_id)
    spendable = sum(lot.purse.available for lot in turn.account.spendable())
    if command.adjustment_id in turn.account.adjusted:
        turn.ignore("already_adjusted")
    elif command.change == 0:
        turn.ignore("nothing_to_adjust")
    elif command.change < 0 and spendable < -command.change:
        turn.ignore("not_enough_points")
    else:
        entry = _add(turn, command, cause) if command.change > 0 else _take(turn, command, cause)
        adjusted = PointsAdjusted(
            customer_id=turn.account.customer_id,
            entry_id=entry,
            change=command.change,
            cause=cause,
            staff=command.staff,
            text=command.text,
            adjusted_at=turn.now,
        )
        turn.say(adjusted)
        turn.adjusted(command.adjustment_id)
        settle(turn, cause)
        expiry.schedule(turn)


def _add(turn: LedgerDecision, command: AdjustAsked, cause: str) -> UUID:
    inputs = {"by_hand": command.change}
    days = turn.rules.validity_days
    award = Award(command.change, "by_hand", turn.rules.version, LegalBasis.AFTER_SERVICE, False, 0, days, inputs)
    named = {"staff": command.staff, "note": command.comment}
    return turn.grant(award, cause, GrantKind.ADJUSTMENT, command.text, **named).lot_id


def _take(turn: LedgerDecision, command: AdjustAsked, cause: str) -> UUID:
    """The points that expire first go first."""
    left, entries = -command.change, []
    named = {"staff": command.staff, "note": command.comment}
    for lot in turn.account.spendable():
        if part := min(left, lot.purse.available):
            entry = turn.post(Kind.ADJUST, lot, Place.AVAILABLE, Place.ISSUED, part, cause, command.text, **named)
            entries.append(entry.entry_id)
            left -= part
    return entries[0]


def review_answered(turn: LedgerDecision, command: ReviewAnswered) -> None:
    found = turn.account.withheld.get(command.cause)
    if found is None or not found.in_review:
        turn.ignore("no_such_review")
        return
    code = "approved" if command.approved else "refused"
    turn.withhold(replace(found, code=code, review_by=None, staff=command.staff, note=command.comment))
    turn.forget(REVIEW + command.cause)
    if command.approved:
        award = _as_it_was(turn, found.points, json.loads(found.inputs or "{}"))
        give(turn, award, command.cause, found.order_id, command.staff, command.comment)


def _as_it_was(turn: LedgerDecision, points: int, inputs: dict[str, str]) -> Award:
    """What the rule of that day would have given."""
    rules = turn.rules
    basis = LegalBasis(inputs.get("legal_basis", LegalBasis.AFTER_SERVICE))
    rule, version = inputs.get("rule", "unknown"), inputs.get("version", rules.version)
    return Award(points, rule, version, basis, False, rules.hold_days, rules.validity_days, inputs)
