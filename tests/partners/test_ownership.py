"""Ids of other partners: orders of another storefront, and issues, return slips and counts of another warehouse."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.conftest import MakeDatabase
from tests.contracts.reading import sample
from tests.partners.service import doors, event, give, partners_toml, payload, post, published
from tests.running import Live

ORDER = sample("order.placed.v1")["data"]["order_id"]


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with doors(await database("partners")) as running:
        yield running


def shop_event(name: str, shop: str, **changes: Any) -> dict[str, Any]:
    return event(name, source=f"/{shop}", id=f"{name}-of-{shop}", **changes)


def fields(answer: Any) -> list[str]:
    return [each["field"] for each in answer.json()["results"][0]["errors"]]


async def test_internal_events_make_no_order_a_storefronts_own(live: Live) -> None:
    await post(live, "shop", shop_event("order.placed.v1", "shop"))
    await give(live, payload("issue.accepted.v1", order_id=ORDER))
    foreign = await post(live, "second-shop", shop_event("order.cancelled.v1", "second-shop", order_id=ORDER))
    own = await post(live, "shop", shop_event("order.cancelled.v1", "shop", order_id=ORDER))
    assert (foreign.status_code, fields(foreign), own.status_code) == (422, ["data.order_id"], 202)


async def test_an_order_that_was_placed_on_kafka_is_open_to_any_storefront(live: Live) -> None:
    await give(live, payload("issue.accepted.v1", order_id=ORDER))
    answer = await post(live, "second-shop", shop_event("order.cancelled.v1", "second-shop", order_id=ORDER))
    assert answer.status_code == 202


async def test_of_two_storefronts_that_place_an_order_at_a_time_one_owns_it(live: Live) -> None:
    for number in range(5):
        placed = [
            shop_event("order.placed.v1", shop, order_id=f"O-{number}") | {"id": f"{shop}-{number}"}
            for shop in ("shop", "second-shop")
        ]
        answers = await asyncio.gather(post(live, "shop", placed[0]), post(live, "second-shop", placed[1]))
        assert sorted(each.status_code for each in answers) == [202, 422]
    assert len(await published(live)) == 5
    rows = await live.service.pool.fetch("SELECT kind FROM given WHERE id LIKE 'O-%'")
    assert sorted(row["kind"] for row in rows) == ["order_id"] * 5 + ["placed_order"] * 5


async def test_events_of_an_order_in_one_call_have_one_key(live: Live) -> None:
    delivered = shop_event("order.delivered.v1", "shop", order_id=ORDER)
    delivered["data"].pop("customer_id", None)
    await post(live, "shop", [shop_event("order.placed.v1", "shop"), delivered])
    assert len({key for _, key, _ in await published(live)}) == 1


async def test_a_refused_order_is_not_claimed(live: Live) -> None:
    await post(live, "second-shop", event("order.placed.v1", source="/shop", id="false-name"))
    assert (await post(live, "shop", shop_event("order.placed.v1", "shop"))).status_code == 202


async def test_a_storefront_cannot_merge_customers_of_another(live: Live) -> None:
    merged = {"customer_id": "C-1001", "merged_customer_id": "C-9"}
    await post(live, "shop", shop_event("order.placed.v1", "shop", customer_id="C-1001"))
    foreign = await post(live, "second-shop", shop_event("customer.merged.v1", "second-shop", **merged))
    own = await post(live, "shop", shop_event("customer.merged.v1", "shop", **merged))
    assert (foreign.status_code, fields(foreign), own.status_code) == (422, ["data.customer_id"], 202)


@pytest.fixture
async def narrow(database: MakeDatabase) -> AsyncIterator[Live]:
    """Two warehouses, of which only `acme` is given replacements."""
    roles = partners_toml(acme="warehouse") + "\n" + partners_toml(**{"other-warehouse": "warehouse"})
    async with doors(await database("partners"), partners=roles + "\nreceives = []") as running:
        await give(running, payload("replacement.ordered.v1", return_slip="RS-1"))
        yield running


ISSUE = sample("replacement.ordered.v1")["data"]["issue_id"]


@pytest.mark.parametrize("name", ["item.received.v1", "item.inspected.v1"])
async def test_a_count_of_an_issue_that_no_warehouse_was_given_is_taken(live: Live, name: str) -> None:
    assert (await post(live, "acme", event(name))).status_code == 202


@pytest.mark.parametrize("name", ["item.received.v1", "item.inspected.v1"])
async def test_a_count_of_an_issue_of_another_warehouse_is_refused(narrow: Live, name: str) -> None:
    foreign = await post(narrow, "other-warehouse", event(name, source="/other-warehouse", id="foreign"))
    own = await post(narrow, "acme", event(name))
    assert (foreign.status_code, "data.issue_id" in fields(foreign), own.status_code) == (422, True, 202)


async def test_ids_in_lines_and_on_return_slips_are_checked(narrow: Live) -> None:
    lines = [{"line_id": "1", "quantity": 1}, {"line_id": "1", "quantity": 1, "issue_id": ISSUE}]
    papers = {"issue_id": None, "order_id": None, "replacement_id": None, "tracking_number": None}
    count = event("item.received.v1", source="/other-warehouse", lines=lines, return_slip="RS-1", **papers)
    assert fields(await post(narrow, "other-warehouse", count)) == ["data.return_slip", "data.lines.1.issue_id"]
    unknown = event("item.received.v1", source="/other-warehouse", id="u", return_slip="RS-2", **papers)
    assert (await post(narrow, "other-warehouse", unknown)).status_code == 202


async def test_a_shipment_of_an_issue_that_was_not_given_is_refused(live: Live) -> None:
    answer = await post(live, "acme", event("replacement.shipped.v1"))
    assert fields(answer) == ["data.issue_id", "data.replacement_id"]
