"""Closed issues on both surfaces, with rows as the database returns them: status text, not enum members."""

from datetime import UTC, datetime

import pytest

from libs.common.events import issues
from libs.common.http.signed_links import SignedLinks
from services.intake.customer_pages.links import CustomerPageLinks
from tests.intake.desk.conftest import Desk
from tests.running import LINK_SECRETS

NOW = datetime.now(UTC)


async def status_page(desk: Desk) -> str:
    url = CustomerPageLinks("http://service", SignedLinks([LINK_SECRETS])).status(desk.case.ids["issue_id"], NOW)
    page = await desk.live.client.get(url, headers={"Accept-Language": "en"})
    assert page.status_code == 200
    return page.text


async def desk_page(desk: Desk) -> str:
    return (await (await desk.as_("hanako")).get(desk.issue)).text


async def book_a_courier(desk: Desk) -> None:
    case = desk.case
    await case.publish(case.ordered(), case.shipped(), case.arrived(), case.requested(), case.booked())


def rejected(desk: Desk) -> issues.IssueRejected:
    return issues.IssueRejected(**desk.case.ids, code="window_closed", message="noticed_on: too late", rejected_at=NOW)


def cancelled(desk: Desk) -> issues.IssueCancelled:
    return issues.IssueCancelled(**desk.case.ids, cause="customer", cancelled_at=NOW)


async def test_a_resolved_issue_can_be_reopened_at_the_desk(desk: Desk) -> None:
    assert 'value="reopen:"' not in await desk_page(desk)
    await desk.case.publish(desk.case.resolved())
    assert 'value="reopen:"' in await desk_page(desk)


async def test_a_rejected_issue_can_be_accepted_at_the_desk(desk: Desk) -> None:
    await desk.case.publish(rejected(desk))
    page = await desk_page(desk)
    assert ('value="accept:"' in page, 'value="reopen:"' in page) == (True, False)


async def test_the_status_page_of_a_resolved_issue_ends_with_all_done(desk: Desk) -> None:
    await book_a_courier(desk)
    await desk.case.publish(desk.case.resolved())
    milestones = (await status_page(desk)).partition('<ol class="milestones">')[2].partition("</ol>")[0]
    assert "All done" in milestones


@pytest.mark.parametrize("end", ["resolved", "rejected", "cancelled", "collected"])
async def test_no_courier_is_announced_once_nothing_is_to_be_collected(desk: Desk, end: str) -> None:
    await book_a_courier(desk)
    assert "The courier comes on" in await status_page(desk)
    ends = {
        "resolved": desk.case.resolved(),
        "rejected": rejected(desk),
        "cancelled": cancelled(desk),
        "collected": issues.IssueCollected(**desk.case.ids, collection_id=desk.case.replacement, collected_at=NOW),
    }
    await desk.case.publish(ends[end])
    page = await status_page(desk)
    assert ("The courier" in page, "Request this time" in page) == (False, False)
