"""Contacts of orders: what the shop stated last, field by field, by its own time. Personal data.

A telephone number is kept in E.164 and only if it can be a real one: a number typed in to satisfy a form (0000000000)
reaches nobody.

With column keys (`libs.common.postgres.column_keys`) name, addresses and recipient are one encrypted field, and their
own columns are empty. `former` holds a contact that was left behind, by the notice that is sent to it.
"""

import json
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
from services.delivery_notify.domain.former_contacts import ContactState, former_contact_notice, move_of
from services.delivery_notify.domain.notices import ContactRecorded, NoticeCreated

DEFAULT_REGION = "JP"
"""Region of telephone numbers without a country code."""

_FIELDS = ("name", "email", "language", "phone")

MAX_FORMER = 50
"""Most former contacts that an order keeps."""

TABLE = "contacts"
ENCRYPTED_FIELDS = ("name", "email", "phone", "placed_digest", "recipient", "ship_to_digest", "former")
"""Columns that are fields of `sealed` under column keys."""

_LOAD = """
    SELECT order_id, customer_id, name, email, language, phone, last_purchased_item, placed_at, placed_digest,
           stated_at::text, recipient::text, ship_to_digest, former::text, sealed
    FROM contacts WHERE order_id = ANY($1) ORDER BY order_id FOR UPDATE"""
_UPSERT = """
    INSERT INTO contacts (order_id, customer_id, name, email, language, phone, last_purchased_item, placed_at,
                          placed_digest, stated_at, recipient, sealed, email_digest, phone_digest,
                          recipient_email_digest, recipient_phone_digest, ship_to_digest, former)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                         $8::timestamptz[], $9::text[], $10::jsonb[], $11::jsonb[], $12::bytea[], $13::bytea[],
                         $14::bytea[], $15::bytea[], $16::bytea[], $17::text[], $18::jsonb[])
    ON CONFLICT (order_id) DO UPDATE SET
        name = excluded.name, email = excluded.email, language = excluded.language, phone = excluded.phone,
        last_purchased_item = excluded.last_purchased_item, placed_at = excluded.placed_at,
        placed_digest = excluded.placed_digest, stated_at = excluded.stated_at, recipient = excluded.recipient,
        sealed = excluded.sealed, email_digest = excluded.email_digest, phone_digest = excluded.phone_digest,
        recipient_email_digest = excluded.recipient_email_digest,
        recipient_phone_digest = excluded.recipient_phone_digest,
        ship_to_digest = excluded.ship_to_digest, former = excluded.former"""

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
    ship_to_digest: str | None = None
    former: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def state(self) -> ContactState:
        return ContactState(self.name, self.email, self.language, self.phone, self.ship_to_digest)


FormerNotice = tuple[NoticeCreated, bytes | None]
"""A notice to a former contact, with the digest of its mail address."""


async def save_contacts(conn: Connection, recorded: Sequence[ContactRecorded]) -> list[FormerNotice]:
    """Merge these statements into the stored contacts, in this order; return the notices to former contacts.

    An address alone makes no contact: the notices of an order that is not known yet wait for one.
    """
    if not recorded:
        return []
    order_ids = sorted({each.order_id for each in recorded})
    keys = keys_of(conn)
    known = {row["order_id"]: _loaded(row, keys) for row in await conn.fetch(_LOAD, order_ids)}
    notices: list[FormerNotice] = []
    for each in recorded:
        before = known.get(each.order_id)
        if before is None and each.version is None and each.recipient is None and each.contact == ContactChange():
            continue
        before = before or StoredContact(each.order_id, each.customer_id)
        after, notice = follow(before, each)
        known[each.order_id] = after
        if notice:
            email = after.former.get(str(notice.notice_id), {}).get("email")
            notices.append((notice, keys.digest(email) if email else None))
    rows = [_row(known[order_id], keys) for order_id in order_ids if order_id in known]
    if rows:
        await conn.execute(_UPSERT, *columns(rows))
    return notices


def follow(before: StoredContact, recorded: ContactRecorded) -> tuple[StoredContact, NoticeCreated | None]:
    """Return the contact after this statement, and the notice to the one that was left behind, kept for it there."""
    after = merge(before, recorded)
    at = recorded.version.changed_at(before.placed_digest) if recorded.version else recorded.stated_at
    if at is None:
        return after, None
    stated = ContactState(**_stated(recorded.contact), ship_to=recorded.ship_to)
    is_old_row = recorded.version is None and before.placed_digest is not None and before.ship_to_digest is None
    move = move_of(before.state, stated, after.state, address_was_unknown=is_old_row)
    notice = former_contact_notice(recorded, move, before.customer_id, at) if move else None
    if move is None or notice is None or str(notice.notice_id) in before.former:
        return after, None
    return replace(after, former=_with_former(after, notice, move.former)), notice


def _with_former(after: StoredContact, notice: NoticeCreated, former: ContactState) -> Mapping[str, Mapping[str, str]]:
    """Add a former contact, with one address to write to; the oldest of very many are dropped."""
    phone = None if former.email else former.phone
    fields = {"name": former.name, "email": former.email, "language": former.language, "phone": phone}
    present = {name: value for name, value in fields.items() if value}
    kept = dict(list(after.former.items())[1 - MAX_FORMER :])
    return {**kept, str(notice.notice_id): present} if notice.facts.for_former else after.former


def addressee(
    person: Mapping[str, Any], notice_id: object, *, is_recipient: bool, is_former: bool
) -> Mapping[str, Any]:
    """Return the fields of the person that gets this notice, of all those that the contact holds."""
    if is_former:
        return (person.get("former") or {}).get(str(notice_id)) or {}
    return (person.get("recipient") or {}) if is_recipient else person


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
    changes = {name: getattr(stored, name) for name in (*_FIELDS, "ship_to_digest")}
    _take_newer(changes, times, "", _stated(recorded.contact) | {"ship_to_digest": recorded.ship_to}, at)
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
    else:
        fields |= {name: from_json(fields[name]) for name in ("recipient", "former") if fields[name]}
    fields["former"] = fields["former"] or {}
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
        contact.ship_to_digest,
        json.dumps(contact.former) if contact.former else None,
    )


def _sealed_row(contact: StoredContact, recipient: Mapping[str, Any] | None, keys: ColumnKeys) -> tuple[Any, ...]:
    personal = {name: getattr(contact, name) or None for name in ENCRYPTED_FIELDS if name != "recipient"}
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
        None,
        None,
    )


def _addresses(contact: StoredContact) -> tuple[str | None, ...]:
    """Return the addresses whose digests are stored, in the order of their columns."""
    recipient = contact.recipient or Contact()
    return contact.email, contact.phone, recipient.email, recipient.phone
