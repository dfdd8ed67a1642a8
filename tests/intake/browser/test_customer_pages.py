"""The customer's pages in a real browser: on a phone and at a desk, with light and dark colours, in both languages."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from playwright.async_api import Browser, FilePayload, Page, expect

from libs.common.events.registry import decode
from libs.common.events.values import Language
from libs.common.http.signed_links import SignedLinks
from services.intake.customer_pages.links import CustomerPageLinks, ReportSubject
from tests.browser.serving import see
from tests.intake.browser.conftest import Shop
from tests.intake.browser.test_desk import VIEWS, check, language_of
from tests.intake.event_builders import CUSTOMER
from tests.intake.issue_states import deliver
from tests.intake.test_photos import picture as photo
from tests.running import LINK_SECRETS

NOW = datetime.now(UTC)


def links(shop: Shop) -> CustomerPageLinks:
    return CustomerPageLinks(shop.url, SignedLinks([LINK_SECRETS]))


def status(shop: Shop, name: str) -> str:
    issue_id: UUID = shop.cases[name].ids["issue_id"]
    return links(shop).status(issue_id, NOW) + "?lang=en"


async def published(shop: Shop, type_: str) -> list[object]:
    rows = await shop.live.service.pool.fetch("SELECT value FROM outbox_records ORDER BY id, n")
    return [event.data for row in rows if (event := decode(row["value"])).type == type_]


@pytest.mark.parametrize("view", VIEWS)
async def test_every_page_can_be_read_by_everybody(shop: Shop, browser: Browser, view: str) -> None:
    context = await browser.new_context(**VIEWS[view])
    page = await context.new_page()
    language = language_of(view)
    await deliver(shop.live, "SD-2026-0200")
    report, _ = links(shop).report(ReportSubject("SD-2026-0200", CUSTOMER, Language.JA), NOW)
    pages = {f"status-{name}": links(shop).status(case.ids["issue_id"], NOW) for name, case in shop.cases.items()}
    pages |= {"survey": links(shop).survey(shop.cases["done"].ids["issue_id"], NOW), "report": report}
    for name, address in pages.items():
        await see(page, f"{address}?lang={language}")
        await check(page, f"pages-{view}/{name}")
    await context.close()


async def test_the_customer_changes_when_the_courier_comes(shop: Shop, page: Page) -> None:
    await see(page, status(shop, "in_transit"))
    await page.get_by_text("Choose or change the time").click()
    wanted = await page.locator("#window option").nth(7).get_attribute("value") or ""
    await page.select_option("#window", wanted)
    await page.get_by_role("button", name="Request this time").click()
    await expect(page.get_by_role("status")).to_contain_text("We received your request")
    (chosen,) = await published(shop, "issue.collection_window_chosen.v1")
    window = chosen.window  # type: ignore[attr-defined]
    assert f"{window.day.isoformat()}/{window.from_hour}-{window.to_hour}" == wanted


async def test_the_customer_sends_what_is_missing(shop: Shop, page: Page) -> None:
    await see(page, status(shop, "stalled"))
    await page.get_by_label("Which part is missing").fill("The lid")
    jpeg: FilePayload = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo()}
    await page.get_by_label("Photos").set_input_files(jpeg)
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("status")).to_contain_text("Thank you, we received it.")
    assert await page.locator("#missing").count() == 0


async def test_a_parcel_names_its_courier_in_the_language_of_the_page(shop: Shop, page: Page) -> None:
    await see(page, status(shop, "in_transit"))
    await expect(page.get_by_text("Tracking number: Yamato Transport")).to_be_visible()


async def test_a_report_that_waits_for_its_reporter_promises_no_date(shop: Shop, page: Page) -> None:
    await see(page, status(shop, "stalled"))
    await expect(page.locator(".milestones li").first).to_contain_text("Once we have your answer")
