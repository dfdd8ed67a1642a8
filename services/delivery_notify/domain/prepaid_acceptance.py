"""Notice of acceptance of a prepaid order, where the law requires one: with the order, and when its ship date moves.

Japan: a seller paid before shipment confirms without delay the acceptance, the seller, the amount and date of payment,
the goods, their quantity and the delivery time. A notice that moves the date repeats all of it.
"""

from dataclasses import replace
from datetime import date, timedelta

from libs.common.events.notices import NoticeKind
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.notice_creation import create_notice
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.domain.promises import SHIP, announcement_of
from services.delivery_notify.domain.supersede import notice_line
from services.delivery_notify.policy.consent_law import law_of

DATE_ANNOUNCED_WITHIN = timedelta(days=15)
"""Announced deadline for the ship date of an order that has none."""


def is_required(conversation: Conversation) -> bool:
    return conversation.prepaid is not None and law_of(conversation.market).acceptance


def notify_acceptance(decision: ConversationDecision) -> None:
    """Create the first notice of acceptance, with the order."""
    if is_required(decision.state):
        _create(decision, decision.rules.calendar.day(decision.now + DATE_ANNOUNCED_WITHIN))


def renew_acceptance(decision: ConversationDecision) -> None:
    """Create the notice again for a date that the customer chose: no notice of delay contains it."""
    if is_required(decision.state):
        _create(decision, None)


def _create(decision: ConversationDecision, next_update_by: date | None) -> None:
    lines = [line for line in decision.state.lines if line.awaiting_shipment]
    if not lines:
        return
    days = [line.shipping.day for line in lines if line.shipping.day]
    day = max(days) if len(days) == len(lines) else None
    facts = NoticeFacts(
        tuple(notice_line(line) for line in lines),
        day=day,
        next_update_by=None if day else next_update_by,
        purchase_count=decision.state.purchase_count,
    )
    create_notice(
        decision,
        NoticeKind.ORDER_ACCEPTED,
        with_receipt(decision.state, facts),
        cause=tuple(f"{line.line_id}:{line.shipping.version}" for line in lines),
        subjects=tuple(line.line_id for line in lines),
        promised_date=day,
        news=announcement_of(SHIP, lines),
    )


def with_receipt(conversation: Conversation, facts: NoticeFacts) -> NoticeFacts:
    """Return these facts with the payment received, where the notice has to be one of acceptance as well."""
    if conversation.prepaid is None or not is_required(conversation):
        return facts
    paid = conversation.prepaid
    return replace(facts, amount=paid.amount, currency=paid.currency, received_on=paid.received_on)
