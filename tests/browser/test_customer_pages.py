"""The customer's pages in a real browser."""

from datetime import UTC, datetime
from uuid import UUID

from playwright.async_api import Page

from libs.common.events.values import Language
from libs.common.signed_links import SignedLinks
from services.intake.customer_pages.links import CustomerLinks, ReportPlace
from tests.browser.conftest import Shop
from tests.browser.serving import picture, see
from tests.browser.story import deliver
from tests.intake.reports import CUSTOMER
from tests.running import LINK_SECRETS


def links(shop: Shop) -> CustomerLinks:
    return CustomerLinks(shop.url, SignedLinks([LINK_SECRETS]))


async def test_first_look(shop: Shop, page: Page) -> None:
    now = datetime.now(UTC)
    for name, case in shop.cases.items():
        issue_id: UUID = case.ids["issue_id"]
        await see(page, links(shop).status(issue_id, now))
        await picture(page, f"status-{name}")
    await see(page, links(shop).survey(shop.cases["done"].ids["issue_id"], now))
    await picture(page, "survey")
    await deliver(shop.live, "SD-2026-0200")
    url, _ = links(shop).report(ReportPlace("SD-2026-0200", CUSTOMER, Language.JA), now)
    await see(page, url)
    await picture(page, "report")
