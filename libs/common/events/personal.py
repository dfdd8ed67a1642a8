"""Personal data in the contract, and its redaction.

Events of an erased customer can still arrive: a replayed order, a dead letter, a repeated history of the storefront.
Their data about goods and money is processed; personal data is redacted first.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from libs.common.events.carrier import CollectionRequested
from libs.common.events.envelope import Payload
from libs.common.events.messages import MessageReplied
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import IssueSubmitted, OrderChanged, OrderPlaced
from libs.common.events.values import Address, Contact
from libs.common.events.warehouse import ItemReturnOrdered, ReplacementOrdered, ReplacementReaddressed

REDACTED_CONTACT = Contact(name="-", email="erased@invalid")
REDACTED_ADDRESS = Address(name="-", postal_code="-", country="ZZ", city="-", street="-")

_REDACTED: Mapping[type[Payload], Mapping[str, Any]] = {
    OrderPlaced: {
        "contact": REDACTED_CONTACT,
        "ship_to": REDACTED_ADDRESS,
        "recipient": None,
        "birthday": None,
        "last_purchased_item": None,
    },
    OrderChanged: {"contact": None, "ship_to": None, "recipient": None},
    IssueSubmitted: {"description": None, "photos": ()},
    MessageReplied: {"body": "-"},
    ReplacementOrdered: {"ship_to": REDACTED_ADDRESS},
    ReplacementReaddressed: {"ship_to": REDACTED_ADDRESS},
    ItemReturnOrdered: {"ship_to": REDACTED_ADDRESS},
    CollectionRequested: {"collect_from": REDACTED_ADDRESS},
}

PERSONAL = frozenset({OrderPlaced, OrderChanged, IssueSubmitted, MessageReplied})
"""Payload types with personal data that a service consumes."""


def is_personal(event: AnyEvent) -> bool:
    return type(event.data) in PERSONAL


def stated_at(event: AnyEvent) -> datetime:
    """Return the time at which the customer stated this data, which is the time of consent."""
    match event.data:
        case OrderPlaced(placed_at=moment) | OrderChanged(changed_at=moment):
            return moment
    return event.time


def redact(event: AnyEvent) -> AnyEvent:
    """Return the event without personal data; the same object if it has none."""
    changes = _REDACTED.get(type(event.data))
    if changes is None:
        return event
    return event.model_copy(update={"data": event.data.model_copy(update=dict(changes))})
