"""Contacts of orders: what the shop stated last, field by field, by its own time. Personal data.

A telephone number is kept in E.164 and only if it can be a real one: a number typed in to satisfy a form (0000000000)
reaches nobody.

With column keys (`libs.common.postgres.column_keys`) name, addresses and recipient are one encrypted field, and their
own columns are empty.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import phonenumbers
from pydantic import TypeAdapter
from pydantic_core import from_json

from libs.common.events.values import Contact, ContactChange
from libs.common.postgres.batch import columns
from libs.common.postgres.column_keys import ColumnKeys, keys_of
from libs.common.postgres.pool import Connection
from services.delivery_notify.domain.notices import ContactRecorded

DEFAULT_REGION = "JP"
"""Region of telephone numbers without a country code."""

_FIELDS = ("name", "email", "language", "phone")

TABLE = "contacts"
ENCRYPTED_FIELDS = ("name", "email", "phone", "placed_digest", "recipient")
"""Columns that are fields of `sealed` under column keys."""

_LOAD = """
    SELECT order_id, customer_id, name, email, language, phone, last_purchased_item, placed_at, placed_digest,
           stated_at::text, recipient::text, sealed
    FROM contacts WHERE order_id = ANY($1) ORDER BY order_id FOR UPDATE"""
_UPSERT = """
    INSERT INTO contacts (order_id, customer_id, name, email, language, phone, last_purchased_item, placed_at,
                          placed_digest, stated_at, recipient, sealed, email_digest, phone_digest,
                          recipient_email_digest, recipient_phone_digest)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                         $8::timestamptz[], $9::text[], $10::jsonb[], $11::jsonb[], $12::bytea[], $13::bytea[],
                         $14::bytea[], $15::bytea[], $16::bytea[])
    ON CONFLICT (order_id) DO UPDATE SET
        name = excluded.name, email = excluded.email, language = excluded.language, phone = excluded.phone,
        last_purchased_item = excluded.last_purchased_item, placed_at = excluded.placed_at,
        placed_digest = excluded.placed_digest, stated_at = excluded.stated_at, recipient = excluded.recipient,
        sealed = excluded.sealed, email_digest = excluded.email_digest, phone_digest = excluded.phone_digest,
        recipient_email_digest = excluded.recipient_email_digest,
        recipient_phone_digest = excluded.recipient_phone_digest"""

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
    keys = keys_of(conn)
    known = {row["order_id"]: _loaded(row, keys) for row in await conn.fetch(_LOAD, order_ids)}
    for each in recorded:
        known[each.order_id] = merge(known.get(each.order_id) or StoredContact(each.order_id, each.customer_id), each)
    rows = [_row(known[order_id], keys) for order_id in order_ids]
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


def _loaded(row: Any, keys: ColumnKeys) -> StoredContact:
    fields = dict(row)
    if sealed := fields.pop("sealed"):
        fields |= keys.open_json(TABLE, sealed)
    elif fields["recipient"]:
        fields["recipient"] = from_json(fields["recipient"])
    if fields["recipient"]:
        fields["recipient"] = Contact.model_validate(fields["recipient"])
    return StoredContact(**{**fields, "stated_at": _TIMES.validate_json(row["stated_at"])})


def _row(contact: StoredContact, keys: ColumnKeys) -> tuple[Any, ...]:
    recipient = contact.recipient.model_dump_json(exclude_none=True) if contact.recipient else None
    if keys.is_encrypting:
        return _sealed_row(contact, from_json(recipient) if recipient else None, keys)
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
        recipient,
        *(None,) * 5,
    )


def _sealed_row(contact: StoredContact, recipient: Mapping[str, Any] | None, keys: ColumnKeys) -> tuple[Any, ...]:
    personal = {name: getattr(contact, name) for name in ENCRYPTED_FIELDS if name != "recipient"}
    return (
        contact.order_id,
        contact.customer_id,
        None,
        None,
        contact.language,
        None,
        contact.last_purchased_item,
        contact.placed_at,
        None,
        _TIMES.dump_json(dict(contact.stated_at)).decode(),
        None,
        keys.seal_json(TABLE, {**personal, "recipient": recipient}),
        *(keys.digest(address) if address else None for address in _addresses(contact)),
    )


def _addresses(contact: StoredContact) -> tuple[str | None, ...]:
    """Return the addresses whose digests are stored, in the order of their columns."""
    recipient = contact.recipient or Contact()
    return contact.email, contact.phone, recipient.email, recipient.phone
