"""The desk in a real browser: with and without a mouse, live, in both languages, with light and dark colours."""

from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from services.intake.desk.accounts import StaffRole
from tests.browser.serving import PICTURES, picture, see
from tests.intake.browser.conftest import Shop
from tests.intake.issue_states import PASSWORD, an_order, hire, open_case, store_dead_letter
from tests.running import eventually

SIZES = {"phone": (390, 844), "desktop": (1280, 900), "wide": (1440, 900)}
LOCALES = {"ja": "ja-JP", "en": "en-GB", "de": "de-DE"}
EVERY_VIEW: dict[str, Any] = {
    f"{device}-{theme}-{language}": {
        "viewport": {"width": width, "height": height},
        "color_scheme": theme,
        "locale": locale,
    }
    for device, (width, height) in SIZES.items()
    for theme in ("light", "dark")
    for language, locale in LOCALES.items()
}
PAIRS = ("desktop-light-en", "desktop-dark-ja", "phone-light-ja", "phone-dark-en", "phone-light-de")
VIEWS = {name: view for name, view in EVERY_VIEW.items() if PICTURES or name in PAIRS}
"""Views that together show each size, theme and language once; every one of them for pictures."""
DESK_VIEWS = [name for name in VIEWS if not name.endswith("-de")]
"""The desk speaks Japanese and English."""


def language_of(view: str) -> str:
    return view.rpartition("-")[2]


async def check(page: Page, name: str) -> None:
    """Require no serious finding by axe and nothing wider than the screen; take a picture if PICTURES is set."""
    found = await Axe().run(page)
    serious = [
        violation for violation in found.response["violations"] if violation["impact"] in ("serious", "critical")
    ]
    assert not serious, (
        f"{name}: {[(violation['id'], [node['html'] for node in violation['nodes']]) for violation in serious]}"
    )
    overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, f"{name}: {overflow} pixels wider than the screen"
    await picture(page, name)


@pytest.mark.parametrize("view", DESK_VIEWS)
async def test_every_page_can_be_read_by_everybody(shop: Shop, browser: Browser, view: str) -> None:
    language = language_of(view)
    await shop.live.service.pool.execute("UPDATE staff SET language = $1", language)
    dead_letter = await store_dead_letter(shop.live, "orders", [an_order("SD-9999")])
    context = await browser.new_context(**VIEWS[view])
    context.set_default_timeout(20_000)
    page = await context.new_page()
    await see(page, f"{shop.url}/desk/sign-in")
    await check(page, f"desk-{view}/sign-in")
    await shop.sign_in(page, "aki")
    await check(page, f"desk-{view}/home")
    cases = {name: f"/desk/issues/{case.ids['issue_id']}" for name, case in shop.cases.items()}
    pages = {
        "issue-review": cases["review"], "issue-in-transit": cases["in_transit"], "issue-done": cases["done"],
        "section": "/desk/work/promises", "insights": "/desk/insights", "search": "/desk/search?q=C-77",
        "dead-letters": "/desk/dead-letters", "dead-letter": f"/desk/dead-letters/intake/{dead_letter}",
    }  # fmt: skip
    for name, path in pages.items():
        await see(page, shop.url + path)
        await check(page, f"desk-{view}/{name}")
    await see(page, shop.url + cases["review"])
    await page.locator(".actions input[type=radio]").first.check()
    await page.fill("#comment", "写真で確認できました。")
    await page.click(".actions button[type=submit]")
    await page.wait_for_url("**/confirm")
    await check(page, f"desk-{view}/confirm")
    await context.close()


async def test_the_first_page_shows_what_happens_without_being_asked(shop: Shop, page: Page) -> None:
    await shop.sign_in(page)
    await expect(page.locator("#reviews")).to_contain_text("1")
    case = await open_case(shop.live, "SD-2026-0300")
    await case.publish(case.review("warehouse_silent"))
    await expect(page.get_by_role("link", name="Warehouse does not answer")).to_be_visible()
    await expect(page.locator("#live-status")).to_have_text("This page was updated")


async def test_everything_works_with_the_keyboard_alone_and_without_script(shop: Shop, browser: Browser) -> None:
    context = await browser.new_context(java_script_enabled=False, locale="en-GB")
    page = await context.new_page()
    await shop.sign_in(page)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")  # the first stop leads past the menu
    assert page.url.endswith("#content")
    await page.get_by_role("link", name="High value").focus()
    await page.keyboard.press("Enter")
    await page.get_by_label("Approve: do what is proposed").focus()
    await page.keyboard.press("Space")
    await page.get_by_label("Reason").focus()
    await page.keyboard.type("By keyboard.")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Do this?")
    await page.get_by_role("button", name="Do it").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status").first).to_contain_text("Sent.")
    await context.close()


async def test_a_slash_leads_to_the_search_which_leads_to_the_issue(shop: Shop, page: Page) -> None:
    await shop.sign_in(page)
    await page.keyboard.press("/")
    await page.keyboard.type("SD-2026-0105")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/desk/issues/{shop.cases['in_transit'].ids['issue_id']}")
    await expect(page.locator("#promises")).to_be_visible()


async def test_a_dead_letter_is_looked_at_and_replayed(shop: Shop, page: Page) -> None:
    await store_dead_letter(shop.live, "orders", [an_order("SD-9001")], "ValueError: the code of yesterday")
    await shop.sign_in(page, "aki")
    await page.get_by_role("link", name="Dead letters").first.click()
    await page.get_by_role("link", name="storefront.orders").click()
    await expect(page.locator("pre")).to_contain_text("SD-9001")
    await page.get_by_label("Reason").fill("The fix is deployed.")
    await page.get_by_role("button", name="Go on to confirm").click()
    await page.get_by_role("button", name="Do it").click()
    await expect(page.get_by_role("status").first).to_have_text("It is being replayed.")

    async def taken() -> bool:
        return bool(await shop.live.service.pool.fetchval("SELECT true FROM orders WHERE key = 'SD-9001'"))

    await eventually(taken, "the order is known")
    act = await shop.live.service.pool.fetchrow("SELECT staff, action, comment FROM desk_actions")
    assert act
    assert (act["staff"], act["action"], act["comment"]) == ("aki", "replay", "The fix is deployed.")


async def test_two_browsers_do_not_act_on_one_issue(shop: Shop, browser: Browser) -> None:
    pages = []
    for name in ("hanako", "taro"):
        page = await (await browser.new_context(locale="en-GB")).new_page()
        await shop.sign_in(page, name)
        await page.get_by_role("link", name="High value").click()
        await page.get_by_label("Approve: do what is proposed").check()
        await page.get_by_label("Reason").fill(f"{name} says so.")
        pages.append(page)
    for page in pages:
        await page.get_by_role("button", name="Go on to confirm").click()
    await expect(pages[0].get_by_role("heading", level=1)).to_have_text("Do this?")
    await expect(pages[1].get_by_role("alert")).to_contain_text("hanako is on it")


async def test_a_page_left_alone_leads_back_to_signing_in(shop: Shop, page: Page) -> None:
    await hire(shop.live, "gone", StaffRole.VIEWER)
    await shop.sign_in(page, "gone")
    await page.goto("about:blank")  # else the open page notices by itself, and leads to signing in without a way back
    await shop.live.service.pool.execute(
        "UPDATE staff_sessions SET seen_at = seen_at - $1::interval WHERE staff = 'gone'", timedelta(hours=1)
    )
    await page.goto(f"{shop.url}/desk/insights")
    await expect(page.locator("#password")).to_be_visible()
    await page.fill("#name", "gone")
    await page.fill("#password", PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{shop.url}/desk/insights")
