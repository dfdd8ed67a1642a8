"""Partners of one issue: events of the warehouse, the courier and the staff."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from libs.common.events import carrier, warehouse
from libs.common.events.values import Condition, InspectedLine, ReceivedLine
from tests.journey.backbone import Backbone
from tests.running import OPS


@dataclass
class JourneyPartners:
    shop: Backbone
    issue_id: UUID

    async def ship(self, **more: Any) -> dict[str, Any]:
        """Ship the last replacement order; returns that order."""
        await self.shop.wait_for("replacement.ordered", issue_id=self.issue_id)
        ordered: dict[str, Any] = self.shop.events_of("replacement.ordered", issue_id=self.issue_id)[-1]["data"]
        ids = {"issue_id": self.issue_id, "replacement_id": ordered["replacement_id"]}
        await self.shop.publish(warehouse.ReplacementShipped(**ids, shipped_at=datetime.now(UTC), **more))
        return ordered

    async def deliver(self, ordered: dict[str, Any]) -> None:
        ids = {"issue_id": self.issue_id, "replacement_id": ordered["replacement_id"]}
        await self.shop.publish(carrier.ParcelDelivered(**ids, delivered_at=datetime.now(UTC)))
        await self.shop.wait_for("issue.replacement_delivered", issue_id=self.issue_id)

    async def receive(self, receipt_id: str, quantity: int = 1, sku: str | None = None) -> None:
        lines = (ReceivedLine(line_id="1", quantity=quantity, sku=sku),)
        now = datetime.now(UTC)
        await self.shop.publish(
            warehouse.ItemReceived(issue_id=self.issue_id, lines=lines, received_at=now, receipt_id=receipt_id)
        )

    async def inspect(self, quantity: int = 1, condition: Condition = Condition.SELLABLE) -> None:
        lines = (InspectedLine(line_id="1", quantity=quantity, condition=condition),)
        now = datetime.now(UTC)
        await self.shop.publish(warehouse.ItemInspected(issue_id=self.issue_id, lines=lines, inspected_at=now))

    async def decide(self, action: str, **more: str) -> dict[str, Any]:
        """Decide as staff, through the desk's route; returns the applied decision."""
        seen = await self.shop.intake.client.get(f"/v1/issues/{self.issue_id}", headers=OPS)
        version = seen.json()["version"]
        body = {"action": action, "staff": "sato", "comment": "They called.", "expected_version": version, **more}
        headers = {**OPS, "Idempotency-Key": f"{self.issue_id} {version}"}
        answer = await self.shop.intake.client.post(f"/v1/issues/{self.issue_id}/decisions", json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        applied = await self.shop.wait_for("issue.staff_decision_applied", decision_id=answer.json()["decision_id"])
        data: dict[str, Any] = applied["data"]
        assert (data["staff"], data["comment"]) == ("sato", "They called.")
        return data
