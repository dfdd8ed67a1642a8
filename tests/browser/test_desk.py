"""The desk in a real browser."""

from playwright.async_api import Page

from tests.browser.conftest import Shop
from tests.browser.serving import picture, see


async def test_first_look(shop: Shop, page: Page) -> None:
    await see(page, f"{shop.url}/desk")
    await picture(page, "sign-in")
    await shop.sign_in(page)
    await picture(page, "home")
    for name, case in shop.cases.items():
        await see(page, f"{shop.url}/desk/issues/{case.ids['issue_id']}")
        await picture(page, f"issue-{name}")
    await see(page, f"{shop.url}/desk/insights")
    await picture(page, "insights")
