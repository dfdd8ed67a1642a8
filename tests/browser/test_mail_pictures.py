"""Mails of every kind as a mail program shows them: on a phone and at a desk, light and dark, in every language."""

from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from PIL import Image, ImageDraw
from playwright.async_api import Browser, Page, Route

from libs.common.events.values import Language
from services.delivery_notify.rendering.renderer import Renderer
from services.delivery_notify.rendering.template_samples import SAMPLES
from tests.browser.serving import PICTURES, picture
from tests.delivery_notify.conversation_driver import CALENDAR
from tests.delivery_notify.rendered_notices import FRAMED_SHOP, LINKS, sample_notice

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
VIEWS: dict[str, Any] = {
    f"{device}-{theme}": {"viewport": size, "color_scheme": theme}
    for device, size in (("phone", PHONE), ("desktop", DESKTOP))
    for theme in ("light", "dark")
}
EVERY_VIEW = list(VIEWS) if PICTURES else ["phone-light"]
FRAMES = ("order delayed, prepaid", "resolved, with points", "campaign points", "warned, part")
"""Cases that together show every part of the layout."""

RENDERER = Renderer(CALENDAR, LINKS, FRAMED_SHOP)


def logo() -> bytes:
    """Draw a dark logo on a transparent ground, as most shops have."""
    drawn = Image.new("RGBA", (160, 40), (0, 0, 0, 0))
    ImageDraw.Draw(drawn).ellipse((2, 2, 38, 38), fill="#123456")
    ImageDraw.Draw(drawn).rectangle((48, 14, 156, 26), fill="#222222")
    stored = BytesIO()
    drawn.save(stored, "PNG")
    return stored.getvalue()


async def show_logo(route: Route) -> None:
    await route.fulfill(body=logo(), content_type="image/png")


@pytest.fixture
async def mail_page(browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    context = await browser.new_context(**VIEWS[request.param], java_script_enabled=True)
    await context.route("https://shop.example/**", show_logo)
    yield await context.new_page()
    await context.close()


async def show(page: Page, case: str, language: Language) -> None:
    await page.set_content(RENDERER.render(sample_notice(case, language)).html)


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize(("mail_page", "view"), [(view, view) for view in EVERY_VIEW], indirect=["mail_page"])
async def test_no_mail_is_wider_than_the_screen(mail_page: Page, view: str, language: Language) -> None:
    wide = []
    for case in SAMPLES:
        await show(mail_page, case, language)
        await picture(mail_page, f"mails-{language}-{view}/{case}")
        if await mail_page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wide.append(case)
    assert wide == []


@pytest.mark.parametrize("case", FRAMES)
@pytest.mark.parametrize("mail_page", ["phone-light", "phone-dark"], indirect=True)
async def test_every_part_of_a_mail_can_be_read_in_both_themes(mail_page: Page, case: str) -> None:
    await show(mail_page, case, Language.JA)
    found = await Axe().run(mail_page)
    serious = [each for each in found.response["violations"] if each["impact"] in ("serious", "critical")]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in serious] == []


@pytest.mark.parametrize("case", FRAMES)
@pytest.mark.parametrize("mail_page", ["phone-light"], indirect=True)
async def test_every_button_of_a_mail_is_a_thumb_high(mail_page: Page, case: str) -> None:
    await show(mail_page, case, Language.JA)
    heights = "[...document.querySelectorAll('a')].filter(each => getComputedStyle(each).display == 'block')"
    heights += ".map(each => each.getBoundingClientRect().height)"
    assert all(height >= 44 for height in await mail_page.evaluate(heights))


@pytest.mark.parametrize("mail_page", ["phone-dark"], indirect=True)
async def test_a_dark_logo_stands_on_a_light_ground_in_the_dark_theme(mail_page: Page) -> None:
    await show(mail_page, "promised", Language.JA)
    ground = await mail_page.locator("img").evaluate("each => getComputedStyle(each).backgroundColor")
    assert ground == "rgb(255, 255, 255)"
