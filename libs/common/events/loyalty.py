"""The life of points, per customer. No personal data; nothing that ops note for themselves either.

`cause` is the key under which points move at most once. `text` is a code for people; its blanks are the event's other
fields. Whoever shows it says it in the customer's language.
"""

from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field, StringConstraints

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.values import Identifier, UtcTime

Points = Annotated[int, Field(ge=1)]
TextCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.]{0,63}$")]


class LegalBasis(StrEnum):
    """Why the shop may give this: repair of its own fault, a lower price, or a gift, which is capped."""

    AFTER_SERVICE = "after_service"
    DISCOUNT = "discount"
    PREMIUM = "premium"


class GrantKind(StrEnum):
    """What points are for."""

    APOLOGY = "apology"
    PURCHASE = "purchase"
    BIRTHDAY = "birthday"
    ADJUSTMENT = "adjustment"


class LoyaltyEvent(Payload):
    TOPIC = topics.LOYALTY

    customer_id: Identifier
    entry_id: UUID
    points: Points
    cause: str
    text: TextCode | None = None


class PointsGranted(LoyaltyEvent):
    """Points were given; pending until `points.vested`. `rule` and `rule_version` name what gave them.

    `expires_on` is the last day on which they can be spent, in the shop's time zone.
    """

    TYPE: ClassVar = "points.granted.v1"

    issue_id: UUID | None = None
    order_id: Identifier | None = None
    rule: str
    rule_version: str | None = None
    granted_at: UtcTime
    kind: GrantKind | None = None
    legal_basis: LegalBasis | None = None
    expires_on: date | None = None
    counts_for_tier: bool | None = None
    vests_at: UtcTime | None = None


class PointsVested(LoyaltyEvent):
    """Points may be spent. `paid_debt` of them went into what the customer still owed."""

    TYPE: ClassVar = "points.vested.v1"

    issue_id: UUID | None = None
    vested_at: UtcTime
    order_id: Identifier | None = None
    paid_debt: int | None = None


class PointsReversed(LoyaltyEvent):
    """A grant, or a part of it, was taken back by a compensating entry; `reverses` names the grant.

    `debt` of the points had been spent already: later grants pay for them first.
    """

    TYPE: ClassVar = "points.reversed.v1"

    issue_id: UUID | None = None
    reverses: UUID
    reversed_at: UtcTime
    order_id: Identifier | None = None
    debt: int | None = None


class PointsReserved(LoyaltyEvent):
    """Points are set aside for a purchase until `expires_at`; then they come back by themselves."""

    TYPE: ClassVar = "points.reserved.v1"

    redemption_id: UUID
    order_id: Identifier | None = None
    expires_at: UtcTime
    reserved_at: UtcTime


class PointsReleased(LoyaltyEvent):
    """Reserved points came back: the purchase was given up, or the reservation ran out (`text` says which)."""

    TYPE: ClassVar = "points.released.v1"

    redemption_id: UUID
    order_id: Identifier | None = None
    released_at: UtcTime


class PointsRedeemed(LoyaltyEvent):
    TYPE: ClassVar = "points.redeemed.v1"

    order_id: Identifier | None = None
    redeemed_at: UtcTime
    redemption_id: UUID | None = None


class PointsExpiring(Payload):
    """So many points can be spent until the end of `expires_on`, then no more. Told once per day of expiry.

    `balance` is what the customer can spend in all, these points among it.
    """

    TYPE: ClassVar = "points.expiring.v1"
    TOPIC = topics.LOYALTY

    customer_id: Identifier
    points: Points
    expires_on: date
    text: TextCode | None = None
    told_at: UtcTime
    balance: Points | None = None


class PointsExpired(LoyaltyEvent):
    TYPE: ClassVar = "points.expired.v1"

    expired_at: UtcTime


class PointsAdjusted(Payload):
    """Ops gave (`change` above zero) or took points, by hand. Why stays in the ledger."""

    TYPE: ClassVar = "points.adjusted.v1"
    TOPIC = topics.LOYALTY

    customer_id: Identifier
    entry_id: UUID
    change: int
    cause: str
    staff: Identifier
    issue_id: UUID | None = None
    text: TextCode | None = None
    adjusted_at: UtcTime


class WithheldCode(StrEnum):
    """Why an issue earned words only: too many apologies already, or the share of customers that is held out."""

    TOO_MANY = "too_many"
    TOO_MUCH = "too_much"
    HOLDOUT = "holdout"


class PointsWithheld(Payload):
    """A rule would have given `points`, and they were not given; with `review_by` a human may still decide to."""

    TYPE: ClassVar = "points.withheld.v1"
    TOPIC = topics.LOYALTY

    customer_id: Identifier
    issue_id: UUID
    order_id: Identifier
    cause: str
    code: WithheldCode
    points: Points
    review_by: UtcTime | None = None
    withheld_at: UtcTime


class TierChanged(Payload):
    """The customer's tier, with the perks that go with it, by code. `counted` points led to it."""

    TYPE: ClassVar = "tier.changed.v1"
    TOPIC = topics.LOYALTY

    customer_id: Identifier
    before: str
    tier: str
    perks: tuple[str, ...] = ()
    counted: Annotated[int, Field(ge=0)]
    until: date | None = None
    rule_version: str
    changed_at: UtcTime
