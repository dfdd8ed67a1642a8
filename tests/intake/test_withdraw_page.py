"""The withdraw button of the status page does what the call does, and says what happens once something has left."""

from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest

from services.intake.domain.projections.withdrawable import WITHDRAWABLE
from tests.intake.service_calls import reported
from tests.running import Live

BUTTON = "/withdraw?lang=en"
DECISIONS = "SELECT action, staff FROM staff_decisions"


async def page_of(live: Live) -> str:
    """Report an issue, and return the path of its status page."""
    issue_id = UUID((await reported(live)).rpartition("/")[2])
    url: str = live.app.state.customer_pages.links.status(issue_id, datetime.now(UTC))
    return httpx.URL(url).path


async def set_status(live: Live, status: str) -> None:
    column = "lifecycle" if status in ("resolved", "cancelled", "reopened") else "progress"
    await live.service.pool.execute(
        f"UPDATE issues SET {column}_status = $1, {column}_at = now()",
        status,
    )


async def test_the_button_withdraws_like_the_call(live: Live) -> None:
    page = await page_of(live)
    answer = await live.client.post(f"{page}/withdraw?lang=en")
    assert (answer.status_code, "done=withdraw" in answer.headers["Location"]) == (303, True)
    assert [tuple(row) for row in await live.service.pool.fetch(DECISIONS)] == [("cancel", "customer")]


async def test_the_page_confirms_the_withdrawal(live: Live) -> None:
    page = await page_of(live)
    shown = (await live.client.get(f"{page}?lang=en&done=withdraw")).text
    assert ("We received your request to withdraw" in shown, BUTTON in shown) == (True, False)


@pytest.mark.parametrize("status", sorted(WITHDRAWABLE - {"reopened"}))
async def test_the_page_has_the_button_while_nothing_has_left(live: Live, status: str) -> None:
    page = await page_of(live)
    await set_status(live, status)
    assert BUTTON in (await live.client.get(f"{page}?lang=en")).text


@pytest.mark.parametrize("status", ["replacement_shipped", "replacement_delivered", "refunded"])
async def test_after_something_has_left_the_page_says_what_happens_instead(live: Live, status: str) -> None:
    page = await page_of(live)
    await set_status(live, status)
    shown = (await live.client.get(f"{page}?lang=en")).text
    assert ("refuse the parcel" in shown, BUTTON in shown) == (True, False)


@pytest.mark.parametrize("event_type", ["issue.replacement_shipped.v1", "issue.collected.v1", "issue.refunded.v1"])
async def test_a_review_after_something_has_left_offers_no_withdrawal(live: Live, event_type: str) -> None:
    page = await page_of(live)
    await set_status(live, "in_review")
    await live.service.pool.execute(
        """INSERT INTO timeline (issue_id, event_id, at, type, data)
           SELECT issue_id, 'e-1', now(), $1, '{}' FROM issues""",
        event_type,
    )
    assert BUTTON not in (await live.client.get(f"{page}?lang=en")).text
    answer = await live.client.post(f"{page}/withdraw?lang=en")
    assert (answer.status_code, await live.service.pool.fetch(DECISIONS)) == (409, [])


async def test_a_button_pressed_too_late_changes_nothing_and_says_so(live: Live) -> None:
    page = await page_of(live)
    await set_status(live, "replacement_shipped")
    answer = await live.client.post(f"{page}/withdraw?lang=en")
    assert (answer.status_code, "could not be withdrawn" in answer.text) == (409, True)
    assert await live.service.pool.fetch(DECISIONS) == []


@pytest.mark.parametrize("status", ["resolved", "cancelled"])
async def test_a_closed_report_offers_no_withdrawal(live: Live, status: str) -> None:
    page = await page_of(live)
    await set_status(live, status)
    assert "withdraw" not in (await live.client.get(f"{page}?lang=en")).text


async def test_a_wrong_link_withdraws_nothing(live: Live) -> None:
    await page_of(live)
    answer = await live.client.post("/s/none/withdraw")
    assert answer.status_code != 303
    assert await live.service.pool.fetch(DECISIONS) == []
