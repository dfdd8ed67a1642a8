"""Returns of Shopify as reports: one per reason, of the customer whose order it is."""

from typing import Any

import pytest

from libs.common.events.registry import decode
from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import Reason
from services.intake.storefronts.shopify import read
from tests.intake.storefronts.answers import code, published
from tests.intake.storefronts.calls import shop_fulfillment, shop_order, shop_return, shopify
from tests.outbox import take_events
from tests.running import OPS, Live


async def test_a_return_is_a_report_per_reason_of_the_customer_whose_order_it_is(live: Live) -> None:
    assert code(await shopify(live, "returns/request", shop_return())) == (404, "unknown_order")
    await shopify(live, "orders/create", shop_order())
    placed = decode(await live.service.pool.fetchval("SELECT value FROM outbox_records"))
    await live.service.execute(live.service.aggregates["orders"], placed)
    for _ in range(2):
        answer = await shopify(live, "returns/request", shop_return())
        assert answer.json() == {"published": ["issue.submitted.v1", "issue.submitted.v1"]}
    reports = [event for event in await published(live) if event["type"] == "issue.submitted.v1"]
    assert [(report["reason"], report["description"], report["customer_id"]) for report in reports] == [
        ("defective", "The handle came off", "115310627314723954"),
        ("changed_mind", None, "115310627314723954"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"return_reason": "unwanted"}, Reason.CHANGED_MIND),
        ({"return_reason": "not_as_described"}, Reason.WRONG_ITEM),
        ({"return_reason": "other", "return_reason_definition": {"handle": "damaged-or-defective"}}, Reason.DEFECTIVE),
        ({"return_reason_definition": {"name": "Received the wrong item"}}, Reason.WRONG_ITEM),
        ({"return_reason": "size_too_small"}, Reason.CHANGED_MIND),
        ({"return_reason_definition": {"handle": "too-long"}, "return_reason": "other"}, Reason.CHANGED_MIND),
        ({"return_reason_definition": {"handle": "arrived-late"}, "return_reason": "defective"}, Reason.DEFECTIVE),
    ],
)
def test_a_return_has_its_reason_by_name_or_by_definition(line: dict[str, Any], reason: Reason) -> None:
    item = {"fulfillment_line_item": {"line_item": {"id": 1}}, "quantity": 1}
    [report] = read("returns/request", shop_return(return_line_items=[{**item, **line}]), "C-1")
    assert isinstance(report.payload, IssueSubmitted)
    assert (report.payload.reason, report.unclear) == (reason, False)


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"return_reason": None},
        {"return_reason": "other"},
        {"return_reason": "unknown"},
        {"return_reason": "UNKNOWN", "return_reason_definition": {"handle": "arrived-late", "name": "Arrived late"}},
    ],
)
def test_a_return_without_a_reason_is_no_change_of_mind(line: dict[str, Any]) -> None:
    item = {"fulfillment_line_item": {"line_item": {"id": 1}}, "quantity": 1}
    [report] = read("returns/request", shop_return(return_line_items=[{**item, **line}]), "C-1")
    assert isinstance(report.payload, IssueSubmitted)
    assert (report.payload.reason, report.unclear) == (Reason.DEFECTIVE, True)


async def known_order(live: Live) -> None:
    """Create an order that is placed, delivered and consumed by intake."""
    now = live.service.clock.now().isoformat()
    await shopify(live, "orders/create", shop_order(processed_at=now))
    await shopify(live, "fulfillments/update", shop_fulfillment(updated_at=now, shipment_status="delivered"))
    for event in await take_events(live.service.pool):
        await live.service.execute(live.service.aggregates["orders"], event)


def a_return(*reasons: str) -> dict[str, Any]:
    item = {"fulfillment_line_item": {"line_item": {"id": 866550311766439020}}, "quantity": 1}
    return shop_return(
        return_line_items=[{**item, "id": n, "return_reason": reason} for n, reason in enumerate(reasons)]
    )


async def test_a_return_without_a_reason_is_put_before_staff_and_published_once(live: Live) -> None:
    assert code(await shopify(live, "returns/request", a_return("other"))) == (404, "unknown_order")
    await known_order(live)
    for _ in range(2):
        answer = await shopify(live, "returns/request", a_return("other"))
        assert (answer.status_code, answer.json()) == (202, {"published": ["issue.reported.v1"]})
    found = await published(live)
    assert [event["type"] for event in found] == ["issue.reported.v1", "issue.review_requested.v1"]
    assert {event["issue_id"] for event in found} == {found[0]["issue_id"]}
    assert await live.service.pool.fetchval("SELECT count(*) FROM entitlements") == 1


async def test_a_report_put_before_staff_is_accepted_when_staff_accept_it(live: Live) -> None:
    await known_order(live)
    await shopify(live, "returns/request", a_return("other"))
    issue_id = (await published(live))[0]["issue_id"]
    decision = {
        "action": "accept",
        "staff": "sato",
        "comment": "broken indeed",
        "expected_version": 0,
        "remedy": "refund",
    }
    headers = {**OPS, "Idempotency-Key": "d"}
    assert (
        await live.client.post(f"/v1/issues/{issue_id}/decisions", json=decision, headers=headers)
    ).status_code == 202
    [accepted] = [event for event in await published(live) if event["type"] == "issue.accepted.v1"]
    assert (accepted["issue_id"], accepted["requested_remedy"]) == (issue_id, "refund")


async def test_the_reasons_of_one_return_do_not_stand_in_each_others_way(live: Live) -> None:
    await known_order(live)
    await shopify(live, "returns/request", a_return("defective", "unwanted"))
    orders = live.service.aggregates["orders"]
    for event in await take_events(live.service.pool):
        await live.service.execute(orders, event)
    types = sorted(event["type"] for event in await published(live))
    assert types == ["issue.accepted.v1", "issue.accepted.v1", "issue.reported.v1", "issue.reported.v1"]


def test_both_notes_of_a_return_and_a_name_that_is_null_are_read() -> None:
    item = {"fulfillment_line_item": {"line_item": {"id": 1}}, "quantity": 1}
    line = {**item, "return_reason": "other", "customer_note": "It hums", "return_reason_note": "called us"}
    [report] = read("returns/request", shop_return(name=None, return_line_items=[line]), "C-1")
    assert isinstance(report.payload, IssueSubmitted)
    assert (report.payload.description, report.payload.reference) == ("It hums\ncalled us", "555")
