"""Tiers: reached as soon as enough points count, kept for a period, lost early only where the points were not due.

Time alone takes a tier away at its end and not before; a refund takes it away at once, or buying and getting the money
back would be a way to it.
"""

from datetime import datetime, timedelta

from libs.common.decisions.fast_replace import replace
from libs.common.events.loyalty import TierChanged
from services.loyalty.domain.decision_context import LedgerDecision
from services.loyalty.policy.award_rules import Tier

TIMER = "tier"


def review(turn: LedgerDecision, *, shrunk: bool = False) -> None:
    """After points were added (or taken back, `shrunk`): a better tier at once, a worse one only where they shrank."""
    member = turn.account.member()
    current, reached = turn.rules.tier(member.tier), turn.rules.tier_at(_counted(turn, turn.now))
    if current is None or reached is None:
        return
    if reached.at > current.at:
        _change(turn, current, reached)
    elif shrunk and (counted := _counted(turn, member.since or turn.now)) < current.at:
        below = turn.rules.tier_at(counted)
        if below:
            _change(turn, current, below)


def ended(turn: LedgerDecision) -> None:
    """A tier's time is over: it is what the points of the last period say now."""
    member = turn.account.member()
    if member.until is None or member.until > turn.now:
        turn.ignore("tier_goes_on")
        return
    current, reached = turn.rules.tier(member.tier), turn.rules.tier_at(_counted(turn, turn.now))
    if current is None or reached is None:
        turn.ignore("no_tiers")
    else:
        _change(turn, current, reached)


def _counted(turn: LedgerDecision, since: datetime) -> int:
    """Final points that count for a tier, of the period that ended `since` and of all that came after."""
    begin = since - timedelta(days=turn.rules.tier_days)
    lots = [lot for lot in turn.account.lots.values() if lot.counts_for_tier and lot.granted_at > begin]
    return sum(lot.purse.kept - lot.purse.pending for lot in lots)


def _change(turn: LedgerDecision, before: Tier, after: Tier) -> None:
    until = turn.now + timedelta(days=turn.rules.tier_days) if after.at else None
    turn.become(replace(turn.account.member(), tier=after.name, since=turn.now if after.at else None, until=until))
    if until:
        turn.wake(TIMER, until)
    else:
        turn.forget(TIMER)
    if before.name == after.name:
        return
    changed = TierChanged(
        customer_id=turn.account.customer_id,
        before=before.name,
        tier=after.name,
        perks=after.perks,
        counted=max(0, _counted(turn, turn.now)),
        until=turn.terms.day(until) if until else None,
        rule_version=turn.rules.version,
        changed_at=turn.now,
    )
    turn.say(changed)
