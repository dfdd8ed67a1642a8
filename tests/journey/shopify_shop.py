"""A Shopify shop of one order, seen through its signed webhooks."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

from tests.intake.storefronts.calls import shopify
from tests.journey.backbone import Backbone
from tests.running import STOREFRONT, eventually


@dataclass
class ShopifyShop:
    """Order `number` of customer 11, 12 ...; its first line is `number` with a zero behind it."""

    system: Backbone
    number: int

    @property
    def customer(self) -> str:
        return f"1{self.number}"

    def order(self, **fields: Any) -> dict[str, Any]:
        mail = f"s{self.number}@example.jp"
        placed = (datetime.now(UTC) - timedelta(days=2)).isoformat()
        return {
            "id": self.number,
            "email": mail,
            "contact_email": mail,
            "created_at": placed,
            "processed_at": placed,
            "currency": "JPY",
            "customer_locale": "ja-JP",
            "phone": None,
            "customer": {"id": int(self.customer), "email": mail, "orders_count": 1},
            "shipping_address": {
                "name": "山田 花子", "address1": f"神宮前 9-{self.number}", "city": "渋谷区", "zip": "150-0001",
                "country_code": "JP",
            },
            "line_items": [self.item()],
            **fields,
        }  # fmt: skip

    def item(self, place: int = 0, price: str = "10000", **fields: Any) -> dict[str, Any]:
        return {
            "id": self.number * 10 + place, "variant_id": 1, "name": "急須", "sku": f"K-{self.number}-{place}",
            "quantity": 1, "price": price, "requires_shipping": True,
            "price_set": {"shop_money": {"amount": price, "currency_code": "JPY"}}, "discount_allocations": [],
            **fields,
        }  # fmt: skip

    def fulfillment(self, *places: int, **fields: Any) -> dict[str, Any]:
        now = datetime.now(UTC)
        return {
            "id": 90_000 + self.number, "order_id": self.number, "status": "success",
            "created_at": (now - timedelta(days=1)).isoformat(), "updated_at": now.isoformat(),
            "tracking_company": None, "tracking_number": None, "shipment_status": None,
            "line_items": [
                {"id": self.number * 10 + place, "quantity": 1, "requires_shipping": True} for place in places or (0,)
            ],
            **fields,
        }  # fmt: skip

    async def send(self, topic: str, body: Any) -> httpx.Response:
        """Send a webhook that must be taken."""
        answer = await shopify(self.system.intake, topic, body)
        assert answer.status_code == 202, answer.text
        return answer

    async def sell(self, **fields: Any) -> None:
        """Sell and deliver the order, whose fields may differ, until intake has read both: what is reported as missing
        before its delivery is read counts as delivered later, and staff look at it."""
        await self.send("orders/create", self.order(**fields))
        await self.deliver()
        await eventually(self._delivery_is_read, f"the delivery of {self.number} is read")

    async def _delivery_is_read(self) -> bool:
        query = "SELECT jsonb_array_length(body -> 'deliveries') > 0 FROM orders WHERE key = $1"
        return bool(await self.system.intake.service.pool.fetchval(query, str(self.number)))

    async def deliver(self, *places: int) -> None:
        await self.send("fulfillments/update", self.fulfillment(*places, shipment_status="delivered"))

    async def report(self, reason: str = "defective", place: int = 0, **more: Any) -> UUID:
        """Report one unit, as soon as intake has the delivery by way of its topic."""
        line = {"line_id": str(self.number * 10 + place), "quantity": 1}
        body = {"order_id": str(self.number), "customer_id": self.customer, "reason": reason, "lines": [line], **more}
        headers = {**STOREFRONT, "Idempotency-Key": f"{self.number}-{place}-{reason}"}

        async def accepted() -> str | None:
            answer = await self.system.intake.client.post("/v1/issues", json=body, headers=headers)
            return answer.json()["issue_id"] if answer.status_code == 202 else None

        return UUID(await eventually(accepted, f"the report of {self.number} is accepted"))
