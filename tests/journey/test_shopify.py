"""A Shopify shop by webhooks alone: sold, delivered and reported there, replaced here."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.conftest import MakeDatabase
from tests.intake.storefronts.calls import SETTINGS, shop_fulfillment, shop_order, shop_return, shopify
from tests.journey.backbone import backbone
from tests.running import eventually


async def test_an_order_by_webhook_reaches_every_service(
    database: MakeDatabase, kafka: str, topics: str, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    sent, arrived = (now - timedelta(days=2)).isoformat(), now.isoformat()
    delivered = shop_fulfillment(created_at=sent, updated_at=arrived, shipment_status="delivered")
    order_id = str(shop_order()["id"])
    async with backbone(database, kafka, topics, tmp_path, **SETTINGS) as system:
        await shopify(system.intake, "orders/create", shop_order(processed_at=sent))
        for _ in range(2):  # Shopify repeats itself
            await shopify(system.intake, "fulfillments/update", delivered)

        async def returned() -> bool:
            return (await shopify(system.intake, "returns/request", shop_return())).status_code == 202

        await eventually(returned, "intake has heard of the order, by way of its topic")
        accepted = await system.wait_for("issue.accepted", order_id=order_id, reason="defective")
        replacement = await system.wait_for("replacement.ordered", issue_id=accepted["data"]["issue_id"])
        assert replacement["data"]["ship_to"]["street"] == "神宮前1-2-3"
        assert len(system.events_of("order.delivered", order_id=order_id)) == 1
