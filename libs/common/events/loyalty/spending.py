"""Spending and expiry of points, and tiers."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.loyalty.base import LoyaltyEvent, Points, TextCode, Title
from libs.common.events.values import Day, Identifier, UtcTime


class PointsReserved(LoyaltyEvent):
    """Points were reserved for a purchase; the reservation ends by itself at `expires_at`."""

    TYPE: ClassVar = "points.reserved.v1"

    redemption_id: UUID
    """Reservation."""
    order_id: Identifier | None = None
    """Order of the purchase, if known."""
    expires_at: UtcTime
    """End of the reservation."""
    reserved_at: UtcTime
    """Time of the reservation."""


class PointsReleased(LoyaltyEvent):
    """Reserved points were released: the purchase was abandoned or the reservation expired (`text` is the code)."""

    TYPE: ClassVar = "points.released.v1"

    redemption_id: UUID
    """Reservation."""
    order_id: Identifier | None = None
    """Order of the purchase, if known."""
    released_at: UtcTime
    """Time of the release."""


class PointsRedeemed(LoyaltyEvent):
    """Points were spent on a purchase."""

    TYPE: ClassVar = "points.redeemed.v1"

    order_id: Identifier | None = None
    """Order of the purchase, if known."""
    redeemed_at: UtcTime
    """Time of redemption."""
    redemption_id: UUID | None = None
    """Reservation, if there was one."""


class PointsExpiring(Payload):
    """Points will expire soon. Sent once per day of expiry."""

    TYPE: ClassVar = "points.expiring.v1"
    TOPIC = topics.LOYALTY

    customer_id: Identifier
    """Customer; also the Kafka key."""
    points: Points
    """Number of points that expire."""
    expires_on: Day
    """Last day on which they can be spent, in the shop's time zone."""
    text: TextCode | None = None
    """Code of the text for the customer."""
    announced_at: UtcTime
    """Time of this announcement."""
    balance: Points | None = None
    """All points that the customer can spend, including these."""


class PointsExpired(LoyaltyEvent):
    """Points expired."""

    TYPE: ClassVar = "points.expired.v1"

    expired_at: UtcTime
    """Time of expiry."""


class TierChanged(Payload):
    """The customer's tier changed."""

    TYPE: ClassVar = "tier.changed.v1"
    TOPIC = topics.LOYALTY

    customer_id: Identifier
    """Customer; also the Kafka key."""
    before: str
    """Code of the previous tier."""
    tier: str
    """Code of the new tier."""
    perks: tuple[str, ...] = ()
    """Codes of the tier's perks."""
    counted: Annotated[int, Field(ge=0)]
    """Number of points that count towards the tier."""
    until: Day | None = None
    """Last day of the tier, if it is limited."""
    rule_version: str
    """Version of the tier rules."""
    changed_at: UtcTime
    """Time of the change."""
    raised: bool | None = None
    """True if the new tier is above the previous one."""
    titles: tuple[Title, ...] = ()
    """Titles of the tier and its perks for customers."""
