"""Contacts of orders: what the shop stated last, field by field, by its own time. Personal data.

A telephone number is kept in E.164 and only if it can be a real one: a number typed in to satisfy a form (0000000000)
reaches nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import phonenumbers
from pydantic import TypeAdapter

from libs.common.events.values import Contact, ContactChange
from libs.common.postgres.batch import columns
from libs.common.postgres.pool import Connection
from services.delivery_notify.domain.notices import ContactRecorded

DEFAULT_REGION = "JP"
"""Region of telephone numbers without a country code."""

_FIELDS = ("name", "email", "language", "phone")

_LOAD = """
    SELECT order_id, customer_id, name, email, language, phone, last_purchased_item, placed_at, placed_digest,
           stated_at::text, recipient::text
    FROM contacts WHERE order_id = ANY($1) ORDER BY order_id FOR UPDATE"""
_UPSERT = """
    INSERT INTO contacts (order_id, customer_id, name, email, language, phone, last_purchased_item, placed_at,
                          placed_digest, stated_at, recipient)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                         $8::timestamptz[], $9::text[], $10::jsonb[], $11::jsonb[])
    ON CONFLICT (order_id) DO UPDATE SET
        name = excluded.name, email = excluded.email, language = excluded.language, phone = excluded.phone,
        last_purchased_item = excluded.last_purchased_item, placed_at = excluded.placed_at,
        placed_digest = excluded.placed_digest, stated_at = excluded.stated_at, recipient = excluded.recipient"""

_TIMES: TypeAdapter[dict[str, datetime]] = TypeAdapter(dict[str, datetime])


@dataclass(frozen=True, slots=True)
class StoredContact:
    """A contact with the time of each statement; fields of a gift's receiver are under `recipient.`."""

    order_id: str
    customer_id: str
    name: str | None = None
    email: str | None = None
    language: str | None = None
    phone: str | None = None
    last_purchased_item: str | None = None
    placed_at: datetime | None = None
    placed_digest: str | None = None
    stated_at: Mapping[str, datetime] = field(default_factory=dict)
    recipient: Contact | None = None


async def save_contacts(conn: Connection, recorded: Sequence[ContactRecorded]) -> None:
    """Merge these statements into the stored contacts, in this order."""
    if not recorded:
        return
    order_ids = sorted({each.order_id for each in recorded})
    known = {row["order_id"]: _loaded(row) for row in await conn.fetch(_LOAD, order_ids)}
    for each in recorded:
        known[each.order_id] = merge(known.get(each.order_id) or StoredContact(each.order_id, each.customer_id), each)
    rows = [_row(known[order_id]) for order_id in order_ids]
    await conn.execute(_UPSERT, *columns(rows))


def merge(stored: StoredContact, recorded: ContactRecorded) -> StoredContact:
    """Return the contact after this statement; of each field the newest by the shop's time counts."""
    at = recorded.version.changed_at(stored.placed_digest) if recorded.version else recorded.stated_at
    after = replace(
        stored,
        last_purchased_item=stored.last_purchased_item or recorded.last_purchased_item,
        placed_at=stored.placed_at or recorded.placed_at,
        placed_digest=recorded.version.digest if recorded.version else stored.placed_digest,
    )
    if at is None:
        return after
    times = dict(stored.stated_at)
    changes = {name: getattr(stored, name) for name in _FIELDS}
    _take_newer(changes, times, "", _stated(recorded.contact), at)
    recipient = dict(stored.recipient) if stored.recipient else {}
    if recorded.recipient:
        _take_newer(recipient, times, "recipient.", _stated(recorded.recipient), at)
    return replace(
        after, **changes, stated_at=times, recipient=Contact.model_validate(recipient) if recipient else None
    )


def _take_newer(
    known: dict[str, Any], times: dict[str, datetime], prefix: str, stated: Mapping[str, Any], at: datetime
) -> None:
    for name, value in stated.items():
        if value and (known.get(name) is None or at >= times.get(prefix + name, at)):
            known[name], times[prefix + name] = value, at


def _stated(contact: Contact | ContactChange) -> dict[str, Any]:
    fields: dict[str, Any] = {name: getattr(contact, name) for name in _FIELDS}
    return fields | {"phone": reachable_number(contact.phone)}


def reachable_number(number: str | None) -> str | None:
    """Return a telephone number in E.164; None for text that is no number, or none that can be called."""
    try:
        parsed = phonenumbers.parse(number or "", DEFAULT_REGION)
    except phonenumbers.NumberParseException:
        return None
    digits = str(parsed.national_number)
    if not phonenumbers.is_valid_number(parsed) or len(set(digits[2:])) == 1 or digits.endswith("00000000"):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _loaded(row: Any) -> StoredContact:
    recipient = Contact.model_validate_json(row["recipient"]) if row["recipient"] else None
    times = _TIMES.validate_json(row["stated_at"])
    return StoredContact(**{**dict(row), "stated_at": times, "recipient": recipient})


def _row(contact: StoredContact) -> tuple[Any, ...]:
    return (
        contact.order_id,
        contact.customer_id,
        contact.name,
        contact.email,
        contact.language,
        contact.phone,
        contact.last_purchased_item,
        contact.placed_at,
        contact.placed_digest,
        _TIMES.dump_json(dict(contact.stated_at)).decode(),
        contact.recipient.model_dump_json(exclude_none=True) if contact.recipient else None,
    )
