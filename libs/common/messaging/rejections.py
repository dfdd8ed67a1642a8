"""Answers to the author of a refused event, on the topic `events.rejected`.

One service answers for each topic that partners write. It alone keeps a record that nobody can decode, or whose author
may not write there, whatever its type. The other readers of the topic skip it; the replay of a record that nobody could
decode publishes it again for all of them.
"""

import json
from datetime import datetime
from typing import Any

from libs.common.events import topics
from libs.common.events.json_text import well_formed
from libs.common.events.rejections import EventRejected, FieldFault
from libs.common.messaging.dead_letters import DeadLetter, DeadLetterReason, text_key

_ANSWERS_FOR = {
    topics.STOREFRONT_ORDERS.name: "intake",
    topics.STOREFRONT_ISSUES.name: "intake",
    topics.STOREFRONT_CUSTOMERS.name: "intake",
    topics.STOREFRONT_CONSENTS.name: "delivery_notify",
    topics.WAREHOUSE_EVENTS.name: "returns",
    topics.CARRIER_EVENTS.name: "returns",
    topics.PAYMENT_EVENTS.name: "returns",
}
_REFUSED = frozenset(
    {
        DeadLetterReason.UNDECODABLE,
        DeadLetterReason.UNKNOWN_TYPE,
        DeadLetterReason.FORBIDDEN_SOURCE,
        DeadLetterReason.ID_REUSED,
    }
)
_NOT_AN_EVENT = (DeadLetterReason.UNDECODABLE, DeadLetterReason.UNKNOWN_TYPE)
_KEPT_ONCE = (*_NOT_AN_EVENT, DeadLetterReason.FORBIDDEN_SOURCE)


def answers_for(service: str, topic: str) -> bool:
    """Return true if this service keeps and answers refused events of the topic, also of types that it does not use."""
    return _ANSWERS_FOR.get(topic) == service


def is_kept_elsewhere(service: str, topic: str, reason: str) -> bool:
    """Return true if another service keeps this record and answers its author."""
    keeper = _ANSWERS_FOR.get(topic, service)
    return reason in _KEPT_ONCE and service in topics.SERVICES and keeper != service


def is_published_again(service: str, topic: str, reason: str) -> bool:
    """Return true if the replay of this record is for all readers of its topic."""
    return reason in _NOT_AN_EVENT and _ANSWERS_FOR.get(topic) == service == "intake"


def rejection(service: str, topic: str, letter: DeadLetter, now: datetime) -> EventRejected | None:
    """Return the answer of this service to the author of a refused record; None where it gives none."""
    if letter.reason not in _REFUSED or _ANSWERS_FOR.get(topic) != service:
        return None
    field, _, message = letter.error.partition(": ")
    faults = letter.faults or ((field, message or letter.error),)
    head = _head(letter.record.value)
    return EventRejected(
        topic=topic,
        partition=letter.record.partition,
        offset=letter.record.offset,
        record_key=text_key(letter.record)[:200] or None,
        event_id=_short(head, "id"),
        source=_short(head, "source"),
        type=_short(head, "type"),
        faults=tuple(FieldFault(field=field, message=message) for field, message in faults),
        rejected_at=now,
    )


def _head(value: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(well_formed(value or b""))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _short(head: dict[str, Any], field: str) -> str | None:
    value = head.get(field)
    return value[:200] if isinstance(value, str) else None
