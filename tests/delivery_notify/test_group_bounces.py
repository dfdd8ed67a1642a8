"""Bounces of a mail with several notices: its `Message-ID` is the key of the group, not of one of its notices."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from deploy.local.mailbox import Mailbox
from tests.conftest import MakeDatabase
from tests.delivery_notify.providers import SIGNING_SECRET, Providers, providers
from tests.delivery_notify.service import notifying, published, settled, take
from tests.delivery_notify.test_bounces import complaint, dsn, post
from tests.delivery_notify.test_sender import later, order
from tests.running import OPS, Live, eventually

SECOND = {"order_id": "O-2"}


@pytest.fixture
async def there() -> AsyncIterator[Providers]:
    async with providers() as found:
        yield found


@asynccontextmanager
async def grouped(database: str, smtp: Mailbox, *, one_order: bool = False, **more: Any) -> AsyncIterator[Live]:
    """A service that has sent one mail with two notices, of one order or of two of one customer."""
    quiet = {"notice_batching_minutes": 60, "quiet_from_hour": 0, "quiet_to_hour": 0}
    async with notifying(database, smtp.url, **{**quiet, **more}) as live:
        for changes in ({}, {} if one_order else SECOND):
            placed = order().model_copy(update=changes)
            contact = placed.contact.model_copy(update={"phone": "+819012345678"})
            await take(live, placed.model_copy(update={"contact": contact}), later().model_copy(update=changes))
        if one_order:
            await live.service.pool.execute(
                """INSERT INTO notices (notice_id, order_id, customer_id, kind, facts, made_at, due_at, contact_by)
                   SELECT 'ffffffff-ffff-4fff-bfff-ffffffffffff', order_id, customer_id, kind, facts, made_at, due_at,
                          contact_by
                   FROM notices"""
            )
        await live.service.pool.execute("UPDATE notices SET batched = true, due_at = made_at")
        await settled(live, 2)
        assert len(smtp.messages) == 1
        yield live


async def group_of(live: Live) -> str:
    (key,) = {str(row["batch_id"]) for row in await settled(live, 2)}
    return key


async def states(live: Live) -> list[tuple[str, str | None]]:
    rows = await live.service.pool.fetch("SELECT status, channel FROM notices ORDER BY sequence")
    return [(row["status"], row["channel"]) for row in rows]


async def test_a_bounced_group_suppresses_its_address_and_tells_staff_once(
    database: MakeDatabase, smtp: Mailbox
) -> None:
    async with grouped(await database("delivery_notify"), smtp) as live:
        report = await post(live, dsn(notice=await group_of(live)))
        assert report.json() == {"reports": 1, "suppressed": 1}
        listed = (await live.client.get("/ops/staff-notices", headers=OPS)).json()
        assert [each["kind"] for each in listed].count("address_suppressed") == 1


@pytest.mark.parametrize("one_order", [False, True])
async def test_every_notice_of_a_bounced_group_is_sent_by_the_next_channel(
    database: MakeDatabase, smtp: Mailbox, there: Providers, one_order: bool
) -> None:
    ways = {"sms_webhook_url": f"{there.url}/sms", "sms_webhook_secret": SIGNING_SECRET}
    async with grouped(await database("delivery_notify"), smtp, one_order=one_order, **ways) as live:
        assert (await post(live, dsn(notice=await group_of(live)))).status_code == 202

        async def resent() -> bool:
            return await states(live) == [("sent", "sms"), ("sent", "sms")]

        await eventually(resent, "both notices are sent by SMS")
        assert (await published(live)).count("notice.failed.v1") == 2


async def test_a_group_that_bounces_twice_is_failed_and_sent_again_once(database: MakeDatabase, smtp: Mailbox) -> None:
    async with grouped(await database("delivery_notify"), smtp) as live:
        key = await group_of(live)
        for _ in range(2):
            assert (await post(live, dsn("5.2.2", notice=key))).status_code == 202
        assert (await published(live)).count("notice.failed.v1") == 2


async def test_a_complaint_about_a_group_suppresses_the_address_and_keeps_its_notices(
    database: MakeDatabase, smtp: Mailbox
) -> None:
    async with grouped(await database("delivery_notify"), smtp) as live:
        report = await post(live, complaint(await group_of(live)))
        assert report.json() == {"reports": 1, "suppressed": 1}
        assert await states(live) == [("sent", "email"), ("sent", "email")]
