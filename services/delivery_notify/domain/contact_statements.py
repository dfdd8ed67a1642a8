"""Statements of an order's contact and delivery address, from `order.placed` and `order.changed`."""

from libs.common.decisions.order_versions import personal_version_of
from libs.common.events.notices import ChangeSubject
from libs.common.events.personal import REDACTED_CONTACT
from libs.common.events.storefront import OrderChanged, OrderPlaced
from libs.common.events.values import ContactChange
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.former_contacts import address_digest, awaits_goods
from services.delivery_notify.domain.gifts import record_recipient
from services.delivery_notify.domain.notices import ContactRecorded


def record_placed_contact(decision: ConversationDecision, event: OrderPlaced) -> None:
    """Record the contact; also of an order that is sent again, where it may be corrected."""
    assert decision.event is not None
    if event.contact == REDACTED_CONTACT:
        return
    version = personal_version_of(decision.event, event)
    recorded = ContactRecorded(
        decision.state.order_id,
        event.customer_id,
        event.contact,
        event.recipient,
        event.last_purchased_item,
        event.placed_at,
        version,
        ship_to=address_digest(event.ship_to) if event.ship_to else None,
        notice_at=decision.now if awaits_goods(decision.state) else None,
    )
    decision.emit(recorded)
    if event.recipient:
        record_recipient(decision, event.recipient, event.recipient_notices, version.first_at)


def record_changed_contact(decision: ConversationDecision, event: OrderChanged) -> None:
    """Record a change of contact or address; one that carries out the customer's request is announced as such."""
    if not (event.contact or event.recipient or event.ship_to):
        return
    is_requested = event.ship_to is not None and any(
        request.open and request.change is ChangeSubject.ADDRESS and event.changed_at >= request.requested_at
        for request in decision.state.requests
    )
    recorded = ContactRecorded(
        decision.state.order_id,
        event.customer_id,
        event.contact or ContactChange(),
        event.recipient,
        stated_at=event.changed_at,
        ship_to=address_digest(event.ship_to) if event.ship_to else None,
        notice_at=decision.now if awaits_goods(decision.state) else None,
        is_announced=is_requested,
    )
    decision.emit(recorded)
