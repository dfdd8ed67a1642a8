"""Customers who call the shop after a report: some take it back, some have moved meanwhile.

A report is taken back by HTTP or by event, which is refused once something has left. A new address is a change of the
order, which open replacements and collections have to follow.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from uuid import UUID

import httpx

from deploy.demo.data.orders import ReplayedOrder
from deploy.demo.partners.codec import ScheduledEvent
from deploy.demo.partners.order_corrections import moved_house
from deploy.demo.partners.partner import Partner
from libs.common.events.issues import IssueAccepted
from libs.common.events.storefront import IssueWithdrawn
from libs.common.events.values import Reason

WITHDRAWN_SHARE, MOVED_SHARE = 0.07, 0.12
ATTEMPTS = 6

StartTask = Callable[[Awaitable[None]], None]


@dataclass
class AfterReports:
    """`outcomes` counts what customers asked for; `orders` are those of the storefront."""

    partner: Partner
    http: httpx.AsyncClient
    start_task: StartTask
    orders: Mapping[str, ReplayedOrder]
    outcomes: Counter[str] = field(default_factory=Counter)
    moved: set[str] = field(default_factory=set)
    seen: set[UUID] = field(default_factory=set)

    def handle(self, accepted: IssueAccepted) -> None:
        """Plan what the customer of an accepted report asks for later, once per issue."""
        order = self.orders.get(accepted.order_id)
        if order is None or accepted.issue_id in self.seen or self.partner.is_quiet(accepted.accepted_at):
            return
        self.seen.add(accepted.issue_id)
        rng = self.partner.rng("after", accepted.issue_id)
        chance = rng.random()
        if chance < WITHDRAWN_SHARE:
            at = accepted.accepted_at + timedelta(minutes=rng.uniform(5, 50))
            self.partner.schedule(at, partial(self._withdraw, accepted, by_http=rng.random() < 0.5))
        elif chance < WITHDRAWN_SHARE + MOVED_SHARE and accepted.reason is not Reason.LOST_IN_TRANSIT:
            if order.order_id in self.moved:
                return
            self.moved.add(order.order_id)
            at = accepted.accepted_at + timedelta(minutes=rng.uniform(20, 120))
            self.outcomes["moved"] += 1
            self.partner.schedule_event(ScheduledEvent(at, f"moved-{order.order_id}", moved_house(order, at)))

    async def _withdraw(self, accepted: IssueAccepted, *, by_http: bool) -> None:
        if by_http:
            self.start_task(self._call(accepted))
            return
        at = self.partner.clock.now()
        withdrawn = IssueWithdrawn(
            order_id=accepted.order_id,
            customer_id=accepted.customer_id,
            issue_id=accepted.issue_id,
            withdrawn_at=accepted.accepted_at + timedelta(minutes=5),
        )
        self.outcomes["withdrawn by event"] += 1
        await self.partner.publish(ScheduledEvent(at, f"withdrawn-{accepted.issue_id}", withdrawn))

    async def _call(self, accepted: IssueAccepted) -> None:
        path, headers = f"/v1/issues/{accepted.issue_id}/withdraw", {"Idempotency-Key": f"withdraw-{accepted.issue_id}"}
        for attempt in range(ATTEMPTS):
            try:
                answer = await self.http.post(path, json={"customer_id": accepted.customer_id}, headers=headers)
            except httpx.TransportError:
                await asyncio.sleep(0.1 * 2**attempt)
                continue
            if answer.status_code < 500:
                self.outcomes["withdrawn" if answer.status_code == 202 else "withdrawn too late"] += 1
                return
            await asyncio.sleep(0.05 * 2**attempt)
