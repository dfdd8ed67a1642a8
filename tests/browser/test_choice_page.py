"""The choice page on a phone, in a real browser: with JavaScript and without it, in both languages."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Browser, Page

from deploy.local.ports import free_port
from libs.common.events.values import Language
from libs.common.http.signed_links import Purpose, SignedLinks
from libs.common.web.translations import read_translations
from services.delivery_notify.http.pages.rendering import TRANSLATIONS_FOLDER
from services.delivery_notify.rendering.links import NoticeLinks
from tests.browser.serving import chromium, picture, see, served
from tests.conftest import MakeDatabase
from tests.delivery_notify.conversation_driver import ORDER
from tests.delivery_notify.service import SECRETS, notifying, take
from tests.delivery_notify.test_sender import later, order, soon
from tests.running import Live

TEXTS = read_translations(TRANSLATIONS_FOLDER)
PHONE: Any = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


@dataclass
class Asked:
    """The question about a late order, and the link to its page."""

    live: Live
    url: str


@pytest.fixture(params=list(Language), ids=str)
async def asked(database: MakeDatabase, request: pytest.FixtureRequest) -> AsyncIterator[Asked]:
    port = free_port()
    async with notifying(await database("delivery_notify")) as live, served(live.app, port) as address:
        await take(live, order(request.param), later())
        choice_id = UUID(await live.service.pool.fetchval("SELECT facts ->> 'choice_id' FROM notices"))
        links = NoticeLinks(address, SECRETS.split(","))
        token = links.choice_token(ORDER, choice_id, live.service.clock.now() + timedelta(days=7))
        yield Asked(live, f"{address}/c/{token}")


async def on_a_phone(browser: Browser, script: bool) -> Page:
    context = await browser.new_context(**PHONE, java_script_enabled=script)
    context.set_default_timeout(20_000)
    return await context.new_page()


STEPS = {"date": ".date", "item": ".item", "address": ".address"}


async def visible(page: Page) -> set[str]:
    return {name for name, where in STEPS.items() if await page.locator(where).is_visible()}


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
async def test_what_is_asked_next_shows_when_it_is_needed_and_the_answer_is_taken(
    browser: Browser, asked: Asked, script: bool
) -> None:
    page = await on_a_phone(browser, script)
    await see(page, asked.url)
    language = Language(await page.locator("html").get_attribute("lang") or "")
    name = f"choice-{language}-{'script' if script else 'plain'}"
    await picture(page, f"{name}-1-asked")
    assert await visible(page) == set()
    await page.locator("input[value=change]").check()
    assert await visible(page) == {"date"}
    await picture(page, f"{name}-2-date")
    await page.locator("select[name=change]").select_option("item")
    assert await visible(page) == {"item"}
    await page.locator("select[name=change]").select_option("address")
    assert await visible(page) == {"address"}
    await picture(page, f"{name}-3-address")
    await page.locator("select[name=change]").select_option("date")
    await page.locator("input[name=requested_date]").fill(soon(30).isoformat())
    await page.locator("button[type=submit]").click()
    await page.get_by_text(TEXTS.text("title.answered", language)).first.wait_for()
    await picture(page, f"{name}-4-thanks")
    assert (
        await page.get_by_text(TEXTS.text("choice.ship_date", language), exact=True).count() == 0
    )  # the day that counts is theirs
    answer = await asked.live.service.pool.fetchval("SELECT body -> 'questions' -> 0 ->> 'status' FROM conversations")
    assert answer == "answered"


async def test_on_a_desktop_it_is_styled_and_a_sent_mail_is_shown_to_staff(browser: Browser, asked: Asked) -> None:
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    page = await context.new_page()
    await see(page, asked.url)
    language = await page.locator("html").get_attribute("lang")
    await picture(page, f"choice-{language}-desktop")
    width = await page.evaluate("document.querySelector('main').getBoundingClientRect().width")
    assert width <= 560  # the style sheet was loaded
    notice = await asked.live.service.pool.fetchval("SELECT notice_id FROM notices")
    expiry = asked.live.service.clock.now() + timedelta(minutes=5)
    token = SignedLinks(SECRETS.split(",")).token(Purpose.STAFF_NOTICE, expiry, str(notice), "ops")
    await see(page, f"{asked.url.partition('/c/')[0]}/staff/notices/{token}")
    await picture(page, f"sent-mail-{language}-desktop")
    assert await page.locator("h1").evaluate("each => getComputedStyle(each).fontSize") == "21px"
    await page.get_by_text("日本語").click()
    await page.get_by_text("HTML形式で見る").wait_for()
    await see(page, page.url.partition("?")[0] + "?as=html")
    await picture(page, f"sent-mail-{language}-html")


async def test_nothing_on_it_is_wider_than_a_phone_and_every_target_is_a_thumb_wide(
    browser: Browser, asked: Asked
) -> None:
    page = await on_a_phone(browser, script=True)
    await see(page, asked.url)
    await page.locator("input[value=change]").check()
    await page.locator("select[name=change]").select_option("address")
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["viewport"]["width"]
    small = "[...document.querySelectorAll('.option, .more input, .more select, button')]"
    small += ".filter(each => each.offsetParent && each.getBoundingClientRect().height < 44).length"
    assert await page.evaluate(small) == 0
