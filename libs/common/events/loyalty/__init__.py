"""Events of the points ledger, per customer. No personal data and no internal notes of staff."""

from libs.common.events.loyalty.base import LoyaltyEvent, Points, TextCode, Title
from libs.common.events.loyalty.grants import (
    GrantKind,
    LegalBasis,
    PointsAdjusted,
    PointsGranted,
    PointsReversed,
    PointsVested,
    PointsWithheld,
    WithheldCode,
)
from libs.common.events.loyalty.spending import (
    PointsExpired,
    PointsExpiring,
    PointsRedeemed,
    PointsReleased,
    PointsReserved,
    TierChanged,
)

__all__ = [
    "GrantKind",
    "LegalBasis",
    "LoyaltyEvent",
    "Points",
    "PointsAdjusted",
    "PointsExpired",
    "PointsExpiring",
    "PointsGranted",
    "PointsRedeemed",
    "PointsReleased",
    "PointsReserved",
    "PointsReversed",
    "PointsVested",
    "PointsWithheld",
    "TextCode",
    "TierChanged",
    "Title",
    "WithheldCode",
]
