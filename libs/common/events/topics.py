"""The topics: one per conversation, so that facts about one thing stay in order.

How long a topic keeps its records is part of the contract: those with personal data for a week, since what Kafka has
cannot be edited when a customer wants to be forgotten. A consumer that is away for longer loses orders; the alert on a
consumer that makes no progress is older than that by days.

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


PERSONAL_RETENTION_DAYS = 7


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's name, the payload field that is its Kafka key, its direction, how long it is kept, and whether it may
    hold personal data (design invariant 12)."""

    name: str
    key: str
    direction: Direction
    retention_days: int = 14
    partitions: int = 6
    personal: bool = False


def _personal(name: str, key: str, direction: Direction) -> Topic:
    return Topic(name, key, direction, retention_days=PERSONAL_RETENTION_DAYS, personal=True)


STOREFRONT_ORDERS = _personal("storefront.orders", "order_id", Direction.IN)
STOREFRONT_ISSUES = _personal("storefront.issues", "order_id", Direction.IN)
WAREHOUSE_ORDERS = _personal("warehouse.orders", "issue_id", Direction.OUT)
WAREHOUSE_EVENTS = Topic("warehouse.events", "issue_id", Direction.IN)
CARRIER_ORDERS = _personal("carrier.orders", "issue_id", Direction.OUT)
CARRIER_EVENTS = Topic("carrier.events", "issue_id", Direction.IN)
PAYMENT_ORDERS = Topic("payment.orders", "issue_id", Direction.OUT)
PAYMENT_EVENTS = Topic("payment.events", "issue_id", Direction.IN)
ISSUES = Topic("issues", "issue_id", Direction.INTERNAL, retention_days=30)
NOTICES = Topic("notices", "order_id", Direction.INTERNAL, retention_days=30)
LOYALTY = Topic("loyalty", "customer_id", Direction.INTERNAL, retention_days=30)
PRODUCT_ALERTS = Topic("product.alerts", "sku", Direction.INTERNAL, retention_days=30)
CUSTOMERS = Topic("customers", "customer_id", Direction.INTERNAL, retention_days=30, partitions=1)

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
    CUSTOMERS,
)

SERVICES: tuple[str, ...] = ("intake", "returns", "delivery_notify", "loyalty")


def dead_letter_topic(service: str) -> str:
    """The topic on which `service` publishes, whole, what it could not take."""
    return f"{service}.dead-letters"
