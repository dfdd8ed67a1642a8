"""The topics: one per conversation, so that facts about one thing stay in order.

The partition count is fixed from the start: changing it later would move keys between partitions and break the
order of facts that are still under way.
"""

from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    """Seen from Sakidashi: partners write `IN`, partners read `OUT`, `INTERNAL` is between services (and readable)."""

    IN = "in"
    OUT = "out"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's name, the payload field that is its Kafka key, its direction and how long it is kept."""

    name: str
    key: str
    direction: Direction
    retention_days: int = 14
    partitions: int = 6


STOREFRONT_ORDERS = Topic("storefront.orders", "order_id", Direction.IN)
STOREFRONT_ISSUES = Topic("storefront.issues", "order_id", Direction.IN)
WAREHOUSE_ORDERS = Topic("warehouse.orders", "issue_id", Direction.OUT)
WAREHOUSE_EVENTS = Topic("warehouse.events", "issue_id", Direction.IN)
CARRIER_ORDERS = Topic("carrier.orders", "issue_id", Direction.OUT)
CARRIER_EVENTS = Topic("carrier.events", "issue_id", Direction.IN)
PAYMENT_ORDERS = Topic("payment.orders", "issue_id", Direction.OUT)
PAYMENT_EVENTS = Topic("payment.events", "issue_id", Direction.IN)
ISSUES = Topic("issues", "issue_id", Direction.INTERNAL, retention_days=30)
NOTICES = Topic("notices", "order_id", Direction.INTERNAL, retention_days=30)
LOYALTY = Topic("loyalty", "customer_id", Direction.INTERNAL, retention_days=30)
PRODUCT_ALERTS = Topic("product.alerts", "sku", Direction.INTERNAL, retention_days=30)

TOPICS: tuple[Topic, ...] = (
    STOREFRONT_ORDERS,
    STOREFRONT_ISSUES,
    WAREHOUSE_ORDERS,
    WAREHOUSE_EVENTS,
    CARRIER_ORDERS,
    CARRIER_EVENTS,
    PAYMENT_ORDERS,
    PAYMENT_EVENTS,
    ISSUES,
    NOTICES,
    LOYALTY,
    PRODUCT_ALERTS,
)

SERVICES: tuple[str, ...] = ("intake", "returns", "delivery_notify", "loyalty")


def parked_topic(service: str) -> str:
    """The topic on which `service` publishes, whole, what it could not take."""
    return f"{service}.parked"
