"""Partners that speak only HTTP, in the place of those on Kafka: the warehouse has webhooks, the others fetch."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from libs.common.events.envelope import Payload
from tests.common import wire
from tests.conftest import MakeDatabase
from tests.journey.backbone import Backbone
from tests.partners.service import as_partner, doors, fetch, post
from tests.partners.webhook_receiver import PartnerServer, partner_server
from tests.running import Live, eventually

NAMES = {"storefront": "shop", "warehouse": "acme", "carrier": "courier", "payment": "pay"}


@dataclass
class HttpPartners:
    """All partners of a shop behind the service partners. `received` are the events that each fetched, by id."""

    gateway: Live
    warehouse: PartnerServer
    secret: str
    received: dict[str, dict[str, Any]] = field(default_factory=lambda: {name: {} for name in NAMES.values()})

    async def publish(
        self, payload: Payload, *, answers: dict[str, Any] | None = None, event_id: str | None = None
    ) -> None:
        """Send an event of a partner, after the partner has the event that it answers."""
        name = NAMES[payload.TOPIC.name.partition(".")[0]]
        trace = {"traceparent": answers["traceparent"]} if answers and "traceparent" in answers else {}
        if answers:
            await self.wait_for(name, answers["id"])
        event = {**json.loads(wire.event_bytes(payload, event_id)), "source": f"/{name}"}
        answer = await post(self.gateway, name, event, **trace)
        assert answer.status_code == 202, answer.text

    async def wait_for(self, name: str, event_id: str) -> None:
        """Wait until a partner has this event: the warehouse by its webhook, others by fetching."""

        async def has_it() -> bool:
            if name == "acme":
                return event_id in self.warehouse.ids
            found = (await fetch(self.gateway, name, after=0, limit=200)).json()["events"]
            self.received[name] = {each["event"]["id"]: each for each in found}
            return event_id in self.received[name]

        await eventually(has_it, f"{name} has the event {event_id}", seconds=60)


@asynccontextmanager
async def http_partners(database: MakeDatabase, shop: Backbone) -> AsyncIterator[HttpPartners]:
    """Let the partners of this shop speak only HTTP for the length of the block."""
    url = await database("partners")
    with partner_server() as warehouse:
        async with doors(url, kafka=shop.kafka, prefix=shop.prefix, webhook_private_networks="127.0.0.0/8") as gateway:
            made = await gateway.client.post(
                "/v1/partner/acme/webhooks", json={"url": warehouse.url}, headers=as_partner("acme")
            )
            partners = HttpPartners(gateway, warehouse, made.json()["secret"])
            shop.publish = partners.publish  # type: ignore[method-assign]
            yield partners
