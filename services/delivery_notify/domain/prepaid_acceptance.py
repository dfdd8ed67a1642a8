"""The notice of acceptance of a prepaid order, where the law wants one: with the order, and again when its date moves.

Japan: whoever takes money before the goods leave tells without delay that the order is accepted, by whom, what was
received and when, what for, how many, and when it is delivered. A notice that moves the date says all of it again.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta

from libs.common.events.notices import NoticeKind
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.notices import NoticeFacts, Outcome, say
from services.delivery_notify.domain.promises import SHIP, announced
from services.delivery_notify.domain.supersede import thing
from services.delivery_notify.policy.consent_law import law_of
from services.delivery_notify.policy.notification_rules import Rules

DATE_COMES = timedelta(days=15)
"""Without a date yet: by when we tell it."""


def wanted(conversation: Conversation) -> bool:
    return conversation.prepaid is not None and law_of(conversation.market).acceptance


def accept(conversation: Conversation, now: datetime, rules: Rules) -> Outcome:
    """The first notice, with the order."""
    if not wanted(conversation):
        return conversation, []
    return _accept(conversation, now, rules.calendar.day(now + DATE_COMES))


def accept_again(conversation: Conversation, now: datetime) -> Outcome:
    """The date moved to one that the customer chose: nothing to say sorry for, but the notice is due again."""
    return _accept(conversation, now, None) if wanted(conversation) else (conversation, [])


def _accept(conversation: Conversation, now: datetime, next_word: date | None) -> Outcome:
    lines = [line for line in conversation.lines if line.awaiting_shipment]
    if not lines:
        return conversation, []
    days = [line.shipping.day for line in lines if line.shipping.day]
    day = max(days) if len(days) == len(lines) else None
    facts = NoticeFacts(
        tuple(thing(line) for line in lines),
        day=day,
        next_word=None if day else next_word,
        purchase_count=conversation.purchase_count,
    )
    return say(
        conversation,
        NoticeKind.ORDER_ACCEPTED,
        added(conversation, facts),
        now,
        cause=tuple(f"{line.line_id}:{line.shipping.version}" for line in lines),
        about=tuple(line.line_id for line in lines),
        promised_date=day,
        news=announced(SHIP, lines),
    )


def added(conversation: Conversation, facts: NoticeFacts) -> NoticeFacts:
    """These facts with what was received, where a notice of a date has to be one of acceptance as well."""
    if conversation.prepaid is None or not wanted(conversation):
        return facts
    paid = conversation.prepaid
    return replace(facts, amount=paid.amount, currency=paid.currency, received_on=paid.received_on)
