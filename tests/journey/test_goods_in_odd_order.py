"""Counts of warehouses and couriers in another order than expected: before a case, of the wrong thing, too much."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from PIL import Image

from libs.common.events import carrier, storefront, warehouse
from libs.common.events.values import Condition, CountedLine, LineQuantity
from tests.journey.backbone import Backbone, line
from tests.journey.partners import JourneyPartners
from tests.running import OPS, STOREFRONT, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


def units(quantity: int = 1, line_id: str = "1") -> tuple[LineQuantity, ...]:
    return (LineQuantity(line_id=line_id, quantity=quantity),)


async def box(system: Backbone, issue_id: UUID | None, receipt_id: str, **more: Any) -> None:
    """Count one unit of line 1 on receipt."""
    lines = more.pop("lines", (CountedLine(line_id="1", quantity=1),))
    counted = {"issue_id": issue_id, "lines": lines, "received_at": datetime.now(UTC), "receipt_id": receipt_id}
    await system.publish(warehouse.ItemReceived(**counted, **more))


async def case(system: Backbone, issue_id: UUID) -> dict[str, Any]:
    shown: dict[str, Any] = (await system.returns.client.get(f"/v1/cases/{issue_id}", headers=OPS)).json()
    return shown


async def ordered_replacements(system: Backbone, issue_id: UUID, number: int) -> list[dict[str, Any]]:
    """Wait for this many replacement orders, each once."""

    async def found() -> list[dict[str, Any]]:
        orders = {each["data"]["replacement_id"]: each["data"] for each in system.events_of("replacement.ordered")}
        mine = [order for order in orders.values() if order["issue_id"] == str(issue_id)]
        return mine if len(mine) >= number else []

    return await eventually(found, f"{number} replacements are ordered")


async def add_photo(system: Backbone, issue_id: UUID) -> None:
    """Send the photo for which a report of this value waits."""
    picture = io.BytesIO()
    Image.new("RGB", (32, 24)).save(picture, "JPEG")
    files = {"photos": ("photo.jpg", picture.getvalue(), "image/jpeg")}
    answer = await system.intake.client.post(f"/v1/issues/{issue_id}/photos", files=files, headers=STOREFRONT)
    assert answer.status_code in (200, 201, 202), answer.text


async def test_a_box_that_is_counted_before_its_case_is_counted_by_it(system: Backbone) -> None:
    await system.place_order("F2", line("1", price="60000"))
    issue_id = await system.report("F2")
    await system.wait_for("issue.reported", issue_id=issue_id)
    await box(system, issue_id, "F2-early")
    await add_photo(system, issue_id)
    await system.wait_for("issue.item_received", issue_id=issue_id)
    assert (await case(system, issue_id))["quantities"]["1"]["inbound"]["received"] == 1
    assert system.events_of("collection.requested", issue_id=issue_id) == []


async def test_a_box_of_an_unknown_issue_is_listed_for_staff(system: Backbone) -> None:
    unknown = uuid4()
    await box(system, unknown, "F2-unknown")

    async def listed() -> bool:
        answer = await system.returns.client.get("/v1/cases/kept-counts", headers=OPS)
        return any(each["count_id"].startswith("F2-unknown/") for each in answer.json()["counts"])

    await eventually(listed, "the box is kept")


async def test_a_unit_whose_replacement_is_on_its_way_is_not_free(system: Backbone) -> None:
    await system.place_order("F3")
    issue_id = await system.report("F3")
    partners = JourneyPartners(system, issue_id)
    await partners.ship()
    await partners.receive("F3-back")
    await partners.inspect(1, Condition.NOT_AS_REPORTED)
    await system.wait_for("issue.review_requested", issue_id=issue_id, cause="inspection_mismatch")
    assert (await partners.decide("refuse_review", review="inspection_mismatch"))["applied"]
    await system.wait_for("issue.cancelled", issue_id=issue_id)
    again = await system.post_report("F3", "damaged_in_transit")
    assert (again.status_code, again.json()["code"]) == (409, "already_reported")


async def test_a_slip_of_the_replacements_day_is_announced_at_once(system: Backbone) -> None:
    await system.place_order("F6a")
    issue_id = await system.report("F6a")
    today = datetime.now(UTC).date()
    sent = await JourneyPartners(system, issue_id).ship(expected_delivery_date=today + timedelta(days=1))
    await system.wait_for("issue.replacement_shipped", issue_id=issue_id)
    slip = {"code": "delayed_in_transit", "expected_delivery_date": today + timedelta(days=4)}
    ids = {"issue_id": issue_id, "replacement_id": sent["replacement_id"]}
    await system.publish(carrier.ParcelException(**ids, **slip, occurred_at=datetime.now(UTC)))
    await system.wait_for("notice.sent", issue_id=issue_id, kind="replacement_delivery_changed")


async def test_the_first_of_two_parcels_is_announced(system: Backbone) -> None:
    await system.place_order("F6c", line("1", 3))
    issue_id = await system.report("F6c", quantity=3)
    await JourneyPartners(system, issue_id).ship(lines=units(2), shipment_id="F6c-1")
    await system.wait_for("notice.sent", issue_id=issue_id, kind="replacement_part_shipped")


async def test_the_wrong_thing_from_the_door_goes_back_and_the_right_one_is_fetched(system: Backbone) -> None:
    await system.place_order("F7")
    issue_id = await system.report("F7")
    partners = JourneyPartners(system, issue_id)
    await partners.deliver(await partners.ship())
    first = (await system.wait_for("collection.requested", issue_id=issue_id))["data"]
    taken = {"issue_id": issue_id, "collection_id": first["collection_id"], "collected_at": datetime.now(UTC)}
    await system.publish(carrier.CollectionCollected(**taken))
    await system.wait_for("issue.collected", issue_id=issue_id)
    await partners.receive("F7-tv", sku="ANOTHER-TV")
    await system.wait_for("issue.review_requested", issue_id=issue_id, cause="unexpected_item")
    assert (await partners.decide("approve_review", review="unexpected_item"))["applied"]
    back = await system.wait_for("item.return_ordered", issue_id=issue_id)
    assert back["data"]["lines"][0]["sku"] == "ANOTHER-TV"

    async def asked_again() -> bool:
        requests = system.events_of("collection.requested", issue_id=issue_id)
        return len({(each["data"]["collection_id"], each["data"]["attempt"]) for each in requests}) == 2

    await eventually(asked_again, "the right item is to be fetched")


@pytest.mark.parametrize(("order_id", "shipped", "cause"), [
    ("F13-surplus", units(3), "surplus_shipped"), ("F13-other", units(1, "9"), "wrong_item_shipped"),
])  # fmt: skip
async def test_more_or_other_units_than_ordered_reach_staff(
    system: Backbone, order_id: str, shipped: tuple[LineQuantity, ...], cause: str
) -> None:
    await system.place_order(order_id)
    issue_id = await system.report(order_id)
    await JourneyPartners(system, issue_id).ship(lines=shipped)
    await system.wait_for("issue.review_requested", issue_id=issue_id, cause=cause)


async def test_two_returns_in_one_box_are_counted_by_their_cases(system: Backbone) -> None:
    await system.place_order("F14", line("1"), line("2"))
    first = await system.report("F14", "changed_mind")
    second = await system.report("F14", "changed_mind", lines=[{"line_id": "2", "quantity": 1}])
    for issue_id in (first, second):
        await system.wait_for("collection.requested", issue_id=issue_id)
    both = tuple(CountedLine(line_id=name, quantity=1) for name in ("1", "2"))
    await box(system, first, "F14-box", lines=both)
    for issue_id in (first, second):
        asked = (await system.wait_for("refund.requested", issue_id=issue_id))["data"]
        assert asked["amount"]["amount"] == "4980"


async def test_a_box_without_papers_is_counted_by_the_only_case_that_it_fits(system: Backbone) -> None:
    await system.place_order("F14-slip")
    issue_id = await system.report("F14-slip", "changed_mind")
    await system.wait_for("collection.requested", issue_id=issue_id)
    await box(system, None, "F14-slip-box", order_id="F14-slip")
    await system.wait_for("refund.requested", issue_id=issue_id)


async def test_a_report_is_taken_back_while_nothing_has_left(system: Backbone) -> None:
    await system.place_order("F15")
    issue_id = await system.report("F15")
    await system.wait_for("replacement.ordered", issue_id=issue_id)
    withdrawn = {"order_id": "F15", "customer_id": "customer of F15", "issue_id": issue_id}
    await system.publish(storefront.IssueWithdrawn(**withdrawn, withdrawn_at=datetime.now(UTC)))
    await system.wait_for("replacement.cancelled", issue_id=issue_id)
    await system.wait_for("issue.cancelled", issue_id=issue_id)

    async def free_again() -> bool:
        return bool((await system.post_report("F15", "damaged_in_transit")).status_code == 202)

    await eventually(free_again, "the unit can be reported again")


async def test_a_replacement_that_was_refused_at_the_door_may_end_the_case(system: Backbone) -> None:
    await system.place_order("F15-door")
    issue_id = await system.report("F15-door")
    partners = JourneyPartners(system, issue_id)
    sent = await partners.ship()
    ids = {"issue_id": issue_id, "replacement_id": sent["replacement_id"]}
    await system.publish(carrier.ParcelException(**ids, code="refused", occurred_at=datetime.now(UTC)))
    await system.wait_for("issue.review_requested", issue_id=issue_id, cause="parcel_exception")
    await box(system, issue_id, "F15-door-back", replacement_id=sent["replacement_id"])
    await system.wait_for("issue.item_received", issue_id=issue_id)
    assert (await partners.decide("cancel"))["applied"]
    await system.wait_for("issue.cancelled", issue_id=issue_id)
