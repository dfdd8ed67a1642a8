"""Orders, keyed by order id, and the timers that pass their changes to the customer's ledger.

A timer in the same transaction was chosen over an internal Kafka event, which would cost a round trip through the
broker and could arrive late.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import TypeAdapter

from libs.common.decisions.facts import Facts, Record, SetTimer
from libs.common.decisions.fast_replace import replace
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import StorefrontOrderEvent
from libs.common.messaging import outbox
from libs.common.postgres.batch import columns
from libs.common.postgres.pool import Connection
from libs.common.postgres.state_table import StateTable
from services.loyalty.domain.decide import decide_order
from services.loyalty.domain.orders import BirthdayProvided, PurchaseChanged, PurchasedOrder
from services.loyalty.domain.timers import BIRTHDAY, purchase_timer, timer_name
from services.loyalty.store.ledger import LEDGER

# An order that arrives late must not undo the birthday of a newer one.
_UPSERT_BIRTHDAYS = """
    INSERT INTO birthdays (customer_id, month_day, provided_at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
    ON CONFLICT (customer_id) DO UPDATE SET month_day = excluded.month_day, provided_at = excluded.provided_at
    WHERE coalesce(birthdays.provided_at, '-infinity') <= excluded.provided_at"""

_ORDER: TypeAdapter[PurchasedOrder] = TypeAdapter(PurchasedOrder)


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order and the version that was loaded, for optimistic locking."""

    order: PurchasedOrder
    version: int


@dataclass
class OrderStore:
    """Aggregate of orders."""

    name: str = "orders"
    is_read_model = False
    _table: StateTable[PurchasedOrder] = field(default_factory=lambda: StateTable("orders", _ORDER))

    def key_of(self, event: AnyEvent) -> str | None:
        return event.data.order_id if isinstance(event.data, StorefrontOrderEvent) else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, StoredOrder]:
        orders = await self._table.load(conn, keys)
        return {key: StoredOrder(order, version) for key, (version, order) in orders.items()}

    def decide(self, state: StoredOrder | None, event: AnyEvent, now: datetime) -> tuple[StoredOrder, Facts]:
        stored = state or StoredOrder(PurchasedOrder(self.key_of(event) or ""), 0)
        order, facts = decide_order(stored.order, event, now)
        return (stored if order is stored.order else replace(stored, order=order)), facts

    async def save(self, conn: Connection, changed: Mapping[str, StoredOrder], records: Sequence[Record]) -> None:
        await self._table.save(conn, {key: (stored.version, stored.order) for key, stored in changed.items()})
        provided = (record for record in records if isinstance(record, BirthdayProvided))
        birthdays = {each.customer_id: each for each in sorted(provided, key=lambda each: each.provided_at)}
        if birthdays:
            rows = sorted((each.customer_id, each.month_day, each.provided_at) for each in birthdays.values())
            await conn.execute(_UPSERT_BIRTHDAYS, *columns(rows))
        due = {_birthday_timer(each): each.received_at for each in birthdays.values()}
        due |= {_purchase_timer(record): record.changed_at for record in records if isinstance(record, PurchaseChanged)}
        await _set_timers(conn, due)


def _birthday_timer(birthday: BirthdayProvided) -> tuple[str, str]:
    return birthday.customer_id, timer_name(BIRTHDAY, birthday.month_day)


def _purchase_timer(change: PurchaseChanged) -> tuple[str, str]:
    return change.customer_id, purchase_timer(change.order_id, change.version)


async def _set_timers(conn: Connection, due: Mapping[tuple[str, str], datetime]) -> None:
    """Set timers of the ledger by customer and name."""
    timers = {key: (SetTimer(key[1], due_at), None) for key, due_at in sorted(due.items())}
    await outbox.write_effects(conn, (), LEDGER, timers)
