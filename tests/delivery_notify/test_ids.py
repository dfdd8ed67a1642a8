"""Ids of a shop with a slash: each route finds them."""

from urllib.parse import quote

import pytest

from tests.conftest import MakeDatabase
from tests.delivery_notify.conversation_driver import placed
from tests.delivery_notify.service import notifying, take
from tests.running import OPS, STOREFRONT

ORDER, CUSTOMER = "SO/2026/0001", "GUEST/1"


@pytest.mark.parametrize("path", ["notices", "promises"])
async def test_an_order_id_with_slashes_is_found(database: MakeDatabase, path: str) -> None:
    async with notifying(await database("delivery_notify")) as live:
        await take(live, placed().model_copy(update={"order_id": ORDER, "customer_id": CUSTOMER}))
        answer = await live.client.get(f"/v1/orders/{quote(ORDER, safe='')}/{path}", headers=OPS)
    assert answer.status_code == 200


async def test_a_customer_id_with_a_slash_has_preferences(database: MakeDatabase) -> None:
    address = f"/v1/customers/{quote(CUSTOMER, safe='')}/preferences"
    async with notifying(await database("delivery_notify")) as live:
        headers = {**STOREFRONT, "Idempotency-Key": "k"}
        put = await live.client.put(address, json={"channels": ["email"]}, headers=headers)
        got = await live.client.get(address, headers=STOREFRONT)
    assert (put.status_code, put.json()["customer_id"], got.status_code) == (200, CUSTOMER, 200)
