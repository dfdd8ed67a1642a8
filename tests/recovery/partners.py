"""Partners that answer every order as soon as it is on the topic, each once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from libs.common.events import carrier, values, warehouse
from libs.common.postgres.pool import is_transient
from tests.journey.backbone import Backbone
from tests.running import eventually

COUNTED = ({"line_id": "1", "quantity": 1},)


@dataclass
class AnsweringPartners:
    """Warehouse and courier: they ship, deliver, collect, receive and inspect all that they are asked for."""

    shop: Backbone
    _answered: set[str] = field(default_factory=set)

    async def run(self) -> None:
        while True:
            for event in list(self.shop.events):
                await self._answer(event)
            await asyncio.sleep(0.02)

    async def _answer(self, event: dict[str, Any]) -> None:
        data, now = event["data"], datetime.now(UTC)
        if event["type"] == "replacement.ordered.v1" and self._is_new(data["replacement_id"]):
            ids = {"issue_id": data["issue_id"], "replacement_id": data["replacement_id"]}
            confirmed = warehouse.ReplacementConfirmed(**ids, ship_date=data["promised_ship_date"])
            await self.shop.publish(confirmed, answers=event)
            await self.shop.publish(warehouse.ReplacementShipped(**ids, shipped_at=now, carrier="yamato"))
        elif event["type"] == "collection.requested.v1" and self._is_new(data["collection_id"]):
            await self._deliver_and_collect(data, now)

    async def _deliver_and_collect(self, data: dict[str, Any], now: datetime) -> None:
        issue_id = data["issue_id"]
        ordered = (await self.shop.wait_for("replacement.ordered", issue_id=issue_id))["data"]
        delivered = carrier.ParcelDelivered(
            issue_id=issue_id, replacement_id=ordered["replacement_id"], delivered_at=now
        )
        await self.shop.publish(delivered)
        ids = {"issue_id": issue_id, "collection_id": data["collection_id"]}
        window = values.TimeWindow(day=data["earliest_date"])
        await self.shop.publish(carrier.CollectionBooked(**ids, window=window))
        await self.shop.publish(carrier.CollectionCollected(**ids, collected_at=now))
        await eventually(lambda: self._is_collected(issue_id), f"{issue_id} was collected")
        received = warehouse.ItemReceived.model_validate({"issue_id": issue_id, "lines": COUNTED, "received_at": now})
        await self.shop.publish(received)
        inspected = ({**COUNTED[0], "condition": "scrap"},)
        await self.shop.publish(
            warehouse.ItemInspected.model_validate({"issue_id": issue_id, "lines": inspected, "inspected_at": now})
        )

    async def _is_collected(self, issue_id: str) -> bool:
        """Read from the database: the event may be the one that is lost."""
        query = "SELECT body::json -> 'inbound' ->> 'status' FROM cases WHERE key = $1"
        try:
            status = await self.shop.returns.service.pool.fetchval(query, issue_id)
        except Exception as error:
            if is_transient(error):  # the database is down
                return False
            raise
        return status in ("collected", "received", "inspected")

    def _is_new(self, order: str) -> bool:
        is_new = order not in self._answered
        self._answered.add(order)
        return is_new


@asynccontextmanager
async def answering(shop: Backbone) -> AsyncIterator[None]:
    task = asyncio.create_task(AnsweringPartners(shop).run())
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
