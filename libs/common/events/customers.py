"""What concerns a customer as a person: that they want to be forgotten, and who has done so.

The warehouse, the courier and whoever else was told a name or an address read the request here too.
"""

from typing import ClassVar
from uuid import UUID

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.values import Identifier, UtcTime


class CustomerEvent(Payload):
    TOPIC = topics.CUSTOMERS

    customer_id: Identifier
    erasure_id: UUID


class CustomerErasureRequested(CustomerEvent):
    """Whatever was known of this customer up to `requested_at` is to be forgotten, wherever it is.

    `customer_id` itself stays as a pseudonym under which ledgers and histories add up: the storefront forgets who it
    was. An order that is placed later is a new consent, and is kept.
    """

    TYPE: ClassVar = "customer.erasure_requested.v1"

    requested_at: UtcTime


class CustomerErased(CustomerEvent):
    """This service has forgotten them. Told again for a request that comes again."""

    TYPE: ClassVar = "customer.erased.v1"

    service: str
    erased_at: UtcTime
