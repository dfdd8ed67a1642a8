"""Order snapshots: ship-to address, value and delivery of each order, with all SQL about them.

The only personal data of this service (invariant 12). Addresses of different customers are compared by a keyed hash:
without the key, an address cannot be looked up by guessing.

An address and a telephone number count as of the time at which the shop stated them, never by arrival.

While several keys are set, each new order rewrites its older hashes under the first key. An address then has one hash
at any time and is found by equality; a query for every key would cost the same on all other days.
"""

import hmac
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from libs.common.decisions.facts import Facts, Ignored, Record
from libs.common.decisions.order_versions import personal_version_of
from libs.common.events.personal import REDACTED_ADDRESS, REDACTED_CONTACT
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import OrderChanged, OrderDelivered, OrderPlaced
from libs.common.events.values import Address
from libs.common.postgres.column_keys import ColumnKeys, keys_of
from libs.common.postgres.pool import Connection

TABLE = "order_snapshots"
ENCRYPTED_FIELDS = ("ship_to", "phone", "placed_digest")
"""Columns that are fields of `sealed` under column keys."""

_LOAD = """
    SELECT order_id, ship_to::text, ship_to_at, phone, phone_at, placed_digest, customer_id, value, currency,
           delivered_at, placed_at, address_version, sealed
    FROM order_snapshots WHERE order_id = ANY($1) ORDER BY order_id FOR UPDATE"""
_UPSERT = """
    INSERT INTO order_snapshots (order_id, ship_to, ship_to_at, phone, phone_at, placed_digest, customer_id, value,
                                 currency, delivered_at, placed_at, address_hash, address_version, sealed)
    SELECT * FROM unnest($1::text[], $2::jsonb[], $3::timestamptz[], $4::text[], $5::timestamptz[], $6::text[],
                         $7::text[], $8::numeric[], $9::text[], $10::timestamptz[], $11::timestamptz[], $12::text[],
                         $13::int[], $14::bytea[])
    ON CONFLICT (order_id) DO UPDATE SET
        ship_to = excluded.ship_to, ship_to_at = excluded.ship_to_at, phone = excluded.phone,
        phone_at = excluded.phone_at, placed_digest = excluded.placed_digest, customer_id = excluded.customer_id,
        value = excluded.value, currency = excluded.currency, delivered_at = excluded.delivered_at,
        placed_at = excluded.placed_at, address_hash = excluded.address_hash,
        address_version = excluded.address_version, sealed = excluded.sealed"""
_REHASH = """
    UPDATE order_snapshots AS old SET address_hash = new.address_hash
    FROM unnest($1::text[], $2::text[]) AS new (former, address_hash) WHERE old.address_hash = new.former"""


@dataclass(frozen=True, slots=True)
class OrderSnapshot:
    """Known facts of an order. `phone` is the customer's, for an address without one."""

    order_id: str
    ship_to: Address | None = None
    ship_to_at: datetime | None = None
    phone: str | None = None
    phone_at: datetime | None = None
    placed_digest: str | None = None
    customer_id: str | None = None
    value: Decimal | None = None
    currency: str | None = None
    delivered_at: datetime | None = None
    placed_at: datetime | None = None
    address_version: int = 0


@dataclass(frozen=True, slots=True)
class AddressChanged(Record):
    """The address or the telephone number of an order changed; its cases must look at it."""

    order_id: str
    version: int
    at: datetime


@dataclass(frozen=True, slots=True)
class OrderSnapshots:
    """Aggregate of order snapshots by order id. Without `address_keys` addresses are neither hashed nor compared."""

    address_keys: tuple[bytes, ...] = ()
    name: str = "order_snapshots"
    is_read_model = True

    def key_of(self, event: AnyEvent) -> str | None:
        data = event.data
        return data.order_id if isinstance(data, OrderPlaced | OrderChanged | OrderDelivered) else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, OrderSnapshot]:
        column_keys = keys_of(conn)
        return {row["order_id"]: _loaded(row, column_keys) for row in await conn.fetch(_LOAD, list(keys))}

    def decide(self, state: OrderSnapshot | None, event: AnyEvent, now: datetime) -> tuple[OrderSnapshot | None, Facts]:
        match event.data:
            case OrderPlaced() as placed:
                before = state or OrderSnapshot(placed.order_id)
                after = _with_placed(before, event, placed)
            case OrderChanged() as changed:
                before = state or OrderSnapshot(changed.order_id)
                after = _with_changed(before, changed)
            case OrderDelivered() as delivered:
                before = state or OrderSnapshot(delivered.order_id)
                after = before if before.delivered_at else replace(before, delivered_at=delivered.delivered_at)
            case _:
                return state, (Ignored("not_handled"),)
        if after == state:
            return state, (Ignored("order_unchanged"),)
        is_correction = before.ship_to is not None and after.address_version != before.address_version
        return after, (AddressChanged(after.order_id, after.address_version, now),) if is_correction else ()

    async def save(self, conn: Connection, changed: Mapping[str, OrderSnapshot], records: Sequence[Record]) -> None:
        rows = [changed[key] for key in sorted(changed)]
        hashes = [address_hashes(self.address_keys, row.ship_to) for row in rows]
        column_keys = keys_of(conn)
        personal = [_personal_columns(row, column_keys) for row in rows]
        await conn.execute(
            _UPSERT,
            [row.order_id for row in rows],
            [each.ship_to for each in personal],
            [row.ship_to_at for row in rows],
            [each.phone for each in personal],
            [row.phone_at for row in rows],
            [each.placed_digest for each in personal],
            [row.customer_id for row in rows],
            [row.value for row in rows],
            [row.currency for row in rows],
            [row.delivered_at for row in rows],
            [row.placed_at for row in rows],
            [each[0] if each else None for each in hashes],
            [row.address_version for row in rows],
            [each.sealed for each in personal],
        )
        if rehashed := {former: each[0] for each in hashes for former in each[1:]}:
            await conn.execute(_REHASH, list(rehashed), list(rehashed.values()))


class _PersonalColumns(NamedTuple):
    """Personal data of a snapshot as columns: encrypted as one field, or one by one."""

    ship_to: str | None = None
    phone: str | None = None
    placed_digest: str | None = None
    sealed: bytes | None = None


def _personal_columns(snapshot: OrderSnapshot, keys: ColumnKeys) -> _PersonalColumns:
    ship_to = snapshot.ship_to
    if not keys.is_encrypting:
        body = ship_to.model_dump_json(exclude_none=True) if ship_to else None
        return _PersonalColumns(body, snapshot.phone, snapshot.placed_digest)
    fields = {
        "ship_to": ship_to.model_dump(mode="json", exclude_none=True) if ship_to else None,
        "phone": snapshot.phone,
        "placed_digest": snapshot.placed_digest,
    }
    return _PersonalColumns(sealed=keys.seal_json(TABLE, fields))


def _loaded(row: Any, keys: ColumnKeys) -> OrderSnapshot:
    fields = dict(row)
    if sealed := fields.pop("sealed"):
        fields |= keys.open_json(TABLE, sealed)
        ship_to = Address.model_validate(fields["ship_to"]) if fields["ship_to"] else None
    else:
        ship_to = Address.model_validate_json(fields["ship_to"]) if fields["ship_to"] else None
    return OrderSnapshot(**{**fields, "ship_to": ship_to})


def open_ship_to(sealed: bytes, keys: ColumnKeys) -> Address | None:
    """Return the address of an encrypted snapshot, with the telephone number of the order where it has none."""
    fields = keys.open_json(TABLE, sealed)
    ship_to, phone = fields.get("ship_to"), fields.get("phone")
    return Address.model_validate({"phone": phone, **ship_to}) if ship_to else None


def address_hashes(address_keys: Sequence[bytes], ship_to: Address | None) -> tuple[str, ...]:
    """Return the hash of an address under each key, equal for all spellings in width, case and blanks."""
    if ship_to is None or not address_keys:
        return ()
    parts = (ship_to.country, ship_to.postal_code, ship_to.street, ship_to.building or "")
    plain = "\n".join("".join(unicodedata.normalize("NFKC", part).casefold().split()) for part in parts)
    return tuple(hmac.digest(key, plain.encode(), "sha256").hex() for key in address_keys)


def _with_placed(before: OrderSnapshot, event: AnyEvent, placed: OrderPlaced) -> OrderSnapshot:
    currencies = {line.unit_price.currency for line in placed.lines}
    # An order in several currencies has no single value and counts towards no purchase history.
    has_one_currency = len(currencies) == 1
    value = sum((line.unit_price.amount * line.quantity for line in placed.lines), Decimal(0))
    after = replace(
        before,
        customer_id=before.customer_id or placed.customer_id,
        placed_at=before.placed_at or placed.placed_at,
        value=value if has_one_currency else before.value,
        currency=min(currencies) if has_one_currency else before.currency,
    )
    if placed.ship_to == REDACTED_ADDRESS or placed.contact == REDACTED_CONTACT:
        return after
    version = personal_version_of(event, placed)
    at = version.changed_at(before.placed_digest)
    if at is None:
        return after
    return _with_personal(replace(after, placed_digest=version.digest), at, placed.ship_to, placed.contact.phone)


def _with_changed(before: OrderSnapshot, changed: OrderChanged) -> OrderSnapshot:
    phone = changed.contact.phone if changed.contact else None
    return _with_personal(before, changed.changed_at, changed.ship_to, phone)


def _with_personal(before: OrderSnapshot, at: datetime, ship_to: Address | None, phone: str | None) -> OrderSnapshot:
    """Take over what was stated later than what is known; an address is usable or it does not count."""
    after = before
    if ship_to and ship_to.is_usable and (before.ship_to_at is None or at >= before.ship_to_at):
        after = replace(after, ship_to=ship_to, ship_to_at=at)
    if phone and (before.phone_at is None or at >= before.phone_at):
        after = replace(after, phone=phone, phone_at=at)
    is_changed = (after.ship_to, after.phone) != (before.ship_to, before.phone)
    return replace(after, address_version=before.address_version + 1) if is_changed else after
