"""Reports that are not simply accepted: they lack something, are told twice, or are decided by the shop's people."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from deploy.demo.clock_driver import ConductedClock
from libs.common.events import storefront, values, warehouse
from tests.conftest import MakeDatabase
from tests.intake.test_over_http import PHOTO, owner_url
from tests.journey.backbone import Backbone, backbone, line
from tests.journey.partners import Partners
from tests.running import STOREFRONT, eventually


@pytest.fixture
def clock(tmp_path: Path) -> ConductedClock:
    file = tmp_path / "clock"
    ConductedClock.create(file, datetime.now(UTC), speed=1)
    return ConductedClock(file)


@pytest.fixture
async def shop(
    database: MakeDatabase, kafka: str, topics: str, tmp_path: Path, clock: ConductedClock
) -> AsyncIterator[Backbone]:
    async with backbone(database, kafka, topics, tmp_path, clock_file=tmp_path / "clock") as running:
        yield running


def pass_time(clock: ConductedClock, **span: int) -> None:
    clock.move_to(clock.now() + timedelta(**span), speed=1)


async def held(shop: Backbone, order_id: str, reason: str, quantity: int = 1) -> Partners:
    """A report that is taken, and lacks something."""
    answer = await shop.post_report(order_id, reason, quantity)
    told = answer.json()
    assert (answer.status_code, told["status"], len(told["missing"])) == (202, "waiting_for_customer", 1)
    return Partners(shop, UUID(told["issue_id"]))


async def test_what_is_missing_is_asked_for_by_a_day_and_a_photo_by_link_lets_the_replacement_leave(
    shop: Backbone, clock: ConductedClock
) -> None:
    await shop.place_order("order-1", line("1", 2))
    partners = await held(shop, "order-1", "damaged_in_transit", 2)
    issue_id = partners.issue_id
    assert shop.all_heard("issue.details_requested", issue_id=issue_id) == []  # its photo may be on its way

    pass_time(clock, minutes=16)
    asked = (await shop.hear("issue.details_requested", issue_id=issue_id))["data"]
    assert (asked["missing"], asked["due_at"] > clock.now().isoformat()) == (["photo"], True)
    await shop.hear("notice.sent", issue_id=issue_id, kind="details_requested")
    given = await shop.intake.client.post(f"{owner_url(shop.intake, str(issue_id), days=3)}/photos", files=PHOTO)
    assert (given.status_code, given.json()["missing"]) == (201, [])
    for fact in ("issue.details_provided", "issue.accepted", "replacement.ordered"):
        await shop.hear(fact, issue_id=issue_id)


async def test_a_report_whose_customer_is_silent_is_closed_with_words_and_opened_by_what_comes_later(
    shop: Backbone, clock: ConductedClock
) -> None:
    await shop.place_order("order-1")
    partners = await held(shop, "order-1", "missing_part")
    issue_id = partners.issue_id
    pass_time(clock, minutes=16)
    await shop.hear("issue.details_requested", issue_id=issue_id, reminder=0)
    pass_time(clock, days=15)
    assert "opened again" in (await shop.hear("issue.rejected", issue_id=issue_id))["data"]["message"]
    await shop.hear("notice.sent", issue_id=issue_id, kind="issue_rejected")

    part = {"lines": [{"line_id": "1", "part": "蓋"}]}
    given = await shop.intake.client.post(f"/v1/issues/{issue_id}/details", json=part, headers=STOREFRONT)
    assert given.status_code == 200, given.text
    [sent] = (await shop.hear("replacement.ordered", issue_id=issue_id))["data"]["lines"]
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
    await shop.say(by_kafka)
    told = (await shop.hear("issue.rejected", duplicate_of=first))["data"]
    assert told["code"] == "already_reported"
    await shop.hear("replacement.ordered", issue_id=first)
    assert len(shop.all_heard("replacement.ordered")) == 1


async def test_the_shops_people_turn_a_report_down_take_it_after_all_and_choose_the_money(shop: Backbone) -> None:
    await shop.place_order("order-1")
    partners = await held(shop, "order-1", "missing_part")
    issue_id = partners.issue_id
    assert (await partners.decide("reject"))["applied"]
    assert (await shop.hear("issue.rejected", issue_id=issue_id))["data"]["code"] == "refused_by_shop"
    assert (await partners.decide("accept"))["applied"]
    await shop.hear("replacement.ordered", issue_id=issue_id)

    assert (await partners.decide("choose_remedy", remedy="refund"))["applied"]
    await shop.hear("replacement.cancelled", issue_id=issue_id)
    await shop.hear("collection.requested", issue_id=issue_id)
    assert shop.all_heard("refund.requested", issue_id=issue_id) == []
    await partners.receive("back")
    await shop.hear("refund.requested", issue_id=issue_id)
    refused = await partners.decide("choose_remedy", remedy="replacement")
    assert (refused["applied"], refused["code"]) == (False, "too_late_to_change_remedy")


async def test_what_was_put_right_and_was_not_is_opened_again_by_a_human_and_sent_again(shop: Backbone) -> None:
    await shop.place_order("order-1")
    partners = Partners(shop, await shop.report("order-1", "missing_item"))
    issue_id = partners.issue_id
    await partners.deliver(await partners.ship())
    await shop.hear("issue.resolved", issue_id=issue_id)
    assert (await partners.decide("reopen"))["applied"]
    await shop.hear("issue.reopened", issue_id=issue_id)

    async def sent_again() -> bool:
        return len(shop.all_heard("replacement.ordered", issue_id=issue_id)) == 2

    await eventually(sent_again, "another one is ordered", seconds=60)


async def test_a_customer_who_does_not_choose_gets_the_fair_default_on_the_day_they_were_told(
    shop: Backbone, clock: ConductedClock
) -> None:
    await shop.place_order("order-1")
    issue_id = await shop.report("order-1")
    ordered = (await shop.hear("replacement.ordered", issue_id=issue_id))["data"]
    in_two_months = clock.now().date() + timedelta(days=60)
    ids = {"issue_id": issue_id, "replacement_id": ordered["replacement_id"]}
    await shop.say(warehouse.ReplacementRejected(**ids, restock_date=in_two_months))
    asked = (await shop.hear("issue.choice_requested", issue_id=issue_id))["data"]
    assert (asked["options"], asked["default"]) == (["wait", "refund"], "refund")  # two months are too long to wait
    await shop.hear("notice.sent", issue_id=issue_id, kind="choice_requested")
    clock.move_to(datetime.fromisoformat(asked["due_at"]) + timedelta(minutes=1), speed=1)
    await shop.hear("customer.decided", issue_id=issue_id, choice="refund")
    await shop.hear("collection.requested", issue_id=issue_id)


async def test_what_nobody_could_collect_is_reminded_of_and_then_a_humans_to_decide(
    shop: Backbone, clock: ConductedClock
) -> None:
    await shop.place_order("order-1")
    partners = Partners(shop, await shop.report("order-1"))
    issue_id = partners.issue_id
    await partners.deliver(await partners.ship())
    await shop.hear("collection.requested", issue_id=issue_id)
    for number in (1, 2):
        pass_time(clock, days=5)
        told = (await shop.hear("issue.collection_reminded", issue_id=issue_id, reminder=number))["data"]
        assert told["next_date"] <= told["due_on"]
    pass_time(clock, days=5)
    await shop.hear("issue.review_requested", issue_id=issue_id, cause="not_collected")
    assert (await partners.decide("refuse_review", review="not_collected"))["applied"]
    await shop.hear("issue.resolved", issue_id=issue_id)
    assert shop.all_heard("refund.requested", issue_id=issue_id) == []
