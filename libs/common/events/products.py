"""What the shop learns about its products: a cluster of reports, a lot held back, a buyer warned. No personal data.

Intake writes these; the warehouse holds and releases lots, delivery_notify tells the buyers. `lot` None means every
lot of the product: shops that do not know lots learn per SKU.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field, StringConstraints

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.values import Identifier, LineQuantity, Reason, UtcTime

Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
"""The words of the human who decided."""


class WarningCause(StrEnum):
    """Why a buyer is written to before they noticed anything; the wording is delivery_notify's."""

    MAY_BE_DEFECTIVE = "may_be_defective"
    MAY_LACK_A_PART = "may_lack_a_part"
    MAY_BE_ANOTHER_ITEM = "may_be_another_item"


class ProductAlert(Payload):
    TOPIC = topics.PRODUCT_ALERTS

    sku: Identifier
    lot: Identifier | None = None
    cluster_id: UUID


class ClusterDetected(ProductAlert):
    """More orders report it than chance explains: `reported_orders` of `delivered_units`, `expected_orders` by the base
    rate. `reasons` with the most frequent first. An order counts once: pieces of one parcel break together."""

    TYPE: ClassVar = "cluster.detected.v1"

    reasons: Annotated[tuple[Reason, ...], Field(min_length=1)]
    reported_orders: Annotated[int, Field(ge=1)]
    delivered_units: Annotated[int, Field(ge=1)]
    expected_orders: Annotated[Decimal, Field(max_digits=12, decimal_places=2, allow_inf_nan=False)]
    detected_at: UtcTime


class LotHeld(ProductAlert):
    """Nothing more of it leaves the warehouse, until `lot.released`. `staff` is who decided, or `policy`."""

    TYPE: ClassVar = "lot.held.v1"

    staff: Identifier
    comment: Why
    held_at: UtcTime


class LotReleased(ProductAlert):
    """It may leave again."""

    TYPE: ClassVar = "lot.released.v1"

    staff: Identifier
    comment: Why
    released_at: UtcTime


class BuyerWarned(ProductAlert):
    """One buyer is to hear, once per order and cluster, that what they have may be faulty; `lines` are the pieces."""

    TYPE: ClassVar = "buyer.warned.v1"

    order_id: Identifier
    customer_id: Identifier
    lines: Annotated[tuple[LineQuantity, ...], Field(min_length=1)]
    cause: WarningCause
    warned_at: UtcTime
