"""Merged customers: orders, issues and counts of the former account are those of the account that remains."""

from typing import Any

import pytest

from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import CustomerMerged
from tests.intake.event_builders import CUSTOMER, NOON, ORDER, by_kafka, delivered, event, placed, shipped, submission
from tests.intake.service_calls import body, report, reported
from tests.intake.test_over_http import PHOTO
from tests.intake.test_withdrawals import withdraw
from tests.running import STOREFRONT, Live

REMAINING = "C-NEW"
TABLES = ("issues", "delivered_units")


async def merge(live: Live, former: str = CUSTOMER, remaining: str = REMAINING) -> None:
    fact = CustomerMerged(customer_id=remaining, merged_customer_id=former, merged_at=NOON)
    await live.service.execute(live.service.aggregates["customer_merges"], event(fact))


async def take(live: Live, *events: AnyEvent) -> None:
    for each in events:
        await live.service.execute(live.service.aggregates["orders"], each)


async def status_for(live: Live, address: str, customer_id: str) -> int:
    return (await live.client.get(f"{address}?customer_id={customer_id}", headers=STOREFRONT)).status_code


async def test_an_issue_of_a_merged_account_is_one_of_the_account_that_remains(live: Live) -> None:
    address = await reported(live)
    await merge(live)
    await merge(live)
    assert [await status_for(live, address, each) for each in (REMAINING, CUSTOMER, "C-OTHER")] == [200, 200, 404]


async def test_a_photo_can_be_added_under_the_former_id(live: Live) -> None:
    address = await reported(live)
    await merge(live)
    answers = [
        await live.client.post(f"{address}/photos?customer_id={customer_id}", files=PHOTO, headers=STOREFRONT)
        for customer_id in (CUSTOMER, "C-OTHER")
    ]
    assert [answer.status_code for answer in answers] == [201, 404]


async def test_a_report_can_be_withdrawn_under_the_former_id(live: Live) -> None:
    address = await reported(live)
    await merge(live)
    assert (await withdraw(live, address)).status_code == 202


async def test_a_link_to_the_report_form_works_after_a_merge(live: Live) -> None:
    link = {"order_id": ORDER, "customer_id": CUSTOMER}
    url = (await live.client.post("/v1/report-links", json=link, headers=STOREFRONT)).json()["url"]
    await merge(live)
    assert (await live.client.get(url)).status_code == 200


async def test_a_link_to_the_report_form_confirms_its_report_after_a_merge(live: Live) -> None:
    issue_id = (await reported(live)).rpartition("/")[2]
    link = {"order_id": ORDER, "customer_id": CUSTOMER}
    url = (await live.client.post("/v1/report-links", json=link, headers=STOREFRONT)).json()["url"]
    await merge(live)
    assert (await live.client.get(f"{url}/sent/{issue_id}")).status_code == 200


@pytest.mark.parametrize("customer_id", [REMAINING, CUSTOMER])
async def test_an_order_can_be_reported_under_either_id(live: Live, customer_id: str) -> None:
    await merge(live)
    assert (await report(live, body(1, customer_id=customer_id))).status_code == 202


async def test_a_merge_frees_no_unit_that_is_reported(live: Live) -> None:
    await report(live, body(2))
    await merge(live)
    assert (await report(live, body(1, customer_id=REMAINING))).status_code == 409


async def test_a_report_that_waits_for_its_order_follows_its_customer(live: Live) -> None:
    await take(live, by_kafka(submission(order_id="A-LATE")))
    await merge(live)
    await take(live, placed(order_id="A-LATE"), shipped(order_id="A-LATE"), delivered(order_id="A-LATE"))
    rows = await live.service.pool.fetch("SELECT customer_id, refusal_code FROM issues WHERE order_id = 'A-LATE'")
    assert [tuple(row) for row in rows] == [(REMAINING, None)]


@pytest.mark.parametrize("order", [(("b", "c"), (CUSTOMER, "b")), ((CUSTOMER, "b"), ("b", "c"))])
async def test_a_chain_in_any_order_ends_at_the_last_account(live: Live, order: Any) -> None:
    await reported(live)
    for former, remaining in order:
        await merge(live, former, remaining)
    for table in TABLES:
        query = f"SELECT DISTINCT customer_id FROM {table} WHERE order_id = $1"
        assert [row["customer_id"] for row in await live.service.pool.fetch(query, ORDER)] == ["c"], table


async def test_a_circle_of_merges_keeps_the_issue_with_one_account(live: Live) -> None:
    address = await reported(live)
    await merge(live)
    await merge(live, REMAINING, CUSTOMER)
    assert await live.service.pool.fetchval("SELECT customer_id FROM issues") == REMAINING
    assert await status_for(live, address, CUSTOMER) == 200
