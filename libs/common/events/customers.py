"""Erasure of customers. Partners that received a name or an address read these requests, too."""

from typing import ClassVar
from uuid import UUID

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.values import Identifier, UtcTime


class CustomerEvent(Payload):
    """Base of all events about a customer as a person."""

    TOPIC = topics.CUSTOMERS

    customer_id: Identifier
    """Customer; also the Kafka key."""
    erasure_id: UUID
    """Erasure request; a repeated id is a duplicate."""


class CustomerErasureRequested(CustomerEvent):
    """Request to erase all personal data of a customer.

    `customer_id` stays as a pseudonym. An order placed later is a new consent.
    """

    TYPE: ClassVar = "customer.erasure_requested.v1"

    requested_at: UtcTime
    """Data given up to this time is erased."""


class CustomerErased(CustomerEvent):
    """A service erased the customer's personal data. Sent again for a repeated request."""

    TYPE: ClassVar = "customer.erased.v1"

    service: str
    """Service that completed the erasure."""
    erased_at: UtcTime
    """Time of completion."""
