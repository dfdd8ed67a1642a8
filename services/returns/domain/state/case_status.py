"""Status of a case, derived from its legs and never stored as state."""

from enum import StrEnum

from services.returns.domain.state.case import Case
from services.returns.domain.state.inbound_leg import InboundStatus
from services.returns.domain.state.outbound_leg import OutboundStatus


class CaseStatus(StrEnum):
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


CLOSED_STATUSES = (CaseStatus.CANCELLED, CaseStatus.RESOLVED)

_BY_OUTBOUND = {
    OutboundStatus.ORDERED: CaseStatus.REPLACEMENT_ORDERED,
    OutboundStatus.CONFIRMED: CaseStatus.REPLACEMENT_CONFIRMED,
    OutboundStatus.SHIPPED: CaseStatus.REPLACEMENT_SHIPPED,
}
_BY_INBOUND = {
    InboundStatus.REQUESTED: CaseStatus.COLLECTING,
    InboundStatus.BOOKED: CaseStatus.COLLECTING,
    InboundStatus.COLLECTED: CaseStatus.COLLECTED,
    InboundStatus.RECEIVED: CaseStatus.RECEIVED,
}


def case_status(case: Case) -> CaseStatus:
    """Return the most pressing reason why the case is open, or how it was closed."""
    if case.cancelled_at:
        return CaseStatus.CANCELLED
    if case.resolved_at:
        return CaseStatus.RESOLVED
    if case.reviews:
        return CaseStatus.IN_REVIEW
    if case.choice_request:
        return CaseStatus.WAITING_FOR_CUSTOMER
    if case.address_due_at:
        return CaseStatus.WAITING_FOR_ADDRESS
    if found := _BY_OUTBOUND.get(case.outbound.status):
        return found
    if case.money.due_at:
        return CaseStatus.REFUNDING
    return _BY_INBOUND.get(case.inbound.status, CaseStatus.OPEN)
