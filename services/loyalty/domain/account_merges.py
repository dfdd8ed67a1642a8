"""Accounts of one customer that the shop merged: one debt, one tier and one expiry date follow from both.

The ledger itself is moved by the database (`account_merges`), so that its sums cannot change.
"""

from datetime import datetime

from libs.common.decisions.facts import Record
from services.loyalty.domain import expiry, tiers
from services.loyalty.domain.context import LedgerDecision
from services.loyalty.domain.ledger_rules import LedgerRules
from services.loyalty.domain.timers import TIER
from services.loyalty.domain.vesting import settle_debt
from services.loyalty.ledger.accounts import PointsAccount
from services.loyalty.ledger.entries import Membership
from services.loyalty.policy.award_rules import AwardRules


def settle_merged(account: PointsAccount, now: datetime, rules: LedgerRules, cause: str) -> list[Record]:
    """Return the entries by which the points of one account pay the debt of the other."""
    ctx = LedgerDecision(account, now, rules)
    settle_debt(ctx, cause)
    return [fact for fact in ctx.facts if isinstance(fact, Record)]


def on_accounts_merged(ctx: LedgerDecision) -> None:
    """Raise the tier to what both accounts reached together, and set the timers that follow from the merged account."""
    tiers.reevaluate(ctx)
    if until := ctx.state.current_membership().until:
        ctx.set_timer(TIER, until)
    expiry.schedule_expiry(ctx)


def merged_membership(rules: AwardRules, remaining: Membership, former: Membership | None) -> Membership:
    """Return the higher of two tiers for the account that remains.

    Expiry is announced again from the earlier of both dates: hearing it twice is better than not at all.
    """
    if former is None:
        return remaining
    best = max(remaining, former, key=lambda each: (_height(rules, each), each.until is not None and each.until))
    dates = [each.expiry_notified_until for each in (remaining, former)]
    notified = None if None in dates else min(date for date in dates if date)
    return Membership(remaining.customer_id, best.tier, best.since, best.until, notified)


def _height(rules: AwardRules, membership: Membership) -> int:
    tier = rules.tier(membership.tier)
    return tier.min_points if tier else 0
