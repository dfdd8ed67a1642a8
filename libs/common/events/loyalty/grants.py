"""Grants of points, and their reversal, adjustment or withholding."""

from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.loyalty.base import LoyaltyEvent, Points, TextCode, Title
from libs.common.events.values import Day, Identifier, UtcTime
from libs.common.events.values.open_enums import Open


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
    kind: Annotated[GrantKind, Open()] | None = None
    """Kind of grant."""
    legal_basis: Annotated[LegalBasis, Open()] | None = None
    """Legal basis of the grant."""
    expires_on: Day | None = None
    """Last day on which the points can be spent, in the shop's time zone."""
    counts_for_tier: bool | None = None
    """True if the points count towards the tier."""
    vests_at: UtcTime | None = None
    """Time at which the points can be spent."""
    campaigns: tuple[str, ...] = ()
    """Codes of the campaigns that raised the points."""
    titles: tuple[Title, ...] = ()
    """Titles of the campaigns for customers."""


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
    code: Annotated[WithheldCode, Open()]
    """Cause of withholding."""
    points: Points
    """Number of points withheld."""
    review_by: UtcTime | None = None
    """Deadline by which staff can still grant them; absent if they cannot."""
    withheld_at: UtcTime
    """Time of the decision."""
