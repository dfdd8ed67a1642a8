"""Payment with points at the storefront: reserved when an order is placed, then committed or released.

Some customers release the reservation, some abandon it; points of a cancelled order are returned. Every call is
repeated with the same idempotency key until it is answered.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from deploy.demo.partners.partner import Partner
from libs.common.events.storefront import OrderCancelled, OrderPlaced

ATTEMPTS = 6

StartTask = Callable[[Awaitable[None]], None]


@dataclass
class Checkout:
    """`start_task` starts a task that the clock driver waits for; `outcomes` counts the results."""

    partner: Partner
    http: httpx.AsyncClient
    start_task: StartTask
    outcomes: Counter[str] = field(default_factory=Counter)
    committed: dict[str, str] = field(default_factory=dict)

    def handle(self, payload: object) -> None:
        """Reserve points for a placed order; return those of a cancelled one."""
        match payload:
            case OrderPlaced(customer_id=customer_id, order_id=order_id):
                self.start_task(self._redeem(customer_id, order_id))
            case OrderCancelled(line_ids=(), order_id=order_id) if order_id in self.committed:
                self.start_task(self._call(f"{self.committed.pop(order_id)}/return", f"return-{order_id}"))

    async def _redeem(self, customer_id: str, order_id: str) -> None:
        customer = f"/v1/customers/{customer_id}"
        answer = await self._request("GET", f"{customer}/balance", f"look-{order_id}")
        available = answer.json()["available"] if answer is not None and answer.status_code == 200 else 0
        rng = self.partner.rng("points", order_id)
        if not available or rng.random() < 0.2:
            return
        body = {"order_id": order_id, "points": rng.randint(max(1, available // 2), available)}
        reservation = await self._request("POST", f"{customer}/redemptions", f"reserve-{order_id}", body)
        if reservation is None or reservation.status_code != 201:
            self.outcomes["refused"] += 1
            return
        path = f"{customer}/redemptions/{reservation.json()['redemption_id']}"
        outcome = rng.choices(("commit", "release", "forgotten"), (80, 10, 10))[0]
        self.outcomes[outcome] += 1
        if outcome != "forgotten":
            # Immediately: with a clock that advances by hours, the reservation would expire first.
            await self._finish(path, outcome, order_id)

    async def _finish(self, path: str, end: str, order_id: str) -> None:
        if end == "commit":
            self.committed[order_id] = path
        await self._call(f"{path}/{end}", f"{end}-{order_id}")

    async def _call(self, path: str, key: str) -> None:
        answer = await self._request("POST", path, key)
        if answer is None or answer.status_code != 200:
            self.outcomes["refused"] += 1

    async def _request(self, method: str, path: str, key: str, body: Any = None) -> httpx.Response | None:
        """The answer; None where the service did not answer."""
        for attempt in range(ATTEMPTS):
            try:
                answer = await self.http.request(method, path, json=body, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                await asyncio.sleep(0.1 * 2**attempt)
                continue
            if answer.status_code < 500:
                return answer
            await asyncio.sleep(0.05 * 2**attempt)
        return None
