"""Swagger UI and the entry point of every service, in a browser that reaches no other host."""

from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, Route, expect

from libs.common.events.topics import ALL_SERVICES
from tests.browser.serving import need_chromium, see, served
from tests.security.apps import apps

SLOW = 60_000
"""Milliseconds. Swagger UI is 1.7 MB of script, which takes long on a busy machine."""


@pytest.mark.parametrize("service", ALL_SERVICES)
async def test_api_docs_need_no_other_host(service: str, page: Page, tmp_path_factory: pytest.TempPathFactory) -> None:
    need_chromium()
    blocked: list[str] = []
    async with served(apps(tmp_path_factory.mktemp("evidence"))[service]) as url:

        async def own_host_only(route: Route) -> None:
            if urlsplit(route.request.url).netloc == urlsplit(url).netloc:
                await route.continue_()
            else:
                blocked.append(route.request.url)
                await route.abort()

        await page.route("**/*", own_host_only)
        await see(page, f"{url}/")
        await page.get_by_role("link", name="api docs").click()
        await expect(page.locator(".info .title")).to_contain_text(f"Sakidashi {service}", timeout=SLOW)
        await expect(page.locator(".opblock").first).to_be_visible(timeout=SLOW)
    assert blocked == []
