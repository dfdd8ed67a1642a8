"""The change stream of open pages: every subscriber receives each change, with no more rights than the service has."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from libs.common.http.signed_links import SignedLinks
from services.intake.desk.change_stream import ChangeStream
from services.intake.desk.sessions import StaffSessions
from services.intake.store import desk as store
from tests.intake.desk.conftest import Desk
from tests.running import LINK_SECRETS, eventually

HOUR = timedelta(hours=1)
Page = AsyncIterator[dict[str, str]]


@pytest.fixture
async def live(desk: Desk) -> AsyncIterator[ChangeStream]:
    service = desk.live.service
    pages = ChangeStream(service, StaffSessions(service, HOUR, HOUR, SignedLinks([LINK_SECRETS])))
    looking = asyncio.create_task(pages.run())
    yield pages
    looking.cancel()
    await asyncio.wait([looking])


@pytest.fixture
async def page(desk: Desk, live: ChangeStream) -> Page:
    """An open page that has received all earlier events."""
    token = (await desk.as_("vera")).client.cookies["__Host-desk"]
    stream = live.subscribe(token)
    assert [await next_event(stream), await next_event(stream)] == ["hello", "changed"]
    return stream


async def next_event(page: Page) -> str:
    async with asyncio.timeout(10):
        return (await anext(page))["event"]


async def test_an_open_page_is_notified_of_what_happens_to_an_issue(desk: Desk, page: Page) -> None:
    received = asyncio.create_task(next_event(page))
    await desk.case.publish(desk.case.ordered())
    assert await received == "changed"


async def test_an_open_page_is_notified_that_a_colleague_took_an_issue(desk: Desk, page: Page) -> None:
    received = asyncio.create_task(next_event(page))
    async with desk.live.service.pool.acquire() as conn:
        now = desk.clock.now()
        await store.claim(conn, desk.case.ids["issue_id"], "hanako", now, now + HOUR)
    assert await received == "changed"


async def test_a_page_that_was_not_listening_is_notified_afterwards(desk: Desk, live: ChangeStream, page: Page) -> None:
    before = live.version
    await desk.case.publish(desk.case.ordered())

    async def noticed() -> bool:
        return live.version != before

    await eventually(noticed, "the loop noticed")
    assert await next_event(page) == "changed"
