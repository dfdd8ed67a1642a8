"""The points ledger of one customer, and what becomes of it: the table of contents of loyalty.

- `issue.resolved`     -> a pending grant by rule (`apologies`), unless the governor or the holdout says: words only;
- `issue.reopened`     -> the grant of that resolution is taken back, as is all of an issue that is `issue.cancelled`;
- `issue.refunded`, and orders delivered or called off -> points for the purchase are put right (`purchases`);
- timers               -> points become final or expire after a notice; reservations, reviews and tiers end;
- commands             -> reserve, commit, release and return (`redemptions`), adjustments and reviews by ops (`staff`).

The ledger is the state: an `Account` is the customer's balances and those lots that still matter, never the history.
The outcome does not depend on the order in which events come: what is taken back before it was granted is remembered
as withheld, and then never granted.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from libs.common.decisions.facts import Facts, TimerFired
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueCancelled, IssueRefunded, IssueReopened, IssueResolved
from libs.common.events.registry import AnyEvent
from services.loyalty.domain import adjustments, apologies, birthdays, expiry, purchases, redemptions, tiers, vesting
from services.loyalty.domain.commands import (
    AdjustAsked,
    CommitAsked,
    ReleaseAsked,
    ReserveAsked,
    ReturnAsked,
    ReviewAnswered,
)
from services.loyalty.domain.decision_context import LedgerDecision, Terms
from services.loyalty.ledger.accounts import Account

Outcome: TypeAlias = tuple[Account, Facts]

HANDLERS: dict[type[Payload], Callable[[LedgerDecision, Any], None]] = {
    IssueResolved: apologies.resolved,
    IssueReopened: apologies.reopened,
    IssueCancelled: apologies.cancelled,
    IssueRefunded: purchases.refunded,
    ReserveAsked: redemptions.reserve,
    CommitAsked: redemptions.commit,
    ReleaseAsked: redemptions.release,
    ReturnAsked: redemptions.give_back,
    AdjustAsked: adjustments.adjust,
    ReviewAnswered: adjustments.review_answered,
}

TIMERS: dict[str, Callable[[LedgerDecision, str], None]] = {
    "vest": vesting.vest,
    "purchase": purchases.changed,
    "release": lambda turn, rest: redemptions.ran_out(turn, UUID(rest)),
    "review": apologies.review_lapsed,
    "expiry": lambda turn, _: expiry.due(turn),
    "tier": lambda turn, _: tiers.ended(turn),
    "birthday": birthdays.due,
}
"""By the word in front of the first colon of their name."""


def decide(terms: Terms, account: Account, event: AnyEvent, now: datetime) -> Outcome:
    """What becomes of an account: total over all events, in any order and however often they come."""
    turn = LedgerDecision(terms, account, now)
    data = event.data
    if isinstance(data, TimerFired):
        word, _, rest = data.name.partition(":")
        if word in TIMERS:
            TIMERS[word](turn, rest)
        else:
            turn.wonder("unknown_timer", data.name)
    elif handler := HANDLERS.get(type(data)):
        handler(turn, data)
    else:
        turn.ignore("not_for_loyalty")
    return turn.account, tuple(turn.facts)
