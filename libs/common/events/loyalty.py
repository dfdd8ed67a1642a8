"""The life of points, per customer. `cause` is the key under which points are given at most once."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.values import Identifier, UtcTime

Points = Annotated[int, Field(ge=1)]


class LoyaltyEvent(Payload):
    TOPIC = topics.LOYALTY

    customer_id: Identifier
    entry_id: UUID
    points: Points
    cause: str


class PointsGranted(LoyaltyEvent):
    """Points were given; pending until `points.finalised`. `rule` and `rule_version` name what gave them."""

    TYPE: ClassVar = "points.granted.v1"

    issue_id: UUID | None = None
    order_id: Identifier | None = None
    rule: str
    rule_version: str | None = None
    granted_at: UtcTime


class PointsFinalised(LoyaltyEvent):
    TYPE: ClassVar = "points.finalised.v1"

    issue_id: UUID | None = None
    finalised_at: UtcTime


class PointsReversed(LoyaltyEvent):
    """A grant was taken back by a compensating entry; `reverses` names the grant."""

    TYPE: ClassVar = "points.reversed.v1"

    issue_id: UUID | None = None
    reverses: UUID
    reversed_at: UtcTime


class PointsRedeemed(LoyaltyEvent):
    TYPE: ClassVar = "points.redeemed.v1"

    order_id: Identifier | None = None
    redeemed_at: UtcTime


class PointsExpired(LoyaltyEvent):
    TYPE: ClassVar = "points.expired.v1"

    expired_at: UtcTime
