"""A replacement, shipped and collected by partners that have no Kafka client."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.conftest import MakeDatabase
from tests.journey.backbone import Backbone, backbone
from tests.journey.http_partners import HttpPartners, http_partners
from tests.journey.test_replacement import swap
from tests.running import eventually


@pytest.fixture
async def shop(database: MakeDatabase, kafka: str, topics: str, tmp_path: Path) -> AsyncIterator[Backbone]:
    async with backbone(database, kafka, topics, tmp_path) as running:
        yield running


@pytest.fixture
async def partners(database: MakeDatabase, shop: Backbone) -> AsyncIterator[HttpPartners]:
    async with http_partners(database, shop) as running:
        yield running


async def test_a_replacement_is_shipped_by_partners_that_speak_only_http(
    shop: Backbone, partners: HttpPartners
) -> None:
    await shop.place_order("order-1")
    issue_id = await shop.report("order-1")
    ordered = await swap(shop, issue_id)
    await shop.wait_for("points.granted", issue_id=issue_id)

    hook = next(each for each in partners.warehouse.hooks if each.id == ordered["id"])
    event = Webhook(partners.secret).verify(hook.body, hook.headers)
    assert event == {name: ordered[name] for name in event}
    assert hook.headers["traceparent"][:35] == ordered["traceparent"][:35]
    assert len(partners.warehouse.ids) == len(set(partners.warehouse.ids))
    assert await shop.keys_of("storefront.orders", "warehouse.events", "carrier.events") == {b"customer of order-1"}
    assert shop.events_of("event.rejected") == []
    for once in ("replacement.ordered", "collection.requested", "issue.replacement_shipped", "issue.item_received"):
        assert len(shop.events_of(once, issue_id=issue_id)) == 1, once


async def test_a_repeated_call_of_a_partner_has_one_effect(shop: Backbone, partners: HttpPartners) -> None:
    await shop.place_order("order-1")
    issue_id = await shop.report("order-1")
    ordered = await shop.wait_for("replacement.ordered", issue_id=issue_id)
    await partners.wait_for("acme", ordered["id"])
    ids = {"issue_id": str(issue_id), "replacement_id": ordered["data"]["replacement_id"]}
    shipped = {
        "specversion": "1.0", "id": "ship-1", "source": "/acme", "type": "replacement.shipped.v1",
        "time": ordered["time"], "data": {**ids, "shipped_at": ordered["time"], "carrier": "yamato"},
    }  # fmt: skip
    path, headers = "/v1/partner/acme/events", {"Authorization": "Bearer key-of-acme-for-tests-only"}
    for body in (shipped, [shipped], [shipped, {**shipped, "id": "ship-2"}]):
        answer = await partners.gateway.client.post(path, content=json.dumps(body), headers=headers)
        assert answer.status_code == 202
    await shop.wait_for("issue.replacement_shipped", issue_id=issue_id)
    await shop.wait_for("collection.requested", issue_id=issue_id)

    async def is_read() -> bool:
        ids = [each["id"] for each in shop.events if each["topic"] == "warehouse.events"]
        lag = shop.returns.service.kafka.lag()
        return ids == ["ship-1", "ship-2"] and not lag.get("warehouse.events")

    await eventually(is_read, "both events were published once and read")
    assert len(shop.events_of("issue.replacement_shipped", issue_id=issue_id)) == 1
