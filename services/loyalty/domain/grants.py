"""Grants of points by rule: one lot, its `points.granted` event, and the start of its vesting."""

from datetime import timedelta
from typing import Any

from libs.common.events.loyalty import GrantKind, PointsGranted
from services.loyalty.domain.award import Award
from services.loyalty.domain.context import LedgerDecision
from services.loyalty.domain.vesting import start_vesting


def grant(decision: LedgerDecision, award: Award, cause: str, kind: GrantKind, **details: Any) -> None:
    """Grant the award; `details` are further columns of the entry (issue, order, staff, note)."""
    text = kind.value
    lot = decision.create_lot(award, cause, kind, text, **details)
    vests_at = decision.now + timedelta(days=award.hold_days)
    granted = PointsGranted(
        customer_id=decision.state.customer_id,
        entry_id=lot.lot_id,
        points=award.points,
        cause=cause,
        text=text,
        issue_id=lot.issue_id,
        order_id=lot.order_id,
        rule=award.rule,
        rule_version=award.version,
        granted_at=decision.now,
        kind=kind,
        legal_basis=award.legal_basis,
        expires_on=lot.expires_on,
        counts_for_tier=lot.counts_for_tier,
        vests_at=vests_at,
        campaigns=award.campaigns,
        titles=decision.award_rules.titles_of(*award.campaigns),
    )
    decision.emit(granted)
    start_vesting(decision, lot, vests_at)
