"""Reports that are not accepted at once: incomplete, duplicate, or decided by staff."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from deploy.demo.clock_driver import AdjustableClock
from libs.common.events import storefront, values, warehouse
from tests.conftest import MakeDatabase
from tests.intake.test_over_http import PHOTO, owner_url
from tests.journey.backbone import Backbone, backbone, line
from tests.journey.partners import JourneyPartners
from tests.running import STOREFRONT, eventually


@pytest.fixture
def clock(tmp_path: Path) -> AdjustableClock:
    file = tmp_path / "clock"
    AdjustableClock.create(file, datetime.now(UTC), speed=1)
    return AdjustableClock(file)


@pytest.fixture
async def shop(
    database: MakeDatabase, kafka: str, topics: str, tmp_path: Path, clock: AdjustableClock
) -> AsyncIterator[Backbone]:
    async with backbone(database, kafka, topics, tmp_path, clock_file=tmp_path / "clock") as running:
        yield running


def pass_time(clock: AdjustableClock, **span: int) -> None:
    clock.set_time(clock.now() + timedelta(**span), speed=1)


async def held(shop: Backbone, order_id: str, reason: str, quantity: int = 1) -> JourneyPartners:
    """A report that waits for details."""
    answer = await shop.post_report(order_id, reason, quantity)
    body = answer.json()
    assert (answer.status_code, body["status"], len(body["missing"])) == (202, "waiting_for_customer", 1)
    return JourneyPartners(shop, UUID(body["issue_id"]))


async def test_what_is_missing_is_asked_for_by_a_day_and_a_photo_by_link_lets_the_replacement_leave(
    shop: Backbone, clock: AdjustableClock
) -> None:
    await shop.place_order("order-1", line("1", 2))
    partners = await held(shop, "order-1", "damaged_in_transit", 2)
    issue_id = partners.issue_id
    assert shop.events_of("issue.details_requested", issue_id=issue_id) == []  # its photo may be on its way

    pass_time(clock, minutes=16)
    requested = (await shop.wait_for("issue.details_requested", issue_id=issue_id))["data"]
    assert (requested["missing"], requested["due_at"] > clock.now().isoformat()) == (["photo"], True)
    await shop.wait_for("notice.sent", issue_id=issue_id, kind="details_requested")
    response = await shop.intake.client.post(f"{owner_url(shop.intake, str(issue_id), days=3)}/photos", files=PHOTO)
    assert (response.status_code, response.json()["missing"]) == (201, [])
    for fact in ("issue.details_provided", "issue.accepted", "replacement.ordered"):
        await shop.wait_for(fact, issue_id=issue_id)


async def test_an_incomplete_report_is_closed_with_a_message_and_reopened_by_later_details(
    shop: Backbone, clock: AdjustableClock
) -> None:
    await shop.place_order("order-1")
    partners = await held(shop, "order-1", "missing_part")
    issue_id = partners.issue_id
    pass_time(clock, minutes=16)
    await shop.wait_for("issue.details_requested", issue_id=issue_id, reminder=0)
    pass_time(clock, days=15)
    assert "opened again" in (await shop.wait_for("issue.rejected", issue_id=issue_id))["data"]["message"]
    await shop.wait_for("notice.sent", issue_id=issue_id, kind="issue_rejected")

    part = {"lines": [{"line_id": "1", "part": "蓋"}]}
    response = await shop.intake.client.post(f"/v1/issues/{issue_id}/details", json=part, headers=STOREFRONT)
    assert response.status_code == 200, response.text
    [sent] = (await shop.wait_for("replacement.ordered", issue_id=issue_id))["data"]["lines"]
    assert sent["part"] == "蓋"


async def test_a_second_report_of_the_same_piece_leads_to_the_first_whichever_way_it_comes(shop: Backbone) -> None:
    await shop.place_order("order-1")
    first = await shop.report("order-1")
    again = await shop.post_report("order-1", "missing_part", lines=[{"line_id": "1", "quantity": 1, "part": "蓋"}])
    assert (again.status_code, again.json()["code"], again.json()["issue_id"]) == (409, "already_reported", str(first))
    by_kafka = storefront.IssueSubmitted(
        order_id="order-1",
        customer_id="customer of order-1",
        reason=values.Reason.DEFECTIVE,
        lines=(values.ReportedLine(line_id="1", quantity=1),),
    )
    await shop.publish(by_kafka)
    rejected = (await shop.wait_for("issue.rejected", duplicate_of=first))["data"]
    assert rejected["code"] == "already_reported"
    await shop.wait_for("replacement.ordered", issue_id=first)
    assert len(shop.events_of("replacement.ordered")) == 1


async def test_staff_reject_a_report_accept_it_after_all_and_choose_a_refund(shop: Backbone) -> None:
    await shop.place_order("order-1")
    partners = await held(shop, "order-1", "missing_part")
    issue_id = partners.issue_id
    assert (await partners.decide("reject"))["applied"]
    assert (await shop.wait_for("issue.rejected", issue_id=issue_id))["data"]["code"] == "refused_by_shop"
    assert (await partners.decide("accept"))["applied"]
    await shop.wait_for("replacement.ordered", issue_id=issue_id)

    assert (await partners.decide("choose_remedy", remedy="refund"))["applied"]
    await shop.wait_for("replacement.cancelled", issue_id=issue_id)
    await shop.wait_for("collection.requested", issue_id=issue_id)
    assert shop.events_of("refund.requested", issue_id=issue_id) == []
    await partners.receive("back")
    await shop.wait_for("refund.requested", issue_id=issue_id)
    refused = await partners.decide("choose_remedy", remedy="replacement")
    assert (refused["applied"], refused["code"]) == (False, "too_late_to_change_remedy")


async def test_a_resolved_issue_is_reopened_by_staff_and_shipped_again(shop: Backbone) -> None:
    await shop.place_order("order-1")
    partners = JourneyPartners(shop, await shop.report("order-1", "missing_item"))
    issue_id = partners.issue_id
    await partners.deliver(await partners.ship())
    await shop.wait_for("issue.resolved", issue_id=issue_id)
    assert (await partners.decide("reopen"))["applied"]
    await shop.wait_for("issue.reopened", issue_id=issue_id)

    async def sent_again() -> bool:
        return len(shop.events_of("replacement.ordered", issue_id=issue_id)) == 2

    await eventually(sent_again, "another one is ordered", seconds=60)


async def test_a_customer_who_does_not_choose_gets_the_default_at_its_deadline(
    shop: Backbone, clock: AdjustableClock
) -> None:
    await shop.place_order("order-1")
    issue_id = await shop.report("order-1")
    ordered = (await shop.wait_for("replacement.ordered", issue_id=issue_id))["data"]
    in_two_months = clock.now().date() + timedelta(days=60)
    ids = {"issue_id": issue_id, "replacement_id": ordered["replacement_id"]}
    await shop.publish(warehouse.ReplacementRejected(**ids, restock_date=in_two_months))
    requested = (await shop.wait_for("issue.choice_requested", issue_id=issue_id))["data"]
    assert (requested["options"], requested["default"]) == (
        ["wait", "refund"],
        "refund",
    )  # two months are too long to wait
    await shop.wait_for("notice.sent", issue_id=issue_id, kind="choice_requested")
    clock.set_time(datetime.fromisoformat(requested["due_at"]) + timedelta(minutes=1), speed=1)
    await shop.wait_for("customer.decided", issue_id=issue_id, choice="refund")
    await shop.wait_for("collection.requested", issue_id=issue_id)


async def test_a_missed_collection_is_reminded_of_and_then_reviewed_by_staff(
    shop: Backbone, clock: AdjustableClock
) -> None:
    await shop.place_order("order-1")
    partners = JourneyPartners(shop, await shop.report("order-1"))
    issue_id = partners.issue_id
    await partners.deliver(await partners.ship())
    await shop.wait_for("collection.requested", issue_id=issue_id)
    for number in (1, 2):
        pass_time(clock, days=5)
        reminded = (await shop.wait_for("issue.collection_reminded", issue_id=issue_id, reminder=number))["data"]
        assert reminded["next_date"] <= reminded["due_on"]
    pass_time(clock, days=5)
    await shop.wait_for("issue.review_requested", issue_id=issue_id, cause="not_collected")
    assert (await partners.decide("refuse_review", review="not_collected"))["applied"]
    await shop.wait_for("issue.resolved", issue_id=issue_id)
    assert shop.events_of("refund.requested", issue_id=issue_id) == []
