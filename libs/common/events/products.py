"""Alerts about products: clusters of reports, held lots, warned buyers. No personal data.

Intake writes them; the warehouse holds and releases lots, delivery_notify notifies the buyers.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field, StringConstraints

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.values import Identifier, LineQuantity, Reason, UtcTime

DecisionComment = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
"""Reason in the words of the staff member who decided."""


class WarningCause(StrEnum):
    """Kind of product warning; delivery_notify has the texts."""

    MAY_BE_DEFECTIVE = "may_be_defective"
    MAY_LACK_A_PART = "may_lack_a_part"
    MAY_BE_ANOTHER_ITEM = "may_be_another_item"


class ProductAlert(Payload):
    """Base of all events about a possibly faulty product."""

    TOPIC = topics.PRODUCT_ALERTS

    sku: Identifier
    """Product; also the Kafka key."""
    lot: Identifier | None = None
    """Production lot; absent: every lot."""
    cluster_id: UUID
    """Cluster of reports."""


class ClusterDetected(ProductAlert):
    """More orders report a product than chance explains. An order counts once: units of one parcel break together."""

    TYPE: ClassVar = "cluster.detected.v1"

    reasons: Annotated[tuple[Reason, ...], Field(min_length=1)]
    """Reported reasons, the most frequent first."""
    reported_orders: Annotated[int, Field(ge=1)]
    """Number of orders with a report."""
    delivered_units: Annotated[int, Field(ge=1)]
    """Number of delivered units in the period."""
    expected_orders: Annotated[Decimal, Field(max_digits=12, decimal_places=2, allow_inf_nan=False)]
    """Number of orders expected by the base rate."""
    detected_at: UtcTime
    """Time of detection."""


class LotHeld(ProductAlert):
    """Shipment of the lot is stopped until `lot.released`."""

    TYPE: ClassVar = "lot.held.v1"

    staff: Identifier
    """Staff member who decided, or `policy`."""
    comment: DecisionComment
    """Reason of the decision."""
    held_at: UtcTime
    """Time of the decision."""


class LotReleased(ProductAlert):
    """Shipment of the lot may resume."""

    TYPE: ClassVar = "lot.released.v1"

    staff: Identifier
    """Staff member who decided."""
    comment: DecisionComment
    """Reason of the decision."""
    released_at: UtcTime
    """Time of the decision."""


class BuyerWarned(ProductAlert):
    """One buyer is to be warned that delivered units may be faulty. Sent once per order and cluster."""

    TYPE: ClassVar = "buyer.warned.v1"

    order_id: Identifier
    """Order."""
    customer_id: Identifier
    """Buyer."""
    lines: Annotated[tuple[LineQuantity, ...], Field(min_length=1)]
    """Affected units."""
    cause: WarningCause
    """Kind of warning."""
    warned_at: UtcTime
    """Time of the warning."""
