"""Batches of events on a ledger in a database, as its consumers write them."""

from collections.abc import Sequence
from datetime import datetime

from libs.common.decisions.facts import Record
from libs.common.events.registry import AnyEvent
from libs.common.postgres.pool import Connection
from services.loyalty.domain.ledger_rules import LedgerRules
from services.loyalty.store import queries
from services.loyalty.store.ledger import LedgerStore
from services.loyalty.store.orders import OrderStore
from tests.loyalty.histories import CUSTOMER, NOON, RULES

LEDGER = LedgerStore(LedgerRules(RULES.model_copy(update={"limits": None})))
"""Without rate limits, which would withhold most apologies of these tests."""


async def apply_batch(conn: Connection, events: Sequence[AnyEvent], now: datetime = NOON) -> list[Record]:
    """Apply one batch in a transaction and return its records."""
    keys = [customer_of(event) for event in events]
    records: list[Record] = []
    async with conn.transaction():
        accounts = await LEDGER.load(conn, sorted(set(keys)), events)
        for key, event in zip(keys, events, strict=True):
            accounts[key], facts = LEDGER.decide(accounts[key], event, now)
            records += [fact for fact in facts if isinstance(fact, Record)]
        await LEDGER.save(conn, accounts, records)
    return records


async def balance(conn: Connection, customer_id: str = CUSTOMER) -> tuple[int, int]:
    """Return pending and final points."""
    points = await queries.balance_of(conn, customer_id)
    return points["pending"], points["available"] + points["reserved"]


def customer_of(event: AnyEvent) -> str:
    return LEDGER.key_of(event) or event.subject or ""


ORDERS = OrderStore()


async def apply_to_orders(conn: Connection, *events: AnyEvent) -> None:
    """Apply storefront events of an order, one per batch."""
    for event in events:
        key = ORDERS.key_of(event) or ""
        async with conn.transaction():
            kept, facts = ORDERS.decide((await ORDERS.load(conn, [key], [event])).get(key), event, NOON)
            await ORDERS.save(conn, {key: kept}, [fact for fact in facts if isinstance(fact, Record)])
