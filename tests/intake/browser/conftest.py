"""Intake on a real port with the issues of a busy day, and a real browser."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from deploy.local.ports import LOOPBACK, free_port
from services.intake.app import create_app
from services.intake.desk.accounts import StaffRole
from services.intake.settings import IntakeSettings
from tests.browser.conftest import browser, page
from tests.browser.serving import need_chromium, served
from tests.conftest import MakeDatabase
from tests.intake.issue_states import PASSWORD, Case, a_busy_day, hire
from tests.running import Live, running, traced

__all__ = ["browser", "page", "shop"]


@dataclass
class Shop:
    """The address of a running intake and the issues on its pages."""

    url: str
    live: Live
    cases: dict[str, Case]

    async def sign_in(self, page: Page, name: str = "hanako") -> None:
        await page.goto(f"{self.url}/desk")
        await page.fill("#name", name)
        await page.fill("#password", PASSWORD)
        await page.click("main button[type=submit]")
        await page.wait_for_url(f"{self.url}/desk")


@pytest.fixture
async def shop(database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Shop]:
    need_chromium()
    port = free_port()
    settings: dict[str, Any] = {
        "public_url": f"http://{LOOPBACK}:{port}",
        "desk_secure_cookies": False,
        "shop_name": "さきだし商店",
        "shop_contact": "03-0000-0000（平日 10時〜17時）",
        "trace_url": "http://traces.example/trace/{trace_id}",
        "notices_url": f"http://{LOOPBACK}:{port}/elsewhere",
        **traced(),
    }
    url = await database("intake")
    async with running(create_app, IntakeSettings, database=url, evidence_dir=tmp_path, **settings) as live:
        for name, role in (
            ("hanako", StaffRole.AGENT),
            ("taro", StaffRole.AGENT),
            ("vera", StaffRole.VIEWER),
            ("aki", StaffRole.ADMIN),
        ):
            await hire(live, name, role)
        cases = await a_busy_day(live)
        async with served(live.app, port) as address:
            yield Shop(address, live, cases)
