"""Earlier purchases in the closing of a mail, from the orders that are known."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from libs.common.events.values import Language
from libs.common.postgres.pool import Connection
from services.delivery_notify.rendering.template_samples import sample_content
from services.delivery_notify.store.notice_queue import ClaimedNotice
from services.delivery_notify.store.purchases import with_purchases
from tests.conftest import MakeDatabase
from tests.delivery_notify.claimed_notices import HANAKO, claimed
from tests.delivery_notify.rendered_notices import RENDERER

NOON = datetime(2027, 3, 1, 3, tzinfo=UTC)


@pytest.fixture
async def conn(database: MakeDatabase) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(await database("delivery_notify"))
    yield connection
    await connection.close()


async def order(
    conn: Connection, number: int, item: str, days: int | None, customer: str = "C-1", more: str = ""
) -> None:
    order_id, placed_at = f"O-{number}", None if days is None else NOON + timedelta(days=days)
    await conn.execute(
        "INSERT INTO contacts (order_id, customer_id, placed_at) VALUES ($1, $2, $3)", order_id, customer, placed_at
    )
    body = f'{{"order_id": "{order_id}", "lines": [{{"line_id": "1", "name": "{item}", "quantity": 1{more}}}]}}'
    await conn.execute(
        "INSERT INTO conversations (key, version, body, customer_id) VALUES ($1, 1, $2, $3)", order_id, body, customer
    )


async def seen(conn: Connection, notice: ClaimedNotice, *, is_complete: bool = True) -> tuple[str | None, int | None]:
    (found,) = await with_purchases(conn, [notice], is_complete=is_complete)
    assert found.contact
    return found.contact.last_purchased_item, found.contact.purchase_count


async def test_the_order_before_this_one_names_the_item_and_the_number(conn: Connection) -> None:
    for number, item in enumerate(("cup", "pot", "plate", "bowl"), 1):
        await order(conn, number, item, number)
    assert await seen(conn, claimed(order_id="O-3")) == ("pot", 3)


async def test_a_first_order_has_nothing_before_it(conn: Connection) -> None:
    await order(conn, 1, "cup", 1)
    await order(conn, 2, "pot", 2)
    assert await seen(conn, claimed(order_id="O-1")) == (None, 1)


async def test_orders_are_not_counted_while_earlier_ones_may_be_unknown(conn: Connection) -> None:
    await order(conn, 1, "cup", 1)
    await order(conn, 2, "pot", 2)
    assert await seen(conn, claimed(order_id="O-2"), is_complete=False) == ("cup", None)


async def test_what_other_customers_bought_does_not_count(conn: Connection) -> None:
    await order(conn, 1, "cup", 1, "C-2")
    await order(conn, 2, "pot", 2)
    assert await seen(conn, claimed(order_id="O-2")) == (None, 1)


async def test_an_item_that_was_cancelled_was_not_bought(conn: Connection) -> None:
    await order(conn, 1, "cup", 1)
    await order(conn, 2, "pot", 2, more=', "cancelled": true')
    await order(conn, 3, "plate", 3)
    assert (await seen(conn, claimed(order_id="O-3")))[0] == "cup"


async def test_an_order_of_unknown_time_is_not_counted(conn: Connection) -> None:
    await order(conn, 1, "cup", 1)
    await order(conn, 2, "pot", None)
    assert await seen(conn, claimed(order_id="O-2")) == (None, None)


async def test_the_item_that_the_shop_states_takes_precedence(conn: Connection) -> None:
    await order(conn, 1, "cup", 1)
    await order(conn, 2, "pot", 2)
    stated = claimed(order_id="O-2", contact=replace(HANAKO, last_purchased_item="vase"))
    assert (await seen(conn, stated))[0] == "vase"


@pytest.mark.parametrize(("stated", "counted", "shown"), [(None, 3, "3rd"), (5, 3, "5th"), (None, None, "1st")])
def test_the_closing_of_a_mail_counts_the_order_where_the_shop_does_not(
    stated: int | None, counted: int | None, shown: str
) -> None:
    content = sample_content("points granted", Language.EN)
    content = replace(content, facts=replace(content.facts, purchase_count=stated), purchase_count=counted)
    text = RENDERER.render(content).text
    assert (f"Thank you for your {shown} order" in text) == bool(stated or counted)
