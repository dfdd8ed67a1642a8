"""What returns keeps of orders: where they went, what they were worth, and that they arrived; all SQL about it.

The one place with personal data of this service (invariant 12). Addresses of different customers are compared by a
keyed hash, so that nobody who reads the table can look an address up by guessing. There is nothing to decide here but
to keep the last that was told.

While there are several keys, a new order brings the older ones of its door under the first key with it. A door has one
hash at any time then, and is found by an equal value; to ask for each key's would cost every other day as well.
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

_REMEMBER = """
    INSERT INTO destinations AS old (order_id, ship_to, customer_id, value, currency, place, delivered_at,
                                     placed_at)
    SELECT * FROM unnest($1::text[], $2::jsonb[], $3::text[], $4::numeric[], $5::text[], $6::text[], $7::timestamptz[],
                         $8::timestamptz[])
    ON CONFLICT (order_id) DO UPDATE SET
        ship_to = coalesce(excluded.ship_to, old.ship_to),
        customer_id = coalesce(excluded.customer_id, old.customer_id),
        value = coalesce(excluded.value, old.value), currency = coalesce(excluded.currency, old.currency),
        place = coalesce(excluded.place, old.place), delivered_at = coalesce(old.delivered_at, excluded.delivered_at),
        placed_at = coalesce(old.placed_at, excluded.placed_at)"""
_SAME_DOOR = """
    UPDATE destinations AS old SET place = new.place FROM unnest($1::text[], $2::text[]) AS new (former, place)
    WHERE old.place = new.former"""


@dataclass(frozen=True, slots=True)
class OrderLearned(Record):
    """What one event said about an order; None where it said nothing of the kind."""

    order_id: str
    ship_to: Address | None = None
    customer_id: str | None = None
    value: Decimal | None = None
    currency: str | None = None
    delivered_at: datetime | None = None
    placed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Destinations:
    """Orders, by their id. Without `address_keys` no address is hashed, and none is compared."""

    address_keys: tuple[bytes, ...] = ()
    name: str = "destinations"

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
            return None, (OrderLearned(data.order_id, delivered_at=data.delivered_at),)
        return None, (Ignored("not_ours"),)

    async def save(self, conn: Connection, changed: Mapping[str, None], records: Sequence[Record]) -> None:
        known: dict[str, OrderLearned] = {}
        for fact in records:
            if isinstance(fact, OrderLearned):
                known[fact.order_id] = _both(known.get(fact.order_id), fact)
        rows = [known[order] for order in sorted(known)]
        doors = [places(self.address_keys, row.ship_to) for row in rows]
        await conn.execute(
            _REMEMBER,
            [row.order_id for row in rows],
            [row.ship_to.model_dump_json(exclude_none=True) if row.ship_to else None for row in rows],
            [row.customer_id for row in rows],
            [row.value for row in rows],
            [row.currency for row in rows],
            [door[0] if door else None for door in doors],
            [row.delivered_at for row in rows],
            [row.placed_at for row in rows],
        )
        if renamed := {former: door[0] for door in doors for former in door[1:]}:
            await conn.execute(_SAME_DOOR, list(renamed), list(renamed.values()))


def places(address_keys: Sequence[bytes], ship_to: Address | None) -> tuple[str, ...]:
    """A door as a hash under each key: equal for one address, however it is spelled in width, case and blanks."""
    if ship_to is None or not address_keys:
        return ()
    parts = (ship_to.country, ship_to.postal_code, ship_to.street, ship_to.building or "")
    plain = "\n".join("".join(unicodedata.normalize("NFKC", part).casefold().split()) for part in parts)
    return tuple(hmac.digest(key, plain.encode(), "sha256").hex() for key in address_keys)


def _placed(placed: OrderPlaced) -> OrderLearned:
    ship_to = placed.ship_to.model_copy(update={"phone": placed.ship_to.phone or placed.contact.phone})
    known = placed.ship_to != REDACTED_ADDRESS
    currencies = {line.unit_price.currency for line in placed.lines}
    # An order in several currencies is part of nobody's history: its worth is not one number.
    value = sum((line.unit_price.amount * line.quantity for line in placed.lines), Decimal(0))
    one = len(currencies) == 1
    return OrderLearned(
        placed.order_id,
        ship_to if known else None,
        placed.customer_id,
        value if one else None,
        min(currencies) if one else None,
        placed_at=placed.placed_at,
    )


def _both(before: OrderLearned | None, fact: OrderLearned) -> OrderLearned:
    """Two facts of one batch as one: the later one where both speak."""
    if before is None:
        return fact
    return OrderLearned(
        fact.order_id,
        fact.ship_to or before.ship_to,
        fact.customer_id or before.customer_id,
        fact.value if fact.value is not None else before.value,
        fact.currency or before.currency,
        before.delivered_at or fact.delivered_at,
        before.placed_at or fact.placed_at,
    )
