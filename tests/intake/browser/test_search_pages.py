"""Pages of the search and of an order at the desk, in a real browser, in both themes and widths."""

from typing import Any

import pytest
from playwright.async_api import Browser

from tests.browser.serving import see
from tests.intake.browser.conftest import Shop
from tests.intake.browser.test_desk import DESK_VIEWS, VIEWS, check, language_of
from tests.intake.issue_states import deliver


@pytest.mark.parametrize("view", DESK_VIEWS)
async def test_results_and_orders_can_be_read_by_everybody(shop: Shop, browser: Browser, view: str) -> None:
    language = language_of(view)
    await shop.live.service.pool.execute("UPDATE staff SET language = $1", language)
    await deliver(shop.live, "SD-2026-0300")
    options: dict[str, Any] = VIEWS[view]
    context = await browser.new_context(**options)
    page = await context.new_page()
    await shop.sign_in(page, "hanako")
    for name, path in {
        "found": "/desk/search?q=山田",
        "found-numbers": "/desk/search?q=SD-2026",
        "order": "/desk/orders/SD-2026-0101",
    }.items():
        await see(page, shop.url + path)
        await check(page, f"desk-{view}/{name}")
    await context.close()
