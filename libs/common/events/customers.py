"""Customers as persons: erasure, and consent to advertising.

Partners that received a name or an address read the requests of erasure, too.
"""

from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import StringConstraints

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


class ConsentPurpose(StrEnum):
    """Purpose of messages that need consent: `loyalty` are gifts, tiers and campaigns of the points programme."""

    LOYALTY = "loyalty"


class ConsentChannel(StrEnum):
    """Channel that a consent is about."""

    EMAIL = "email"
    LINE = "line"
    SMS = "sms"


ConsentSource = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]
"""Place where the customer stated a consent, as a code of the shop: `checkout`, `account_page.v3`."""


class CustomerConsentChanged(Payload):
    """A customer agreed to advertising messages, or withdrew that. Per purpose and channel, the newest counts."""

    TYPE: ClassVar = "customer.consent_changed.v1"
    TOPIC = topics.STOREFRONT_CONSENTS

    customer_id: Identifier
    """Customer; also the Kafka key."""
    purpose: ConsentPurpose
    """Purpose of the messages."""
    channel: ConsentChannel
    """Channel of the messages."""
    granted: bool
    """True for consent, false for its withdrawal."""
    source: ConsentSource
    """Place where the customer stated it, as a code of the shop; kept as evidence."""
    changed_at: UtcTime
    """Time at which the customer stated it, by the shop's clock."""


class CustomerConsentRecorded(Payload):
    """A consent to advertising, or its withdrawal, that the shop stated over HTTP; a restore reads it again."""

    TYPE: ClassVar = "customer.consent_recorded.v1"
    TOPIC = topics.CUSTOMERS

    customer_id: Identifier
    """Customer; also the Kafka key."""
    purpose: ConsentPurpose
    """Purpose of the messages."""
    channel: ConsentChannel
    """Channel of the messages."""
    granted: bool
    """True for consent, false for its withdrawal."""
    source: ConsentSource
    """Place where the customer stated it, as a code of the shop; kept as evidence."""
    changed_at: UtcTime
    """Time at which the customer stated it, by the shop's clock."""


class CustomerUnsubscribed(Payload):
    """A customer withdrew consent to advertising on every channel, by the link in a message."""

    TYPE: ClassVar = "customer.unsubscribed.v1"
    TOPIC = topics.CUSTOMERS

    customer_id: Identifier
    """Customer; also the Kafka key."""
    purpose: ConsentPurpose
    """Purpose of the messages that the customer wants no more."""
    unsubscribed_at: UtcTime
    """Time of the withdrawal."""
