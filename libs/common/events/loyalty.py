"""Events of the points ledger, per customer. No personal data and no internal notes of staff."""

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
    """Legal basis of a grant: repair of the shop's own fault, a lower price, or a gift, which is capped."""

    AFTER_SERVICE = "after_service"
    DISCOUNT = "discount"
    PREMIUM = "premium"


class GrantKind(StrEnum):
    """Kind of grant."""

    APOLOGY = "apology"
    PURCHASE = "purchase"
    BIRTHDAY = "birthday"
    ADJUSTMENT = "adjustment"


class LoyaltyEvent(Payload):
    """Base of all events of a ledger entry."""

    TOPIC = topics.LOYALTY

    customer_id: Identifier
    """Customer; also the Kafka key."""
    entry_id: UUID
    """Ledger entry."""
    points: Points
    """Number of points, positive."""
    cause: str
    """Idempotency key of the entry: one cause moves points at most once."""
    text: TextCode | None = None
    """Code of the text for the customer; the event's other fields are its parameters."""


class PointsGranted(LoyaltyEvent):
    """Points were granted. They are pending, and can be spent from `points.vested` on."""

    TYPE: ClassVar = "points.granted.v1"

    issue_id: UUID | None = None
    """Issue, if granted for one."""
    order_id: Identifier | None = None
    """Order, if granted for one."""
    rule: str
    """Award rule."""
    rule_version: str | None = None
    """Version of the rule."""
    granted_at: UtcTime
    """Time of the grant."""
    kind: GrantKind | None = None
    """Kind of grant."""
    legal_basis: LegalBasis | None = None
    """Legal basis of the grant."""
    expires_on: date | None = None
    """Last day on which the points can be spent, in the shop's time zone."""
    counts_for_tier: bool | None = None
    """True if the points count towards the tier."""
    vests_at: UtcTime | None = None
    """Time at which the points can be spent."""


class PointsVested(LoyaltyEvent):
    """Granted points can be spent now."""

    TYPE: ClassVar = "points.vested.v1"

    issue_id: UUID | None = None
    """Issue, if granted for one."""
    vested_at: UtcTime
    """Time of vesting."""
    order_id: Identifier | None = None
    """Order, if granted for one."""
    paid_debt: int | None = None
    """Part of the points that settled the customer's debt."""


class PointsReversed(LoyaltyEvent):
    """A grant, or part of it, was reversed by a compensating entry."""

    TYPE: ClassVar = "points.reversed.v1"

    issue_id: UUID | None = None
    """Issue, if granted for one."""
    reverses: UUID
    """Entry of the reversed grant."""
    reversed_at: UtcTime
    """Time of the reversal."""
    order_id: Identifier | None = None
    """Order, if granted for one."""
    debt: int | None = None
    """Part of the points that was spent already; later grants settle it first."""


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
    expires_on: date
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


class PointsAdjusted(Payload):
    """Staff granted or withdrew points. The reason stays in the ledger."""

    TYPE: ClassVar = "points.adjusted.v1"
    TOPIC = topics.LOYALTY

    customer_id: Identifier
    """Customer; also the Kafka key."""
    entry_id: UUID
    """Ledger entry."""
    change: int
    """Number of points granted, negative if withdrawn."""
    cause: str
    """Idempotency key of the entry."""
    staff: Identifier
    """Staff member."""
    issue_id: UUID | None = None
    """Issue, if adjusted for one."""
    text: TextCode | None = None
    """Code of the text for the customer."""
    adjusted_at: UtcTime
    """Time of the adjustment."""


class WithheldCode(StrEnum):
    """Cause of withholding points: too many apologies, too many points, or the customer is in the holdout group."""

    TOO_MANY = "too_many"
    TOO_MUCH = "too_much"
    HOLDOUT = "holdout"


class PointsWithheld(Payload):
    """An award rule applied and its points were not granted."""

    TYPE: ClassVar = "points.withheld.v1"
    TOPIC = topics.LOYALTY

    customer_id: Identifier
    """Customer; also the Kafka key."""
    issue_id: UUID
    """Issue that the rule applied to."""
    order_id: Identifier
    """Order that the issue is about."""
    cause: str
    """Idempotency key of the entry that was not made."""
    code: WithheldCode
    """Cause of withholding."""
    points: Points
    """Number of points withheld."""
    review_by: UtcTime | None = None
    """Deadline by which staff can still grant them; absent if they cannot."""
    withheld_at: UtcTime
    """Time of the decision."""


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
    until: date | None = None
    """Last day of the tier, if it is limited."""
    rule_version: str
    """Version of the tier rules."""
    changed_at: UtcTime
    """Time of the change."""
