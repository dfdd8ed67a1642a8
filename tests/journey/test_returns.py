"""Complete returns on real servers: parts and variants, collection, staff decisions, exposure."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from deploy.local.mailbox import Mailbox
from libs.common.events import carrier, issues, notices, values, warehouse
from tests.conftest import MakeDatabase
from tests.journey.backbone import Backbone, backbone, line
from tests.running import OPS, eventually

NAVY = values.Variant(sku="SKU-1-NAVY", name="南部鉄器 急須(紺)")


@pytest.fixture
async def shop(
    database: MakeDatabase, kafka: str, topics: str, smtp: Mailbox, tmp_path: Path
) -> AsyncIterator[Backbone]:
    async with backbone(database, kafka, topics, tmp_path, smtp.url) as running:
        yield running


def pieces(quantity: int) -> tuple[values.LineQuantity, ...]:
    return (values.LineQuantity(line_id="1", quantity=quantity),)


async def quantities(shop: Backbone, issue_id: UUID) -> dict[str, dict[str, int]]:
    answer = await shop.returns.client.get(f"/v1/cases/{issue_id}", headers=OPS)
    return answer.json()["quantities"]["1"]  # type: ignore[no-any-return]


async def decide(shop: Backbone, issue_id: UUID, action: str, **more: str) -> int:
    body = {"action": action, "staff": "ops-1", "comment": "The customer called.", **more}
    headers = {**OPS, "Idempotency-Key": f"{issue_id} {action}"}
    answer = await shop.returns.client.post(f"/v1/cases/{issue_id}/decisions", json=body, headers=headers)
    return answer.status_code


async def test_one_piece_is_short_and_another_colour_follows(shop: Backbone) -> None:
    await shop.place_order("order-1", line("1", 3))
    issue_id = await shop.report("order-1", quantity=3)
    ordered = (await shop.wait_for("replacement.ordered", issue_id=issue_id))["data"]
    ids = {"issue_id": issue_id, "replacement_id": ordered["replacement_id"]}
    now = datetime.now(UTC)
    await shop.publish(warehouse.ReplacementRejected(**ids, lines=pieces(1), variants=(NAVY,)))
    requested = (await shop.wait_for("issue.choice_requested", issue_id=issue_id))["data"]
    assert requested["options"] == ["change", "refund"]

    await shop.publish(warehouse.ReplacementShipped(**ids, shipped_at=now, lines=pieces(2), shipment_id="box-1"))
    await shop.wait_for("issue.replacement_part_shipped", issue_id=issue_id)
    about = {"order_id": "order-1", "customer_id": "customer of order-1", "issue_id": issue_id}
    choice = {"choice_id": requested["choice_id"], "choice": values.Choice.CHANGE, "requested_sku": NAVY.sku}
    await shop.publish(notices.CustomerDecided(**about, **choice, decided_at=now))
    await shop.publish(carrier.ParcelDelivered(**ids, shipment_id="box-1", delivered_at=now))

    async def navy_ordered() -> dict[str, object] | None:
        orders = shop.events_of("replacement.ordered", issue_id=issue_id)
        return next((each["data"] for each in orders if each["data"]["lines"][0]["sku"] == NAVY.sku), None)

    second = await eventually(navy_ordered, "the navy one is ordered")
    assert second
    ids = {"issue_id": issue_id, "replacement_id": UUID(str(second["replacement_id"]))}
    await shop.publish(warehouse.ReplacementShipped(**ids, shipped_at=now))
    await shop.publish(carrier.ParcelDelivered(**ids, delivered_at=now))
    fetched = (await shop.wait_for("collection.requested", issue_id=issue_id))["data"]
    assert fetched["lines"][0]["quantity"] == 3
    await shop.wait_for("issue.replacement_delivered", issue_id=issue_id)
    assert (await quantities(shop, issue_id))["outbound"]["delivered"] == 3


async def test_the_customer_picks_a_window_misses_it_and_staff_waive_the_collection(shop: Backbone) -> None:
    await shop.place_order("order-1")
    issue_id = await shop.report("order-1")
    ordered = (await shop.wait_for("replacement.ordered", issue_id=issue_id))["data"]
    ids = {"issue_id": issue_id, "replacement_id": ordered["replacement_id"]}
    now = datetime.now(UTC)
    await shop.publish(
        warehouse.ReplacementShipped(**ids, shipped_at=now, carrier="yamato", expected_delivery_date=now.date())
    )
    first = (await shop.wait_for("collection.requested", issue_id=issue_id, attempt=1))["data"]
    assert first["swap_with"] == ordered["replacement_id"]

    day = date.fromisoformat(first["earliest_date"]) + timedelta(days=2)
    window = values.TimeWindow(day=day, from_hour=18, to_hour=20)
    about = {"issue_id": issue_id, "order_id": "order-1", "customer_id": "customer of order-1"}
    await shop.publish(issues.IssueCollectionWindowChosen(**about, window=window, chosen_at=now))
    second = (await shop.wait_for("collection.requested", issue_id=issue_id, attempt=2))["data"]
    assert (second["earliest_date"], second.get("swap_with")) == (str(day), None)
    raw = values.RawStatus(source="yamato", code="配達完了")
    await shop.publish(carrier.ParcelScanned(**ids, raw=raw, scanned_at=now))
    await shop.wait_for("issue.replacement_delivered", issue_id=issue_id)
    missed = {"issue_id": issue_id, "collection_id": first["collection_id"], "cause": "nobody_home"}
    await shop.publish(carrier.CollectionAttemptFailed(**missed, attempted_at=datetime.now(UTC), attempt=2))
    attempted = (await shop.wait_for("issue.collection_attempted", issue_id=issue_id))["data"]
    assert attempted["next_date"]

    assert await decide(shop, issue_id, "waive_collection") == 200
    applied = (await shop.wait_for("issue.staff_decision_applied", issue_id=issue_id))["data"]
    assert (applied["applied"], applied["staff"]) == (True, "ops-1")
    await shop.wait_for("collection.cancelled", issue_id=issue_id)
    await shop.wait_for("issue.resolved", issue_id=issue_id)


async def test_over_the_exposure_limit_staff_decide_and_nothing_is_refused(shop: Backbone) -> None:
    await shop.place_order("order-1", line("1", price="60000"))
    issue_id = await shop.report("order-1", "wrong_item")
    await shop.wait_for("replacement.ordered", issue_id=issue_id)  # what they bought carries it
    for order in ("order-2", "order-3"):
        await shop.place_order(order, line("1", price="60000"), customer_id="customer of order-1")
    found = [
        await shop.report(order, "wrong_item", customer_id="customer of order-1") for order in ("order-2", "order-3")
    ]
    held = (await shop.wait_for("issue.review_requested", cause="exposure"))["data"]
    assert held["due_at"] > datetime.now(UTC).isoformat()
    assert UUID(held["issue_id"]) in found
    assert not shop.events_of("replacement.ordered", issue_id=held["issue_id"])
    assert await decide(shop, UUID(held["issue_id"]), "approve_review", review="exposure") == 200
    await shop.wait_for("replacement.ordered", issue_id=held["issue_id"])
