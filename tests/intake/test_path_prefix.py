"""Customer pages below a path: a proxy serves them at the path of PUBLIC_URL and takes it off before it passes on."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.demo.partners.page_forms import forms_of
from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from tests.intake.event_builders import CUSTOMER, ORDER, delivered, placed
from tests.running import STOREFRONT, Live, running

PREFIX = "/after-sales"


class Proxy:
    """Passes on what is below the prefix, without it; everything else belongs to another service."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["path"].startswith(f"{PREFIX}/"), f"{scope['path']} is not below the path of PUBLIC_URL"
        await self.app({**scope, "path": scope["path"].removeprefix(PREFIX)}, receive, send)


@pytest.fixture
async def live(database: Callable[[str], Awaitable[str]], tmp_path: Path) -> AsyncIterator[Live]:
    url, public_url = await database("intake"), f"http://shop{PREFIX}"
    async with running(create_app, IntakeSettings, database=url, evidence_dir=tmp_path, public_url=public_url) as live:
        now = datetime.now(UTC)
        for event in (placed(at=now), delivered(at=now)):
            await live.service.execute(live.service.aggregates["orders"], event)
        yield live


@pytest.fixture
async def browser(live: Live) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Proxy(live.app))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop", follow_redirects=True) as client:
        yield client


async def report_form(live: Live, browser: httpx.AsyncClient) -> httpx.Response:
    body = {"order_id": ORDER, "customer_id": CUSTOMER, "language": "en"}
    made = await live.client.post("/v1/report-links", json=body, headers=STOREFRONT)
    return await browser.get(made.json()["url"])


async def submit(browser: httpx.AsyncClient, page: httpx.Response, **fields: str) -> httpx.Response:
    """Submit the first form of a page, as a browser does."""
    (form, *_) = forms_of(page.text)
    parts = {name: (None, value) for name, value in {**form.fields, **fields}.items()}
    return await browser.post(page.url.join(form.action), files=parts)


async def status_page(live: Live, browser: httpx.AsyncClient) -> httpx.Response:
    thanks = await submit(browser, await report_form(live, browser), **{"line:1": "1"}, reason="missing_part")
    (status_url,) = re.findall(r'class="button" href="([^"]+)"', thanks.text)
    return await browser.get(status_url)


async def test_a_report_is_sent_from_the_form(live: Live, browser: httpx.AsyncClient) -> None:
    thanks = await submit(browser, await report_form(live, browser), **{"line:1": "1"}, reason="missing_part")
    assert (thanks.status_code, "/sent/" in thanks.url.path) == (200, True)


async def test_missing_details_are_sent_from_the_status_page(live: Live, browser: httpx.AsyncClient) -> None:
    answer = await submit(browser, await status_page(live, browser), **{"part:1": "lid"})
    assert (answer.status_code, answer.url.params["done"]) == (200, "details")


async def test_missing_details_are_sent_again_after_a_refusal(live: Live, browser: httpx.AsyncClient) -> None:
    refused = await submit(browser, await status_page(live, browser))
    answer = await submit(browser, refused, **{"part:1": "lid"})
    assert (refused.status_code, answer.status_code) == (422, 200)


async def test_the_language_is_changed_after_a_refusal(live: Live, browser: httpx.AsyncClient) -> None:
    refused = await submit(browser, await status_page(live, browser))
    (link,) = re.findall(r'href="([^"]*[?]lang=en)"', refused.text)
    assert (refused.status_code, (await browser.get(refused.url.join(link))).status_code) == (422, 200)


async def test_every_file_of_a_page_is_found(live: Live, browser: httpx.AsyncClient) -> None:
    page = await report_form(live, browser)
    files = re.findall(r'(?:href|src)="([^"]*/assets/[^"]+)"', page.text)
    assert [(await browser.get(file)).status_code for file in files] == [200, 200, 200, 200]
