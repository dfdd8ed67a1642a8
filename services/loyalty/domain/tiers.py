"""Membership tiers: raised at once, kept for a period, lowered early only after a reversal.

A tier ends by time only at the end of its period. A reversal lowers it at once; otherwise buying and asking for a
refund would earn a tier for free.
"""

from datetime import datetime, timedelta

from libs.common.decisions.fast_replace import replace
from libs.common.events.loyalty import TierChanged
from services.loyalty.domain.context import LedgerDecision
from services.loyalty.domain.timers import TIER
from services.loyalty.policy.award_rules import Tier


def reevaluate(decision: LedgerDecision, *, points_reversed: bool = False) -> None:
    """Raise the tier if enough points qualify; lower it only if points were reversed."""
    membership = decision.state.current_membership()
    current = decision.award_rules.tier(membership.tier)
    reached = decision.award_rules.tier_at(_qualifying_points(decision, decision.now))
    if current is None or reached is None:
        return
    if reached.min_points > current.min_points:
        _set_tier(decision, current, reached)
    elif points_reversed:
        qualifying = _qualifying_points(decision, membership.since or decision.now)
        lower = decision.award_rules.tier_at(qualifying) if qualifying < current.min_points else None
        if lower:
            _set_tier(decision, current, lower)


def on_tier_expired(decision: LedgerDecision) -> None:
    """Renew or lower the tier by the points of the last period."""
    membership = decision.state.current_membership()
    if membership.until is None or membership.until > decision.now:
        decision.ignore("tier_still_valid")
        return
    current = decision.award_rules.tier(membership.tier)
    reached = decision.award_rules.tier_at(_qualifying_points(decision, decision.now))
    if current is None or reached is None:
        decision.ignore("no_tiers")
    else:
        _set_tier(decision, current, reached)


def _qualifying_points(decision: LedgerDecision, since: datetime) -> int:
    """Vested points that count for a tier, granted in the period that ended at `since` or later."""
    begin = since - timedelta(days=decision.award_rules.tier_days)
    lots = [lot for lot in decision.state.lots.values() if lot.counts_for_tier and lot.granted_at > begin]
    return sum(lot.balances.net_granted - lot.balances.pending for lot in lots)


def _set_tier(decision: LedgerDecision, before: Tier, after: Tier) -> None:
    has_period = after.min_points > 0
    until = decision.now + timedelta(days=decision.award_rules.tier_days) if has_period else None
    since = decision.now if has_period else None
    decision.set_membership(replace(decision.state.current_membership(), tier=after.name, since=since, until=until))
    if until:
        decision.set_timer(TIER, until)
    else:
        decision.cancel_timer(TIER)
    if before.name == after.name:
        return
    changed = TierChanged(
        customer_id=decision.state.customer_id,
        before=before.name,
        tier=after.name,
        perks=after.perks,
        counted=max(0, _qualifying_points(decision, decision.now)),
        until=decision.rules.local_date(until) if until else None,
        rule_version=decision.award_rules.version,
        changed_at=decision.now,
        raised=after.min_points > before.min_points,
        titles=decision.award_rules.titles_of(after.name, *after.perks),
    )
    decision.emit(changed)
