"""Read routes for storefront and ops."""

import pytest

from tests.conftest import MakeDatabase
from tests.delivery_notify.conversation_driver import ORDER
from tests.delivery_notify.service import notifying, settled, take
from tests.delivery_notify.test_sender import later, order, soon
from tests.running import OPS, STOREFRONT


async def test_the_notices_of_an_order_are_listed_without_personal_data(database: MakeDatabase) -> None:
    async with notifying(await database("delivery_notify")) as live:
        await take(live, order(), later())
        await settled(live)
        answer = await live.client.get(f"/v1/orders/{ORDER}/notices", headers=STOREFRONT)
    assert [(n["kind"], n["status"]) for n in answer.json()["notices"]] == [("order_delayed", "sent")]
    assert "hanako" not in answer.text
    assert "花子" not in answer.text


async def test_a_notice_of_a_newer_version_is_listed_with_its_kind(database: MakeDatabase) -> None:
    async with notifying(await database("delivery_notify")) as live:
        await take(live, order(), later())
        await settled(live)
        await live.service.pool.execute("UPDATE notices SET kind = 'order_praised'")
        answer = await live.client.get(f"/v1/orders/{ORDER}/notices", headers=STOREFRONT)
    assert (answer.status_code, answer.json()["notices"][0]["kind"]) == (200, "order_praised")


async def test_the_promises_of_an_order_are_listed(database: MakeDatabase) -> None:
    async with notifying(await database("delivery_notify")) as live:
        await take(live, order(), later())
        answer = await live.client.get(f"/v1/orders/{ORDER}/promises", headers=OPS)
    dates = [row["day"] for row in answer.json()["promises"]]
    assert dates == [soon(7).isoformat(), soon(14).isoformat()]


@pytest.mark.parametrize("what", ["notices", "promises"])
async def test_an_unknown_order_is_not_found(database: MakeDatabase, what: str) -> None:
    async with notifying(await database("delivery_notify")) as live:
        answer = await live.client.get(f"/v1/orders/O-9/{what}", headers=OPS)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_order")


async def test_only_the_storefront_and_ops_may_ask(database: MakeDatabase) -> None:
    async with notifying(await database("delivery_notify")) as live:
        answer = await live.client.get(f"/v1/orders/{ORDER}/notices")
    assert answer.status_code == 401
