"""Calls of the partners of a fault run that use HTTP: their webhook subscriptions, and the events that they send."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from libs.common.events.registry import decode, encode
from libs.common.events.topics import GATEWAY
from tests.faults.partner_directory import WEBHOOKS, key_of
from tests.faults.publisher import OutgoingRecord
from tests.faults.system import FaultSystem
from tests.faults.webhook_receiver import Identity

PAUSE = 0.5


@dataclass
class PartnerClient:
    """Calls of the partners, repeated until answered. `taken` are the events that were answered 202."""

    system: FaultSystem
    taken: set[Identity] = field(default_factory=set)

    async def subscribe(self, after: int | None = None) -> None:
        """Subscribe every partner to its webhooks, from now on or behind a position of the feed."""
        for name, types in WEBHOOKS.items():
            body = {"url": self._hook(name), "types": types} | ({} if after is None else {"after": after})
            await self._until_answered("POST", name, f"/v1/partner/{name}/webhooks", body, (201, 409))

    async def resume(self) -> None:
        """Let everything that waits after failures be sent at once."""
        for name in WEBHOOKS:
            path = f"/v1/partner/{name}/webhooks"
            found = await self._until_answered("GET", name, path, None, (200,))
            for each in found.json()["subscriptions"]:
                await self._until_answered("POST", name, f"{path}/{each['subscription_id']}/resume", None, (200,))

    async def send(self, partner: str, record: OutgoingRecord) -> None:
        """Send the event of a record over HTTP, until it is taken: a partner may learn of a thing before we know so."""
        event = decode(record.value or b"")
        event = event.model_copy(update={"source": f"/{partner}/faults"})
        trace = {name: (value or b"").decode() for name, value in record.headers}
        await self._until_answered("POST", partner, f"/v1/partner/{partner}/events", encode(event), (202,), trace)
        self.taken.add((event.source, event.id))

    def _hook(self, partner: str) -> str:
        return f"{self.system.infrastructure.webhooks.url}/{self.system.name}/{partner}"

    async def _until_answered(
        self,
        method: str,
        partner: str,
        path: str,
        body: object,
        statuses: tuple[int, ...],
        trace: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key_of(partner)}", **(trace or {})}
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        async with httpx.AsyncClient(timeout=20, headers=headers) as http:
            while True:
                for replica in self.system.running(GATEWAY):
                    try:
                        answer = await http.request(method, replica.url + path, **content)
                    except httpx.HTTPError:
                        continue
                    if answer.status_code in statuses:
                        return answer
                await asyncio.sleep(PAUSE)
