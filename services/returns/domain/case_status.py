"""The one word that people ask for, derived from the legs whenever it is needed."""

from enum import StrEnum

from services.returns.domain.case import Case
from services.returns.domain.legs.inbound import InboundStatus
from services.returns.domain.legs.outbound import OutboundStatus


class Headline(StrEnum):
    CANCELLED = "cancelled"
    RESOLVED = "resolved"
    IN_REVIEW = "in_review"
    WAITING_FOR_CUSTOMER = "waiting_for_customer"
    WAITING_FOR_ADDRESS = "waiting_for_address"
    REPLACEMENT_ORDERED = "replacement_ordered"
    REPLACEMENT_CONFIRMED = "replacement_confirmed"
    REPLACEMENT_SHIPPED = "replacement_shipped"
    COLLECTING = "collecting"
    COLLECTED = "collected"
    RECEIVED = "received"
    REFUNDING = "refunding"
    OPEN = "open"


ENDED = (Headline.CANCELLED, Headline.RESOLVED)

_OUTBOUND = {
    OutboundStatus.ORDERED: Headline.REPLACEMENT_ORDERED,
    OutboundStatus.CONFIRMED: Headline.REPLACEMENT_CONFIRMED,
    OutboundStatus.SHIPPED: Headline.REPLACEMENT_SHIPPED,
}
_INBOUND = {
    InboundStatus.REQUESTED: Headline.COLLECTING,
    InboundStatus.BOOKED: Headline.COLLECTING,
    InboundStatus.COLLECTED: Headline.COLLECTED,
    InboundStatus.RECEIVED: Headline.RECEIVED,
}


def headline(case: Case) -> Headline:
    """What keeps this case open, the most pressing thing first."""
    if case.cancelled_at:
        return Headline.CANCELLED
    if case.resolved_at:
        return Headline.RESOLVED
    if case.reviews:
        return Headline.IN_REVIEW
    if case.question:
        return Headline.WAITING_FOR_CUSTOMER
    if case.address_due_at:
        return Headline.WAITING_FOR_ADDRESS
    if found := _OUTBOUND.get(case.outbound.status):
        return found
    if case.money.due_at:
        return Headline.REFUNDING
    return _INBOUND.get(case.inbound.status, Headline.OPEN)
