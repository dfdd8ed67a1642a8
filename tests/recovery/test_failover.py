"""Failover of Postgres to a standby under load, with the commands of the page: real servers, really killed."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from deploy.local.mailbox import Mailbox
from libs.common.events.topics import SERVICES
from tests.journey.backbone import Backbone
from tests.recovery.failover import ReplicatedPostgres, replicated_postgres
from tests.recovery.partners import answering
from tests.recovery.restorable import RestorableSystem, all_notices_settled
from tests.recovery.runbook import Operator, blocks_of
from tests.recovery.test_reconcile import is_healthy, settled
from tests.recovery.test_rejoin import violations
from tests.running import STOREFRONT, eventually

pytestmark = [pytest.mark.timeout(900)]

ORDERS = 12
PROMOTE = 0
"""Block of commands of the page."""


@dataclass
class Storefront:
    """Reports one order after the other, and repeats each call until it is accepted, as a storefront does."""

    shop: Backbone
    accepted: dict[str, UUID] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    refusals: Counter[int] = field(default_factory=Counter)

    async def report_all(self, orders: Sequence[str]) -> None:
        for order in orders:
            while order not in self.accepted:
                await self._report(order)

    async def _report(self, order: str) -> None:
        body = {"order_id": order, "customer_id": f"customer of {order}", "reason": "defective"}
        lines = {"lines": [{"line_id": "1", "quantity": 1}]}
        headers = {**STOREFRONT, "Idempotency-Key": order}
        answer = await self.shop.intake.client.post("/v1/issues", json={**body, **lines}, headers=headers)
        if answer.status_code == httpx.codes.ACCEPTED:
            self.accepted[order] = UUID(answer.json()["issue_id"])
            self.times.append(time.monotonic())
        else:
            self.refusals[answer.status_code] += 1
            await asyncio.sleep(0.1)


@asynccontextmanager
async def reporting(shop: Backbone, orders: Sequence[str]) -> AsyncIterator[Storefront]:
    """A storefront that reports these orders meanwhile; at the end of the block it has reported all."""
    storefront = Storefront(shop)
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        group.create_task(storefront.report_all(orders))
        yield storefront


def operator(system: RestorableSystem, servers: ReplicatedPostgres) -> Operator:
    addresses = {"PRIMARY": servers.primary.admin_url, "STANDBY": servers.standby.admin_url}
    return Operator(system.kafka, system.prefix, system.urls, sys.executable, servers.programs, addresses)


async def run(operator: Operator, block: int, *, codes: Sequence[int] = (0,)) -> str:
    code, output = await operator.run(blocks_of("fail-over-to-a-standby.md")[block])
    assert code in codes, output
    return output


async def test_a_synchronous_standby_takes_over_under_load_and_nothing_is_lost(
    kafka: str, topics: str, smtp: Mailbox, tmp_path: Path
) -> None:
    async with replicated_postgres(SERVICES, synchronous=True) as servers:
        system = RestorableSystem(servers.urls, kafka, topics, tmp_path, smtp)
        async with system.running() as shop, answering(shop):
            orders = [f"order-{number}" for number in range(ORDERS)]
            await asyncio.gather(*(shop.place_order(order) for order in orders))
            async with reporting(shop, orders) as storefront:
                await eventually(lambda: _accepted(storefront, ORDERS // 3), "some reports are accepted")
                await servers.kill_primary()
                killed = time.monotonic()
                before = len(storefront.accepted)
                await eventually(lambda: _was_refused(storefront), "the storefront has noticed")
                await run(operator(system, servers), PROMOTE)
            assert before < ORDERS
            assert set(storefront.refusals) == {503}
            issues = list(storefront.accepted.values())
            await eventually(lambda: is_healthy(shop, issues), "all issues are resolved", seconds=120, every=0.5)
            await eventually(lambda: all_notices_settled(shop), "all mails are sent", seconds=60, every=0.2)
            await eventually(lambda: settled(shop), "all events are published", seconds=60, every=0.2)
            print(f"accepted again after {storefront.times[before] - killed:.1f} s, promotion included")
        assert await violations(system) == {}
        assert Counter(mail["Message-ID"] for mail in smtp.messages).most_common(1)[0][1] == 1


async def _accepted(storefront: Storefront, count: int) -> bool:
    return len(storefront.accepted) >= count


async def _was_refused(storefront: Storefront) -> bool:
    return storefront.refusals.total() > 0
