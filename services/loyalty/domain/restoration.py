"""Restoration of ledger entries from the events that loyalty published about them, after a restore of its database.

Each event is carried out again at its own time: rules that changed since, and the clock of the restore, play no part.
Entries get the ids that they had. Events are not published again, but timers and rows are written like at the first
time. An event that cannot be carried out is an anomaly, which `sakidashi rejoin` prints.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.common.decisions.facts import Anomaly, CancelTimer, Fact, Facts, Ignored, Record, SetTimer
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueRefunded, IssueRefundReversed
from libs.common.events.loyalty import (
    GrantKind,
    LegalBasis,
    PointsAdjusted,
    PointsExpired,
    PointsExpiring,
    PointsGranted,
    PointsRedeemed,
    PointsReleased,
    PointsReserved,
    PointsReversed,
    PointsVested,
    PointsWithheld,
    TierChanged,
)
from services.loyalty.domain import adjustments, expiry, purchases, redemptions, vesting
from services.loyalty.domain.award import Award
from services.loyalty.domain.commands import AdjustmentText, AdjustPoints, CommitRedemption, ReservePoints
from services.loyalty.domain.context import LedgerDecision
from services.loyalty.domain.ledger_rules import LedgerRules
from services.loyalty.domain.timers import MERGED_REFUND, REVIEW, TIER, timer_name
from services.loyalty.ledger.accounts import PointsAccount, PointsLot, RedemptionState
from services.loyalty.ledger.causes import id_of
from services.loyalty.ledger.entries import EntryKind, WithheldGrant

RESTORED = "restored from its event"
"""Private note of an adjustment; the note of staff is in no event."""

_TIMES = (
    "granted_at", "vested_at", "reversed_at", "withheld_at", "reserved_at", "released_at", "redeemed_at",
    "expired_at", "announced_at", "adjusted_at", "changed_at", "refunded_at",
)  # fmt: skip


def restore(account: PointsAccount, event: Payload, rules: LedgerRules) -> tuple[PointsAccount, Facts]:
    """Return the account after this event, and its rows and timers. Total: an unknown event changes nothing."""
    decision = LedgerDecision(account, happened_at(event), rules)
    if handler := HANDLERS.get(type(event)):
        handler(decision, event)
    refused = [fact for fact in decision.facts if isinstance(fact, Ignored)]
    if refused and not any(isinstance(fact, Record) for fact in decision.facts):
        return account, [Anomaly(refused[0].reason, f"{event.TYPE} {getattr(event, 'cause', '')}")]
    kept: list[Fact] = [fact for fact in decision.facts if isinstance(fact, Record | SetTimer | CancelTimer | Anomaly)]
    return decision.state, kept


def happened_at(event: Payload) -> datetime:
    """Return the time that an event of loyalty, or a refund, states for itself."""
    at: datetime = next(value for name in _TIMES if (value := getattr(event, name, None)) is not None)
    return at


def _granted(decision: LedgerDecision, event: PointsGranted) -> None:
    if event.cause in decision.state.lots:
        return
    vests_at, kind = event.vests_at or event.granted_at, event.kind or GrantKind.APOLOGY
    hold_days = (vests_at - event.granted_at).days
    validity = (event.expires_on - decision.today).days if event.expires_on else decision.award_rules.validity_days
    award = Award(
        event.points,
        event.rule,
        event.rule_version or decision.award_rules.version,
        event.legal_basis or LegalBasis.AFTER_SERVICE,
        bool(event.counts_for_tier),
        hold_days,
        validity - hold_days,
        {"restored": True},
    )
    text = event.text or kind.value
    lot = decision.create_lot(award, event.cause, kind, text, issue_id=event.issue_id, order_id=event.order_id)
    vesting.start_vesting(decision, lot, vests_at)


def _reversed(decision: LedgerDecision, event: PointsReversed) -> None:
    lot = _lot(decision, event.reverses)
    if lot is None:
        decision.ignore("unknown_grant")
    else:
        vesting.reverse(decision, lot, event.points, event.cause, event.text or "issue_reopened")


def _lot(decision: LedgerDecision, lot_id: UUID) -> PointsLot | None:
    return next((lot for lot in decision.state.lots.values() if lot.lot_id == lot_id), None)


def _withheld(decision: LedgerDecision, event: PointsWithheld) -> None:
    if event.cause in decision.state.withheld:
        return
    ids = (event.cause, event.customer_id, event.issue_id, event.code.value, event.withheld_at, event.order_id)
    decision.withhold(WithheldGrant(*ids, event.points, event.review_by, "{}"))
    if event.review_by:
        decision.set_timer(timer_name(REVIEW, event.cause), event.review_by)


def _reserved(decision: LedgerDecision, event: PointsReserved) -> None:
    ids: dict[str, Any] = {"customer_id": event.customer_id, "redemption_id": event.redemption_id}
    order_id = event.order_id or str(event.redemption_id)
    redemptions.reserve(decision, ReservePoints(**ids, order_id=order_id, points=event.points))


def _redeemed(decision: LedgerDecision, event: PointsRedeemed) -> None:
    redemption_id = event.redemption_id or id_of(event.cause)
    redemptions.commit(decision, CommitRedemption(customer_id=event.customer_id, redemption_id=redemption_id))


def _released(decision: LedgerDecision, event: PointsReleased) -> None:
    """Release a reservation, or return spent points: all that are left, or the part that the event names."""
    redemption = decision.state.redemptions.get(event.redemption_id)
    if redemption is None:
        decision.ignore("unknown_redemption")
    elif redemption.state is RedemptionState.RESERVED:
        redemptions.restore_points(decision, redemption, EntryKind.RELEASE, event.text or "released")
    elif event.cause.count(":") > 1:
        redemptions.return_part(decision, redemption, event.points)
    elif redemption.state is RedemptionState.COMMITTED:
        redemptions.restore_points(decision, redemption, EntryKind.RETURN, event.text or "returned")
    else:
        decision.ignore(f"already_{redemption.state}")


def _adjusted(decision: LedgerDecision, event: PointsAdjusted) -> None:
    text = AdjustmentText(event.text) if event.text in list(AdjustmentText) else AdjustmentText.CORRECTION
    ids: dict[str, Any] = {"customer_id": event.customer_id, "adjustment_id": id_of(event.cause)}
    adjustments.adjust(
        decision, AdjustPoints(**ids, change=event.change, text=text, staff=event.staff, comment=RESTORED)
    )


def _announced(decision: LedgerDecision, event: PointsExpiring) -> None:
    """Keep which days of expiry were announced, so that none is announced twice."""
    membership = decision.state.current_membership()
    known = membership.expiry_notified_until
    until = max(decision.today + timedelta(days=decision.award_rules.notice_days), event.expires_on)
    if known is None or until > known:
        decision.set_membership(replace(membership, expiry_notified_until=until))
    expiry.schedule_expiry(decision)


def _tier_changed(decision: LedgerDecision, event: TierChanged) -> None:
    """Set a tier that the entries alone did not lead to, such as one that ended."""
    membership = decision.state.current_membership()
    if membership.tier == event.tier:
        return
    until = decision.rules.start_of_day(event.until) if event.until else None
    since = event.changed_at if until else None
    decision.set_membership(replace(membership, tier=event.tier, since=since, until=until))
    if until:
        decision.set_timer(TIER, until)


def _refunded(decision: LedgerDecision, event: IssueRefunded | IssueRefundReversed) -> None:
    """Record the payment before any order is read again, so that no points are granted for goods that were paid back.

    The timer compares points and payments once more: the last of them may not have been processed before the loss.
    """
    if isinstance(event, IssueRefunded):
        purchases.on_issue_refunded(decision, event)
    else:
        purchases.on_refund_reversed(decision, event)
    decision.drop_ignored()
    decision.set_timer(timer_name(MERGED_REFUND, event.order_id), decision.now)


HANDLERS: Mapping[type[Payload], Callable[[LedgerDecision, Any], None]] = {
    PointsGranted: _granted,
    PointsVested: lambda decision, event: vesting.vest(decision, event.cause),
    PointsReversed: _reversed,
    PointsWithheld: _withheld,
    PointsReserved: _reserved,
    PointsRedeemed: _redeemed,
    PointsReleased: _released,
    PointsAdjusted: _adjusted,
    PointsExpired: lambda decision, event: expiry.expire_lots(decision),
    PointsExpiring: _announced,
    TierChanged: _tier_changed,
    IssueRefunded: _refunded,
    IssueRefundReversed: _refunded,
}
"""Events of loyalty that are restored, and the refunds that it reads beside them."""
