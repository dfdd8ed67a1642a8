"""Kafka topics of the contract.

Every topic about orders and issues is keyed by the customer: all facts about a customer stay in order, one process of
a service reads them all, and services and databases can be split by customer. A partner answers with the key of the
record that it answers. A wrong or missing key is slower, never wrong: a state is found by the ids in the event and
locked, and a decision has an outcome for events in any order.

Retention is part of the contract: a week on topics with personal data, because Kafka records cannot be edited for an
erasure. A consumer that is down for longer loses records; the alert on a stalled consumer fires days earlier.

All topics have the same number of partitions, a setting at their creation (`sakidashi topics`). It is never changed
afterwards: that would move keys between partitions and break the order of unread records.
"""

from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    """Direction: partners write `IN` and read `OUT`; `INTERNAL` is between services, and readable."""

    IN = "in"
    OUT = "out"
    INTERNAL = "internal"


PERSONAL_RETENTION_DAYS = 7


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic. `subject` is the payload field with the id that its events are about, `key` that of the Kafka key;
    `personal`: it may hold personal data (invariant 12)."""

    name: str
    subject: str
    direction: Direction
    retention_days: int = 14
    personal: bool = False
    key: str = "customer_id"


def _personal(name: str, subject: str, direction: Direction) -> Topic:
    return Topic(name, subject, direction, retention_days=PERSONAL_RETENTION_DAYS, personal=True)


STOREFRONT_ORDERS = _personal("storefront.orders", "order_id", Direction.IN)
STOREFRONT_ISSUES = _personal("storefront.issues", "order_id", Direction.IN)
STOREFRONT_CUSTOMERS = Topic("storefront.customers", "merged_customer_id", Direction.IN)
STOREFRONT_CONSENTS = Topic("storefront.consents", "customer_id", Direction.IN, retention_days=30)
WAREHOUSE_ORDERS = _personal("warehouse.orders", "issue_id", Direction.OUT)
WAREHOUSE_EVENTS = Topic("warehouse.events", "issue_id", Direction.IN)
CARRIER_ORDERS = _personal("carrier.orders", "issue_id", Direction.OUT)
CARRIER_EVENTS = Topic("carrier.events", "issue_id", Direction.IN)
PAYMENT_ORDERS = Topic("payment.orders", "issue_id", Direction.OUT)
PAYMENT_EVENTS = Topic("payment.events", "issue_id", Direction.IN)
ISSUES = Topic("issues", "issue_id", Direction.INTERNAL, retention_days=30)
NOTICES = Topic("notices", "order_id", Direction.INTERNAL, retention_days=30)
LOYALTY = Topic("loyalty", "customer_id", Direction.INTERNAL, retention_days=30)
PRODUCT_ALERTS = Topic("product.alerts", "sku", Direction.INTERNAL, retention_days=30, key="sku")
ANOMALIES = Topic("anomalies", "cause", Direction.INTERNAL, retention_days=30, key="cause")
MESSAGES = _personal("messages", "issue_id", Direction.INTERNAL)
CUSTOMERS = Topic("customers", "customer_id", Direction.INTERNAL, retention_days=30)
REJECTED = Topic("events.rejected", "topic", Direction.OUT, key="topic")

TOPICS: tuple[Topic, ...] = (
    STOREFRONT_ORDERS,
    STOREFRONT_ISSUES,
    STOREFRONT_CUSTOMERS,
    STOREFRONT_CONSENTS,
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
    ANOMALIES,
    MESSAGES,
    CUSTOMERS,
    REJECTED,
)

SERVICES: tuple[str, ...] = ("intake", "returns", "delivery_notify", "loyalty")
"""The services that own orders, issues, promises and points; every deployment has all of them."""

GATEWAY = "partners"
"""The service of partners without Kafka. No other service depends on it, and a deployment can leave it out."""

ALL_SERVICES: tuple[str, ...] = (*SERVICES, GATEWAY)


def dead_letter_topic(service: str) -> str:
    """Return the topic with the full records that `service` could not process."""
    return f"{service}.dead-letters"


def consumer_group(service: str, prefix: str = "") -> str:
    """Return the consumer group in which a service reads all its topics."""
    return f"{prefix}{service}"
