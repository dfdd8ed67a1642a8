"""Rights of partners: the topics that each role writes and reads, over Kafka and over HTTP alike.

They follow from the direction of the topics. Only reading of internal topics is listed here.
"""

from enum import StrEnum

from libs.common.events.registry import PAYLOADS
from libs.common.events.sources import PARTNERS
from libs.common.events.topics import CUSTOMERS, PRODUCT_ALERTS, REJECTED, TOPICS, Direction, Topic


class PartnerRole(StrEnum):
    """Role of a partner. `ops` are the shop's own tools: they read, and their commands are routes of the services."""

    STOREFRONT = "storefront"
    WAREHOUSE = "warehouse"
    COURIER = "courier"
    PAYMENT = "payment"
    OPS = "ops"


ROLE_OF_PREFIX: dict[str, PartnerRole] = {
    prefix: PartnerRole(partner.partition(" ")[0]) for prefix, partner in PARTNERS.items()
}
"""Role by the first part of its topics' names."""

INTERNAL_READS: dict[PartnerRole, tuple[Topic, ...]] = {
    PartnerRole.STOREFRONT: tuple(
        topic for topic in TOPICS if topic.direction is Direction.INTERNAL and not topic.personal
    ),
    PartnerRole.WAREHOUSE: (PRODUCT_ALERTS, CUSTOMERS),
    PartnerRole.COURIER: (CUSTOMERS,),
    PartnerRole.OPS: (CUSTOMERS,),
}
"""The storefront is the shop itself; holders of addresses read erasure requests; the warehouse holds lots."""


def written_topics(role: PartnerRole) -> tuple[Topic, ...]:
    """Return the topics that a partner of this role writes."""
    return tuple(topic for topic in TOPICS if topic.direction is Direction.IN and _role_of(topic) == role)


def read_topics(role: PartnerRole) -> tuple[Topic, ...]:
    """Return the topics that a partner of this role reads; all roles that write read the answers to refused events."""
    own = [topic for topic in TOPICS if topic.direction is Direction.OUT and _role_of(topic) == role]
    answers = [REJECTED] if role in ROLE_OF_PREFIX.values() else []
    return (*own, *INTERNAL_READS.get(role, ()), *answers)


def types_on(topics: tuple[Topic, ...]) -> frozenset[str]:
    """Return the event types of these topics."""
    return frozenset(payload.TYPE for payload in PAYLOADS if payload.TOPIC in topics)


def _role_of(topic: Topic) -> PartnerRole | None:
    return ROLE_OF_PREFIX.get(topic.name.partition(".")[0])
