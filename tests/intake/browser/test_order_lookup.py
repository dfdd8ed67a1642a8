"""From an order number to an accepted report with a photo, at phone width, without a link or an account."""

import re
import time
from typing import Any

import pytest
from playwright.async_api import Browser, FilePayload, ViewportSize, expect

from libs.common.events.issues import IssueAccepted
from libs.common.events.registry import decode
from tests.browser.serving import see
from tests.intake.browser.conftest import Shop
from tests.intake.browser.test_desk import VIEWS, check, language_of
from tests.intake.issue_states import deliver, report
from tests.intake.test_photos import picture as photo

PHONE: ViewportSize = {"width": 390, "height": 844}
TEXTS = {
    "en": ("Order number", "Postcode of the delivery address", "Open my order", "It does not work", "Photos", "Send"),
    "ja": ("ご注文番号", "お届け先の郵便番号", "ご注文を開く", "壊れている", "写真", "送る"),
    "de": (
        "Bestellnummer",
        "Postleitzahl der Lieferadresse",
        "Bestellung öffnen",
        "Er funktioniert",
        "Fotos",
        "Absenden",
    ),
}


async def accepted(shop: Shop, order_id: str) -> int:
    rows = await shop.live.service.pool.fetch("SELECT value FROM outbox_records")
    events = [decode(row["value"]).data for row in rows]
    return sum(isinstance(each, IssueAccepted) and each.order_id == order_id for each in events)


@pytest.mark.parametrize("javascript", [True, False])
@pytest.mark.parametrize("language", TEXTS)
async def test_an_order_number_leads_to_an_accepted_report_with_a_photo_within_a_minute(
    shop: Shop, browser: Browser, language: str, javascript: bool
) -> None:
    number, proof, open_order, reason, photos, send = TEXTS[language]
    await deliver(shop.live, "SD-2026-0300")
    context = await browser.new_context(viewport=PHONE, java_script_enabled=javascript)
    page = await context.new_page()
    began = time.monotonic()
    await see(page, f"{shop.url}/find?lang={language}")
    await page.get_by_label(number).fill("sd-2026-0300")
    await page.get_by_label(proof).fill("1500001")
    await page.get_by_role("button", name=open_order).click()
    await page.locator(".option", has_text="急須").get_by_role("checkbox").check()
    await page.get_by_label(reason).check()
    jpeg: FilePayload = {"name": "kyusu.jpg", "mimeType": "image/jpeg", "buffer": photo()}
    await page.get_by_label(re.compile(f"^{photos}")).set_input_files(jpeg)
    await page.get_by_role("button", name=send, exact=True).click()
    await page.wait_for_url("**/sent/**")
    assert time.monotonic() - began < 60
    assert await accepted(shop, "SD-2026-0300") == 1
    assert await shop.live.service.pool.fetchval("SELECT count(*) FROM evidence") >= 1
    await context.close()


async def test_a_wrong_postcode_shows_what_to_compare_and_keeps_the_number(shop: Shop, browser: Browser) -> None:
    context = await browser.new_context(viewport=PHONE)
    page = await context.new_page()
    await see(page, f"{shop.url}/find?lang=en")
    await page.get_by_label("Order number").fill("SD-2026-0300")
    await page.get_by_label("Postcode of the delivery address").fill("999-9999")
    await page.get_by_role("button", name="Open my order").click()
    await expect(page.get_by_role("alert")).to_contain_text("We found no order with this number")
    await expect(page.get_by_label("Order number")).to_have_value("SD-2026-0300")
    await context.close()


@pytest.mark.parametrize("view", VIEWS)
async def test_the_door_and_the_order_behind_it_can_be_read_by_everybody(
    shop: Shop, browser: Browser, view: str
) -> None:
    language = language_of(view)
    await deliver(shop.live, "SD-2026-0300")
    await report(shop.live, "SD-2026-0300")
    options: dict[str, Any] = VIEWS[view]
    context = await browser.new_context(**options)
    page = await context.new_page()
    await see(page, f"{shop.url}/find?lang={language}")
    await check(page, f"pages-{view}/find")
    await page.locator("#number").fill("SD-2026-0300")
    await page.locator("#proof").fill("999")
    await page.locator("button[type=submit]").click()
    await page.wait_for_selector("[role=alert]")
    await check(page, f"pages-{view}/find-refused")
    await page.locator("#proof").fill("150-0001")
    await page.locator("button[type=submit]").click()
    await page.wait_for_url("**/r/**")
    await check(page, f"pages-{view}/found-order")
    await context.close()
