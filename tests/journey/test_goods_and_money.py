"""Goods and money, counted per unit and moved by the policy: by reason, group and value."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import pytest

from libs.common.events import carrier, payment
from libs.common.events.values import Condition, RawStatus
from tests.conftest import MakeDatabase
from tests.journey.backbone import Backbone, backbone, line
from tests.journey.partners import JourneyPartners
from tests.running import OPS, eventually


@pytest.fixture
async def shop(database: MakeDatabase, kafka: str, topics: str, tmp_path: Path) -> AsyncIterator[Backbone]:
    async with backbone(database, kafka, topics, tmp_path) as running:
        yield running


async def test_two_pieces_come_back_one_by_one_and_each_is_paid_when_it_was_counted(shop: Backbone) -> None:
    await shop.place_order("order-1", line("1", 2))
    issue_id = await shop.report("order-1", "changed_mind", 2)
    partners = JourneyPartners(shop, issue_id)
    requested = (await shop.wait_for("collection.requested", issue_id=issue_id))["data"]
    assert shop.events_of("refund.requested", issue_id=issue_id) == []  # nothing was counted yet

    await partners.receive("first")  # before any collection was published
    first = (await shop.wait_for("refund.requested", issue_id=issue_id))["data"]
    assert first["amount"]["amount"] == "4980"
    at_the_gate = RawStatus(source="easypost", code="delivered")
    await shop.publish(
        carrier.ParcelScanned(
            issue_id=issue_id, collection_id=requested["collection_id"], raw=at_the_gate, scanned_at=datetime.now(UTC)
        )
    )
    await shop.wait_for("issue.collected", issue_id=issue_id)  # the box is there: neither counted nor inspected
    await partners.receive("a brick", sku="BRICK")
    await shop.wait_for("issue.review_requested", issue_id=issue_id, cause="unexpected_item")
    await partners.receive("second")
    await eventually(lambda: _refunds(shop, issue_id), "both refunds are asked for")
    await partners.inspect(2)
    for event in shop.events_of("refund.requested", issue_id=issue_id):
        fields = {name: event["data"][name] for name in ("issue_id", "refund_id", "amount")}
        await shop.publish(payment.RefundCompleted(**fields, completed_at=datetime.now(UTC)))
    assert (await partners.decide("approve_review", review="unexpected_item"))["applied"]
    await shop.wait_for("issue.resolved", issue_id=issue_id)

    shown = (await shop.returns.client.get(f"/v1/cases/{issue_id}", headers=OPS)).json()["quantities"]["1"]
    assert (shown["reported"], shown["money"]) == (2, {"requested": 2, "completed": 2, "failed": 0})
    back = shown["inbound"]
    assert (back["received"], back["other_items"], back["inspected"]) == (2, 1, {"sellable": 2})


async def _refunds(shop: Backbone, issue_id: UUID) -> bool:
    return len({event["data"]["refund_id"] for event in shop.events_of("refund.requested", issue_id=issue_id)}) == 2


async def test_what_is_not_worth_a_courier_may_be_kept(shop: Backbone) -> None:
    await shop.place_order("order-1", line("1", price="980", product_group="stationery"))
    issue_id = await shop.report("order-1")
    partners = JourneyPartners(shop, issue_id)
    await partners.deliver(await partners.ship())
    await shop.wait_for("issue.resolved", issue_id=issue_id)
    assert shop.events_of("collection.requested", issue_id=issue_id) == []


async def test_of_a_missing_part_only_the_part_is_sent_and_of_a_wrong_item_what_came_is_fetched(shop: Backbone) -> None:
    for order_id in ("order-1", "order-2"):
        await shop.place_order(order_id)
    part = [{"line_id": "1", "quantity": 1, "part": "蓋"}]
    lid = JourneyPartners(shop, await shop.report("order-1", "missing_part", lines=part))
    came = {"sku": "MUG-9", "name": "湯呑み"}
    wrong = JourneyPartners(
        shop,
        await shop.report("order-2", "wrong_item", lines=[{"line_id": "1", "quantity": 1, "received_instead": came}]),
    )

    sent = await lid.ship()
    assert [sent_line["part"] for sent_line in sent["lines"]] == ["蓋"]
    await lid.deliver(sent)
    await shop.wait_for("issue.resolved", issue_id=lid.issue_id)
    assert shop.events_of("collection.requested", issue_id=lid.issue_id) == []
    assert (await wrong.ship())["lines"][0]["sku"] == "SKU-1"
    [fetched] = (await shop.wait_for("collection.requested", issue_id=wrong.issue_id))["data"]["lines"]
    assert (fetched["sku"], fetched["instead_of"]) == ("MUG-9", "SKU-1")


async def test_a_lost_parcel_is_collected_once_it_is_found_and_staff_approve(shop: Backbone) -> None:
    await shop.place_order("order-1")
    issue_id = await shop.report("order-1", "lost_in_transit")
    partners = JourneyPartners(shop, issue_id)
    await partners.deliver(await partners.ship())
    await shop.wait_for("issue.resolved", issue_id=issue_id)
    assert shop.events_of("collection.requested", issue_id=issue_id) == []

    await shop.publish(carrier.ParcelFound(issue_id=issue_id, with_customer=True, found_at=datetime.now(UTC)))
    await shop.wait_for("issue.review_requested", issue_id=issue_id, cause="parcel_found")
    assert (await partners.decide("approve_review", review="parcel_found"))["applied"]
    await shop.wait_for("issue.reopened", issue_id=issue_id)
    await shop.wait_for("collection.requested", issue_id=issue_id)
    await partners.receive("found")
    await shop.wait_for("issue.item_received", issue_id=issue_id)


async def test_a_replacement_that_is_broken_too_is_reported_and_one_visit_fetches_both(shop: Backbone) -> None:
    await shop.place_order("order-1")
    first = JourneyPartners(shop, await shop.report("order-1"))
    tomorrow = datetime.now(UTC).date()
    await first.deliver(await first.ship(expected_delivery_date=tomorrow))
    one_visit = (await shop.wait_for("collection.requested", issue_id=first.issue_id))["data"]

    async def taken() -> UUID | None:
        answer = await shop.post_report("order-1")
        return UUID(answer.json()["issue_id"]) if answer.status_code == 202 else None

    again = await eventually(taken, "intake knows that the replacement is there, and takes a report about it")
    assert again
    assert again != first.issue_id
    second = JourneyPartners(shop, again)
    await second.ship(expected_delivery_date=date.fromisoformat(one_visit["earliest_date"]))
    requested = (await shop.wait_for("collection.requested", issue_id=second.issue_id))["data"]
    assert (requested["visit_id"], requested["earliest_date"]) == (one_visit["visit_id"], one_visit["earliest_date"])


async def test_an_inspection_that_finds_something_else_is_reviewed_by_staff(shop: Backbone) -> None:
    await shop.place_order("order-1")
    issue_id = await shop.report("order-1")
    partners = JourneyPartners(shop, issue_id)
    await partners.deliver(await partners.ship())
    await partners.receive("back")
    await partners.inspect(1, Condition.NOT_AS_REPORTED)
    review = (await shop.wait_for("issue.review_requested", issue_id=issue_id, cause="inspection_mismatch"))["data"]
    assert review["due_at"] > datetime.now(UTC).isoformat()
    assert (await partners.decide("refuse_review", review="inspection_mismatch"))["applied"]
    assert (await shop.wait_for("issue.cancelled", issue_id=issue_id))["data"]["cause"] == "not_as_reported"
    assert shop.events_of("issue.resolved", issue_id=issue_id) == []
