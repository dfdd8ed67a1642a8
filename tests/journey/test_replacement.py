"""From a defective item to points."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from deploy.local.mailbox import Mailbox
from libs.common.events import carrier, payment, values, warehouse
from tests.conftest import MakeDatabase
from tests.journey.backbone import Backbone, backbone
from tests.running import STOREFRONT, eventually


@pytest.fixture
async def shop(
    database: MakeDatabase, kafka: str, topics: str, smtp: Mailbox, tmp_path: Path
) -> AsyncIterator[Backbone]:
    async with backbone(database, kafka, topics, tmp_path, smtp.url) as running:
        yield running


async def swap(shop: Backbone, issue_id: UUID) -> dict[str, Any]:
    """Play warehouse and courier from the order to the inspection; returns the replacement order."""
    now = datetime.now(UTC)
    ordered = await shop.wait_for("replacement.ordered", issue_id=issue_id)
    ids = {"issue_id": issue_id, "replacement_id": ordered["data"]["replacement_id"]}
    await shop.publish(
        warehouse.ReplacementConfirmed(**ids, ship_date=ordered["data"]["promised_ship_date"]), answers=ordered
    )
    # The date is in the first mail; a shipment at the same instant would be the news in its place.
    await shop.wait_for("notice.sent", issue_id=issue_id, kind="issue_accepted")
    await shop.publish(warehouse.ReplacementShipped(**ids, shipped_at=now, carrier="yamato"), answers=ordered)
    requested = await shop.wait_for("collection.requested", issue_id=issue_id)
    await shop.publish(carrier.ParcelDelivered(**ids, delivered_at=now), answers=requested)
    ids = {"issue_id": issue_id, "collection_id": requested["data"]["collection_id"]}
    window = values.TimeWindow(day=requested["data"]["earliest_date"])
    await shop.publish(carrier.CollectionBooked(**ids, window=window), answers=requested)
    await shop.publish(carrier.CollectionCollected(**ids, collected_at=now), answers=requested)
    # The warehouse speaks on another topic, and receives nothing before it was collected.
    await shop.wait_for("issue.collected", issue_id=issue_id)
    counted = ({"line_id": "1", "quantity": 1},)
    await shop.publish(warehouse.ItemReceived(issue_id=issue_id, lines=counted, received_at=now), answers=ordered)
    inspected = ({"line_id": "1", "quantity": 1, "condition": "scrap"},)
    await shop.publish(warehouse.ItemInspected(issue_id=issue_id, lines=inspected, inspected_at=now), answers=ordered)
    return ordered


@pytest.mark.parametrize("kind", ["missing", "another one each time"])
async def test_a_partner_that_answers_with_a_wrong_key_is_read_out_of_order_and_nothing_goes_wrong(
    shop: Backbone, kind: str
) -> None:
    await shop.place_order("order-1")
    shop.wrong_key = (lambda _: None) if kind == "missing" else lambda payload: f"{payload.TYPE} {uuid4()}"
    issue_id = await shop.report("order-1")
    await swap(shop, issue_id)
    await shop.wait_for("issue.resolved", issue_id=issue_id)
    await shop.wait_for("points.granted", customer_id="customer of order-1")
    for once in ("replacement.ordered", "collection.requested", "issue.replacement_shipped", "issue.item_received"):
        assert len(shop.events_of(once, issue_id=issue_id)) == 1, once
    keys = await shop.keys_of("warehouse.orders", "carrier.orders", "issues", "notices", "loyalty")
    assert keys == {b"customer of order-1"}


async def test_a_broken_item_is_replaced_first_collected_later_and_made_good_in_points(
    shop: Backbone, smtp: Mailbox
) -> None:
    await shop.place_order("order-1")
    issue_id = await shop.report("order-1")
    ordered = await swap(shop, issue_id)

    assert ordered["data"]["ship_to"]["name"] == "山田 花子"
    assert ordered["data"]["lines"][0]["sku"] == "SKU-1"
    left = await shop.wait_for("replacement.shipped", issue_id=issue_id)
    fetched = await shop.wait_for("collection.requested", issue_id=issue_id)
    assert fetched["time"] > left["time"]
    requested = fetched["data"]
    shipped = (await shop.wait_for("issue.replacement_shipped", issue_id=issue_id))["data"]
    assert date.fromisoformat(requested["earliest_date"]) >= date.fromisoformat(shipped["expected_delivery_date"])

    granted = await shop.wait_for("points.granted", issue_id=issue_id)
    assert granted["data"]["points"] > 0
    resolved = await shop.wait_for("notice.sent", issue_id=issue_id, kind="issue_resolved")
    assert resolved["data"]["language"] == "ja"
    expected = {
        "issue.reported", "issue.accepted", "issue.replacement_ordered", "issue.replacement_promised",
        "issue.replacement_shipped", "issue.collection_requested", "issue.replacement_delivered",
        "issue.collection_booked", "issue.collected", "issue.item_received", "issue.item_inspected",
        "issue.resolved", "points.granted", "notice.sent",
    }  # fmt: skip

    async def complete() -> bool:
        return expected <= set(await shop.timeline(issue_id))

    await eventually(complete, "the timeline is complete")
    answer = await shop.intake.client.get(f"/v1/issues/{issue_id}", headers=STOREFRONT)
    assert answer.json()["status"] == "resolved"
    bought = await shop.wait_for("points.granted", kind="purchase", order_id="order-1")
    balance = await shop.loyalty.client.get("/v1/customers/customer of order-1/balance", headers=STOREFRONT)
    assert balance.json()["total"] == granted["data"]["points"] + bought["data"]["points"]
    sent = shop.events_of("notice.sent", issue_id=issue_id)
    assert len(smtp.messages) == len(sent)
    assert all(message["To"].endswith("<hanako@example.jp>") for message in smtp.messages)


async def test_events_published_twice_have_one_effect(shop: Backbone) -> None:
    await shop.place_order("order-1")
    issue_id = await shop.report("order-1")
    ordered = await swap(shop, issue_id)
    await shop.wait_for("points.granted", issue_id=issue_id)
    await swap(shop, issue_id)
    await shop.place_order("order-2")
    await swap(shop, await shop.report("order-2"))
    await shop.wait_for("points.granted", customer_id="customer of order-2")
    for type_ in ("replacement.ordered", "collection.requested", "points.granted", "issue.resolved"):
        assert len(shop.events_of(type_, issue_id=issue_id)) == 1, type_
    assert ordered["data"]["issue_id"] == str(issue_id)


async def test_personal_data_is_on_no_topic_that_does_not_move_goods(shop: Backbone) -> None:
    await shop.place_order("order-1")
    issue_id = await shop.report("order-1")
    await swap(shop, issue_id)
    await shop.wait_for("points.granted", issue_id=issue_id)
    await shop.wait_for("notice.sent", issue_id=issue_id, kind="issue_resolved")
    for event in shop.events:
        if event["topic"] in ("issues", "notices", "loyalty"):
            assert not any(secret in str(event) for secret in ("山田", "hanako@", "神宮前", "150-0001")), event


async def test_an_item_out_of_stock_is_the_customers_choice_and_the_refund_follows_the_receipt(
    shop: Backbone, smtp: Mailbox
) -> None:
    await shop.place_order("order-1")
    issue_id = await shop.report("order-1")
    ordered = await shop.wait_for("replacement.ordered", issue_id=issue_id)
    restock = datetime.now(UTC).date() + timedelta(days=9)
    rejected = warehouse.ReplacementRejected(
        issue_id=issue_id, replacement_id=ordered["data"]["replacement_id"], restock_date=restock
    )
    await shop.publish(rejected, answers=ordered)
    await shop.wait_for("notice.sent", issue_id=issue_id, kind="choice_requested")
    link = _link_in(smtp)
    page = await shop.delivery_notify.client.get(link)
    assert page.status_code == 200
    await shop.delivery_notify.client.post(link, data={"choice": "refund"})
    await shop.wait_for("customer.decided", issue_id=issue_id, choice="refund")
    fetched = await shop.wait_for("collection.requested", issue_id=issue_id)
    assert shop.events_of("refund.requested") == []
    counted = ({"line_id": "1", "quantity": 1},)
    received = warehouse.ItemReceived.model_validate(
        {"issue_id": issue_id, "lines": counted, "received_at": datetime.now(UTC)}
    )
    await shop.publish(received, answers=fetched)
    requested = await shop.wait_for("refund.requested", issue_id=issue_id)
    assert requested["data"]["amount"] == {"amount": "4980", "currency": "JPY"}
    done = payment.RefundCompleted(
        issue_id=issue_id, refund_id=requested["data"]["refund_id"], amount=requested["data"]["amount"],
        completed_at=datetime.now(UTC),
    )  # fmt: skip
    await shop.publish(done, answers=requested)
    await shop.wait_for("issue.refunded", issue_id=issue_id)


def _link_in(smtp: Mailbox) -> str:
    """The link to the choice page in the newest mail that has one."""
    for mail in reversed(smtp.messages):
        body = mail.get_body(("plain",))
        if body and (link := re.search(r"http://service(/c/\S+)", body.get_content())):
            return link[1]
    raise AssertionError("no mail has a link")
