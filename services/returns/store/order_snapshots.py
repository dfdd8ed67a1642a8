"""Order snapshots: ship-to address, value and delivery of each order, with all SQL about them.

The only personal data of this service (invariant 12). Addresses of different customers are compared by a keyed hash:
without the key, an address cannot be looked up by guessing.

While several keys are set, each new order rewrites its older hashes under the first key. An address then has one hash
at any time and is found by equality; a query for every key would cost the same on all other days.
"""

import hmac
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from libs.common.decisions.facts import Facts, Ignored, Record
from libs.common.events.personal import REDACTED_ADDRESS
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import OrderDelivered, OrderPlaced
from libs.common.events.values import Address
from libs.common.postgres.pool import Connection

_UPSERT = """
    INSERT INTO order_snapshots AS old (order_id, ship_to, customer_id, value, currency, address_hash, delivered_at,
                                        placed_at)
    SELECT * FROM unnest($1::text[], $2::jsonb[], $3::text[], $4::numeric[], $5::text[], $6::text[], $7::timestamptz[],
                         $8::timestamptz[])
    ON CONFLICT (order_id) DO UPDATE SET
        ship_to = coalesce(excluded.ship_to, old.ship_to),
        customer_id = coalesce(excluded.customer_id, old.customer_id),
        value = coalesce(excluded.value, old.value), currency = coalesce(excluded.currency, old.currency),
        address_hash = coalesce(excluded.address_hash, old.address_hash),
        delivered_at = coalesce(old.delivered_at, excluded.delivered_at),
        placed_at = coalesce(old.placed_at, excluded.placed_at)"""
_REHASH = """
    UPDATE order_snapshots AS old SET address_hash = new.address_hash
    FROM unnest($1::text[], $2::text[]) AS new (former, address_hash) WHERE old.address_hash = new.former"""


@dataclass(frozen=True, slots=True)
class OrderSnapshotChanged(Record):
    """Fields that one event sets on a snapshot; None leaves a field unchanged."""

    order_id: str
    ship_to: Address | None = None
    customer_id: str | None = None
    value: Decimal | None = None
    currency: str | None = None
    delivered_at: datetime | None = None
    placed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OrderSnapshots:
    """Aggregate of order snapshots by order id. Without `address_keys` addresses are neither hashed nor compared."""

    address_keys: tuple[bytes, ...] = ()
    name: str = "order_snapshots"
    is_read_model = True

    def key_of(self, event: AnyEvent) -> str | None:
        data = event.data
        return data.order_id if type(data) is OrderPlaced or type(data) is OrderDelivered else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, None]:
        return {}

    def decide(self, state: None, event: AnyEvent, now: datetime) -> tuple[None, Facts]:
        data = event.data
        if type(data) is OrderPlaced:
            return None, (_placed(data),)
        if type(data) is OrderDelivered:
            return None, (OrderSnapshotChanged(data.order_id, delivered_at=data.delivered_at),)
        return None, (Ignored("not_handled"),)

    async def save(self, conn: Connection, changed: Mapping[str, None], records: Sequence[Record]) -> None:
        merged: dict[str, OrderSnapshotChanged] = {}
        for fact in records:
            if isinstance(fact, OrderSnapshotChanged):
                merged[fact.order_id] = _merge(merged.get(fact.order_id), fact)
        rows = [merged[order] for order in sorted(merged)]
        hashes = [address_hashes(self.address_keys, row.ship_to) for row in rows]
        await conn.execute(
            _UPSERT,
            [row.order_id for row in rows],
            [row.ship_to.model_dump_json(exclude_none=True) if row.ship_to else None for row in rows],
            [row.customer_id for row in rows],
            [row.value for row in rows],
            [row.currency for row in rows],
            [each[0] if each else None for each in hashes],
            [row.delivered_at for row in rows],
            [row.placed_at for row in rows],
        )
        if rehashed := {former: each[0] for each in hashes for former in each[1:]}:
            await conn.execute(_REHASH, list(rehashed), list(rehashed.values()))


def address_hashes(address_keys: Sequence[bytes], ship_to: Address | None) -> tuple[str, ...]:
    """Return the hash of an address under each key, equal for all spellings in width, case and blanks."""
    if ship_to is None or not address_keys:
        return ()
    parts = (ship_to.country, ship_to.postal_code, ship_to.street, ship_to.building or "")
    plain = "\n".join("".join(unicodedata.normalize("NFKC", part).casefold().split()) for part in parts)
    return tuple(hmac.digest(key, plain.encode(), "sha256").hex() for key in address_keys)


def _placed(placed: OrderPlaced) -> OrderSnapshotChanged:
    ship_to = placed.ship_to.model_copy(update={"phone": placed.ship_to.phone or placed.contact.phone})
    is_known = placed.ship_to != REDACTED_ADDRESS
    currencies = {line.unit_price.currency for line in placed.lines}
    # An order in several currencies has no single value and counts towards no purchase history.
    has_one_currency = len(currencies) == 1
    value = sum((line.unit_price.amount * line.quantity for line in placed.lines), Decimal(0))
    return OrderSnapshotChanged(
        placed.order_id,
        ship_to if is_known else None,
        placed.customer_id,
        value if has_one_currency else None,
        min(currencies) if has_one_currency else None,
        placed_at=placed.placed_at,
    )


def _merge(before: OrderSnapshotChanged | None, fact: OrderSnapshotChanged) -> OrderSnapshotChanged:
    """Return two changes of one batch as one; the later one takes precedence."""
    if before is None:
        return fact
    return OrderSnapshotChanged(
        fact.order_id,
        fact.ship_to or before.ship_to,
        fact.customer_id or before.customer_id,
        fact.value if fact.value is not None else before.value,
        fact.currency or before.currency,
        before.delivered_at or fact.delivered_at,
        before.placed_at or fact.placed_at,
    )
