"""Birthdays in the database: the newest by the time of the customer's order counts, in any order of arrival."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from itertools import permutations

import asyncpg
import pytest

from libs.common.decisions.facts import Record
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import OrderPlaced
from libs.common.postgres.pool import Connection
from services.loyalty.store.orders import OrderStore
from tests.loyalty.histories import CUSTOMER, NOON, event
from tests.loyalty.histories import placed as placed_on_one_day

ORDERS = OrderStore()


@pytest.fixture
async def conn(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(await database("loyalty"))
    yield connection
    await connection.close()


def placed(order_id: str, birthday: str | None, day: int) -> AnyEvent:
    order = placed_on_one_day(order_id, birthday=birthday)
    assert isinstance(order.data, OrderPlaced)
    return event(order.data.model_copy(update={"placed_at": NOON + timedelta(days=day)}))


async def apply(conn: Connection, events: Sequence[AnyEvent]) -> None:
    """Apply one batch of orders in a transaction."""
    async with conn.transaction():
        keys = [ORDERS.key_of(each) or "" for each in events]
        stored = await ORDERS.load(conn, sorted(keys), events)
        records: list[Record] = []
        for key, each in zip(keys, events, strict=True):
            stored[key], facts = ORDERS.decide(stored.get(key), each, NOON)
            records += [fact for fact in facts if isinstance(fact, Record)]
        await ORDERS.save(conn, stored, records)


async def birthday_of(conn: Connection) -> str | None:
    found: str | None = await conn.fetchval("SELECT month_day FROM birthdays WHERE customer_id = $1", CUSTOMER)
    return found


async def timers(conn: Connection) -> list[str]:
    return [row["name"] for row in await conn.fetch("SELECT name FROM timers WHERE name LIKE 'birthday:%' ORDER BY 1")]


async def test_a_birthday_is_stored_with_a_timer_of_the_ledger(conn: Connection) -> None:
    await apply(conn, [placed("A-1", "02-29", 0)])
    assert (await birthday_of(conn), await timers(conn)) == ("02-29", ["birthday:02-29"])


async def test_an_order_without_a_birthday_leaves_it_as_it_is(conn: Connection) -> None:
    await apply(conn, [placed("A-1", "02-29", 0)])
    await apply(conn, [placed("A-2", None, 1)])
    assert await birthday_of(conn) == "02-29"


HISTORY = [placed("A-1", "01-01", 1), placed("A-2", "02-02", 2), placed("A-3", "03-03", 3)]


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_the_birthday_of_the_newest_order_counts_in_any_order_of_arrival(
    conn: Connection, order: tuple[int, ...]
) -> None:
    for index in order:
        await apply(conn, [HISTORY[index]])
    assert await birthday_of(conn) == "03-03"


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_the_birthday_of_the_newest_order_of_a_batch_counts(conn: Connection, order: tuple[int, ...]) -> None:
    await apply(conn, [HISTORY[index] for index in order])
    assert await birthday_of(conn) == "03-03"


async def test_a_birthday_given_again_at_the_same_time_is_the_one_that_was_sent_last(conn: Connection) -> None:
    await apply(conn, [placed("A-1", "01-01", 1)])
    await apply(conn, [placed("A-2", "02-02", 1)])
    assert await birthday_of(conn) == "02-02"
