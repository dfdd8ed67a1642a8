"""Where personal data is in the contract, and what stands in its place once a customer was erased.

An event of an erased customer may still come: a replayed order, a dead letter, a storefront that tells its history
again. What it says about goods and money counts; who it was is taken out before anybody sees it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from libs.common.events.carrier import CollectionRequested
from libs.common.events.envelope import Payload
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import IssueSubmitted, OrderPlaced
from libs.common.events.values import Address, Contact
from libs.common.events.warehouse import ReplacementOrdered

NOBODY = Contact(name="-", email="erased@invalid")
NOWHERE = Address(name="-", postal_code="-", country="ZZ", city="-", street="-")

_FORGOTTEN: Mapping[type[Payload], Mapping[str, Any]] = {
    OrderPlaced: {"contact": NOBODY, "ship_to": NOWHERE, "birthday": None, "last_purchased_item": None},
    IssueSubmitted: {"description": None, "photos": ()},
    ReplacementOrdered: {"ship_to": NOWHERE},
    CollectionRequested: {"collect_from": NOWHERE},
}

PERSONAL = frozenset({OrderPlaced, IssueSubmitted})
"""Those of them that a service takes."""


def is_personal(event: AnyEvent) -> bool:
    return type(event.data) in PERSONAL


def stated_at(event: AnyEvent) -> datetime:
    """When the customer gave what this event tells: their consent is of that moment."""
    return event.data.placed_at if isinstance(event.data, OrderPlaced) else event.time


def redact(event: AnyEvent) -> AnyEvent:
    """The same event, the customer taken out; the very same where it tells nothing personal."""
    changes = _FORGOTTEN.get(type(event.data))
    if changes is None:
        return event
    return event.model_copy(update={"data": event.data.model_copy(update=dict(changes))})
