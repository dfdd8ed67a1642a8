"""Journeys through the pages and all services: four services, Kafka and a real browser."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from playwright.async_api import FilePayload, Page, expect

from deploy.local.ports import LOOPBACK, free_port
from services.intake.desk.accounts import StaffRole
from tests.browser.serving import need_chromium, picture, see, served
from tests.conftest import MakeDatabase, execute_as_owner
from tests.intake.issue_states import PASSWORD, an_order, hire
from tests.intake.test_photos import picture as photo
from tests.journey.backbone import Backbone, backbone, line
from tests.journey.test_replacement import swap
from tests.running import OPS, STOREFRONT, eventually


@dataclass
class Everything:
    system: Backbone
    url: str

    def here(self, address: str) -> str:
        """Return the same path at the port where intake is served."""
        parts = urlsplit(address)
        return f"{self.url}{parts.path}" + (f"?{parts.query}" if parts.query else "")


@pytest.fixture
async def everything(database: MakeDatabase, kafka: str, topics: str, tmp_path: Path) -> AsyncIterator[Everything]:
    """All services; the desk and returns (for its dead letters) are on ports of their own."""
    need_chromium()
    port = free_port()
    desk: dict[str, Any] = {
        "desk_secure_cookies": False,
        "ops_urls": f"returns=http://{LOOPBACK}:{port}",
        "ops_key": OPS["Authorization"].removeprefix("Bearer "),
    }
    async with (
        backbone(database, kafka, topics, tmp_path, **desk) as system,
        served(system.returns.app, port),
        served(system.intake.app) as url,
    ):
        yield Everything(system, url)


async def test_a_report_with_a_photo_goes_from_the_form_to_the_points(everything: Everything, page: Page) -> None:
    shop = everything.system
    await shop.place_order("order-1", line("1"), line("2"))
    wanted = {"order_id": "order-1", "customer_id": "customer of order-1", "language": "en"}
    made = await shop.intake.client.post("/v1/report-links", json=wanted, headers=STOREFRONT)
    assert made.status_code == 201, made.text

    await see(page, everything.here(made.json()["url"]))
    await page.locator(".option", has_text="南部鉄器 急須").first.locator("input").check()
    await page.get_by_label("It does not work, or has a fault").check()
    jpeg: FilePayload = {"name": "kyusu.jpg", "mimeType": "image/jpeg", "buffer": photo()}
    await page.get_by_label("Photos (if you have any)").set_input_files(jpeg)
    await expect(page.locator(".previews img")).to_have_count(1)
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("We have your report")
    await picture(page, "thanks")

    issue_id = UUID((re.search(r"/sent/([0-9a-f-]{36})", page.url) or [""])[1])
    status = await page.get_by_role("link", name="See the current status").get_attribute("href") or ""
    status += ("&" if "?" in status else "?") + "lang=en"  # the customer is written to in Japanese
    await swap(shop, issue_id)
    granted = await shop.wait_for("points.granted", issue_id=issue_id)
    points = granted["data"]["points"]

    async def shown() -> bool:
        await see(page, everything.here(status))
        seen = await page.inner_text("main")
        return f"{points} points" in seen and "All done" in seen

    await eventually(shown, "the status page shows the points, and that all is done")
    issue = (await shop.intake.client.get(f"/v1/issues/{issue_id}", headers=OPS)).json()
    assert len(issue["photos"]) == 1


async def sign_in(page: Page, url: str, name: str) -> None:
    await page.goto(f"{url}/desk")
    await page.fill("#name", name)
    await page.fill("#password", PASSWORD)
    await page.click("main button[type=submit]")
    await page.wait_for_url(f"{url}/desk")


async def test_an_agent_resolves_a_review_and_the_replacement_leaves(everything: Everything, page: Page) -> None:
    shop = everything.system
    await hire(shop.intake, "hanako", StaffRole.AGENT)
    await shop.place_order("order-1", line("1", price="250000"))
    answer = await shop.post_report("order-1", photos=[await uploaded(shop)])
    assert answer.status_code == 202, answer.text
    issue_id = UUID(answer.json()["issue_id"])
    await shop.wait_for("issue.review_requested", issue_id=issue_id, cause="value")

    await sign_in(page, everything.url, "hanako")
    # The page fetches itself again when something happens: nobody reloads it here.
    await page.get_by_role("link", name="High value").click()
    await page.get_by_label("Approve: do what is proposed").check()
    await page.get_by_label("Reason").fill("A good customer for years, and the photo shows it.")
    await page.get_by_role("button", name="Go on to confirm").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Do this?")
    await page.get_by_role("button", name="Do it").click()
    await expect(page.get_by_role("status").first).to_contain_text("Sent.")

    await shop.wait_for("replacement.ordered", issue_id=issue_id)
    taken = await shop.wait_for("issue.staff_decision_applied", issue_id=issue_id)
    assert (taken["data"]["staff"], taken["data"]["applied"]) == ("hanako", True)
    await expect(page.locator(".story")).to_contain_text("Replacement ordered")
    assert await shop.intake.service.pool.fetchval("SELECT count(*) FROM work_queue WHERE kind = 'review'") == 0


async def uploaded(shop: Backbone) -> str:
    answer = await shop.intake.client.post(
        "/v1/photos", files={"photos": ("a.jpg", photo(), "image/jpeg")}, headers=STOREFRONT
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["photos"][0]["sha256"])


async def test_a_dead_letter_of_another_service_is_looked_at_and_replayed_once_it_was_fixed(
    everything: Everything, page: Page
) -> None:
    shop, returns = everything.system, everything.system.returns.service.pool
    await hire(shop.intake, "aki", StaffRole.ADMIN)
    known = "SELECT count(*) FROM order_snapshots WHERE order_id = 'SD-9001'"
    owned = shop.returns.service.settings.database_url
    refuse = "ALTER TABLE order_snapshots ADD CONSTRAINT of_yesterday CHECK (order_id <> 'SD-9001') NOT VALID"
    await execute_as_owner(str(owned), refuse)
    await shop.publish(an_order("SD-9001"))

    async def is_dead_letter() -> bool:
        return bool(await returns.fetchval("SELECT count(*) FROM dead_letters WHERE state = 'open'") == 1)

    await eventually(is_dead_letter, "returns keeps what it cannot take as a dead letter", seconds=60)
    assert await returns.fetchval(known) == 0
    await execute_as_owner(str(owned), "ALTER TABLE order_snapshots DROP CONSTRAINT of_yesterday")

    await sign_in(page, everything.url, "aki")
    await page.get_by_role("link", name="Dead letters").first.click()
    await page.get_by_role("link", name="storefront.orders").click()
    await expect(page.locator("pre")).to_contain_text("SD-9001")
    await expect(page.locator("main")).to_contain_text("of_yesterday")
    await page.get_by_label("Reason").fill("The constraint is gone.")
    await page.get_by_role("button", name="Go on to confirm").click()
    await page.get_by_role("button", name="Do it").click()
    await expect(page.get_by_role("status").first).to_have_text("It is being replayed.")

    async def taken() -> bool:
        return bool(await returns.fetchval(known) == 1)

    await eventually(taken, "returns knows the order", seconds=60)
    act = await shop.intake.service.pool.fetchrow("SELECT staff, action, comment FROM desk_actions")
    assert act
    assert tuple(act) == ("aki", "replay", "The constraint is gone.")
    await page.goto(f"{everything.url}/desk/dead-letters")
    await expect(page.get_by_role("link", name="storefront.orders")).to_have_count(0)
