"""A migration of the next release while this one runs: new columns in every table change nothing, and stop nothing."""

from pathlib import Path
from uuid import UUID

import pytest

from deploy.local.mailbox import Mailbox
from libs.common.events.topics import SERVICES
from tests.conftest import MakeDatabase, as_owner
from tests.faults.next_release import add_columns
from tests.journey.backbone import Backbone, backbone
from tests.recovery.partners import answering
from tests.recovery.test_reconcile import is_healthy, settled, urls
from tests.recovery.test_rejoin import spend
from tests.running import eventually


@pytest.mark.timeout(400)
async def test_the_running_release_works_on_while_the_next_one_adds_columns(
    database: MakeDatabase, kafka: str, topics: str, smtp: Mailbox, tmp_path: Path
) -> None:
    async with backbone(database, kafka, topics, tmp_path, smtp.url) as shop, answering(shop):
        issues = await _report(shop, "order-1")
        await shop.place_order("order-2")
        for url in urls(shop).values():
            await add_columns(as_owner(url), "of_next_release")
        issues.append(await shop.report("order-2"))
        issues += await _report(shop, "order-3")
        await eventually(lambda: is_healthy(shop, issues), "all issues are resolved", seconds=90, every=0.5)
        assert (await spend(shop, "customer of order-3")).status_code == 201
        await eventually(lambda: settled(shop), "all events are published", seconds=60, every=0.2)
        assert {name: await _dead_letters(shop, name) for name in SERVICES} == dict.fromkeys(SERVICES, 0)


async def _report(shop: Backbone, order_id: str) -> list[UUID]:
    await shop.place_order(order_id)
    return [await shop.report(order_id)]


async def _dead_letters(shop: Backbone, service: str) -> int:
    return int(await getattr(shop, service).service.pool.fetchval("SELECT count(*) FROM dead_letters"))
