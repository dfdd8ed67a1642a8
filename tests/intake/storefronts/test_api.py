"""Webhooks over HTTP on a real Postgres: taken once, published as the storefront's own events, refused by name."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from libs.common.events.registry import decode
from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import Reason
from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from services.intake.storefronts.shopify import read
from tests.intake.event_builders import submission
from tests.intake.storefronts.calls import (
    OLD_SECRET,
    SETTINGS,
    by_shopify,
    shop_fulfillment,
    shop_order,
    shop_return,
    shopify,
    signed,
    standard,
)
from tests.running import OPS, Live, running

REPORT = json.loads(submission().model_dump_json(exclude_none=True))
DELIVERED = {"order_id": "O-1", "lines": [{"line_id": "1", "quantity": 1}], "delivered_at": "2026-03-10T03:00:00Z"}


@pytest.fixture
async def live(database: Callable[[str], Awaitable[str]], tmp_path: Path) -> AsyncIterator[Live]:
    url = await database("intake")
    async with running(create_app, IntakeSettings, database=url, evidence_dir=tmp_path, **SETTINGS) as live:
        yield live


async def published(live: Live) -> list[dict[str, Any]]:
    """Return the events in the outbox, each decoded as a consumer decodes it."""
    rows = await live.service.pool.fetch("SELECT topic, key, value FROM outbox ORDER BY id")
    found = []
    for row in rows:
        event = decode(bytes(row["value"]) if not isinstance(row["value"], str) else row["value"])
        assert row["key"] == event.data.key
        found.append({"topic": row["topic"], "type": event.type, **json.loads(event.data.model_dump_json())})
    return found


def code(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


async def test_a_standard_webhook_is_published_as_the_storefronts_own_event(live: Live) -> None:
    for type_, id, secret in (("order.delivered.v1", "a", OLD_SECRET), ("order.delivered", "b", None)):
        answer = await standard(live, type_, DELIVERED, id=id, **({"secret": secret} if secret else {}))
        assert (answer.status_code, answer.json()) == (202, {"published": ["order.delivered.v1"]})
    assert [(event["topic"], event["order_id"]) for event in await published(live)] == [
        ("storefront.orders", "O-1")
    ] * 2


async def test_a_webhook_sent_again_later_with_the_same_body_is_still_one(live: Live) -> None:
    body = json.dumps({"type": "issue.submitted", "data": REPORT}).encode()
    for _ in range(2):
        headers = signed(body, live.service.clock.now(), id="later")
        assert (await live.client.post("/v1/webhooks/standard", content=body, headers=headers)).status_code == 202
    [event] = await published(live)
    assert (event["topic"], event["type"], bool(event["issue_id"])) == ("storefront.issues", "issue.submitted.v1", True)
    other = body + b" "
    headers = signed(other, live.service.clock.now(), id="later")
    answer = await live.client.post("/v1/webhooks/standard", content=other, headers=headers)
    assert code(answer) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("type_", "data", "expected", "field"),
    [
        ("order.eaten", DELIVERED, "unknown_type", "type"),
        (None, DELIVERED, "unknown_type", "type"),
        ("order.delivered", {**DELIVERED, "lines": []}, "invalid", "data.lines"),
        ("order.delivered", {**DELIVERED, "delivered_at": 0}, "invalid", "data.delivered_at"),
        ("order.delivered", None, "invalid", "data"),
        ("issue.submitted", {**REPORT, "reason": "bored"}, "invalid", "data.reason"),
    ],
)
async def test_wrong_content_is_refused_by_field(live: Live, type_: Any, data: Any, expected: str, field: str) -> None:
    body = json.dumps({"type": type_, "data": data}).encode()
    headers = signed(body, live.service.clock.now())
    answer = await live.client.post("/v1/webhooks/standard", content=body, headers=headers)
    assert code(answer) == (422, expected)
    assert answer.json()["field"].startswith(field)
    assert await published(live) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", (400, "malformed_json")),
        (b"[]", (400, "malformed_json")),
        (b"[" * 20_000, (400, "malformed_json")),
        (b"{" + b" " * 1024 * 1024 + b"}", (413, "body_too_large")),
    ],
)
async def test_what_is_no_webhook_is_refused_by_name(live: Live, body: bytes, expected: tuple[int, str]) -> None:
    for path, headers in (
        ("standard", signed(body, live.service.clock.now())),
        ("shopify", by_shopify(body, "orders/create")),
    ):
        assert code(await live.client.post(f"/v1/webhooks/{path}", content=body, headers=headers)) == expected


async def test_the_signature_is_checked_before_anything_is_read(live: Live) -> None:
    for path in ("standard", "shopify"):
        assert code(await live.client.post(f"/v1/webhooks/{path}", content=b"{")) == (401, "signature_missing")
    assert code(await standard(live, "x", {}, secret="whsec_" + "B" * 32)) == (401, "invalid_signature")
    assert code(await shopify(live, "x", {}, secret="not-one-of-ours")) == (401, "invalid_signature")


async def test_without_secrets_nothing_is_taken(database: Callable[[str], Awaitable[str]], tmp_path: Path) -> None:
    async with running(create_app, IntakeSettings, database=await database("intake"), evidence_dir=tmp_path) as live:
        assert code(await standard(live, "order.delivered", DELIVERED)) == (404, "not_configured")
        assert code(await shopify(live, "orders/create", shop_order())) == (404, "not_configured")


async def test_a_shopify_order_becomes_ours(live: Live) -> None:
    answer = await shopify(live, "orders/create", shop_order())
    assert (answer.status_code, answer.json()) == (202, {"published": ["order.placed.v1"]})
    [order] = await published(live)
    assert (order["order_id"], order["customer_id"], order["market"], order["purchase_count"]) == (
        "820982911946154508",
        "115310627314723954",
        "JP",
        3,
    )
    assert [(line["sku"], line["quantity"], line["unit_price"]["amount"]) for line in order["lines"]] == [
        ("KYUSU-1", 2, "4980"),
        ("variant-None", 1, "1000"),
    ]
    assert [line["requires_shipping"] for line in order["lines"]] == [True, False]
    assert order["contact"] == {
        "name": "山田 花子",
        "email": "hanako@example.jp",
        "language": "ja",
        "phone": None,
    }
    assert (order["ship_to"]["street"], order["ship_to"]["building"]) == ("神宮前1-2-3", "メゾン原宿 201")


async def test_a_shopify_fulfillment_is_shipped_then_delivered_once(live: Live) -> None:
    """Shopify sends an update for every scan, each with the whole fulfillment."""
    delivered = shop_fulfillment(shipment_status="delivered")
    for topic, body in (
        ("fulfillments/create", shop_fulfillment(status="pending")),
        ("fulfillments/update", shop_fulfillment()),
        ("fulfillments/update", shop_fulfillment(shipment_status="in_transit")),
        ("fulfillments/update", delivered),
        ("fulfillments/update", {**delivered, "updated_at": "2026-03-11T09:00:00+09:00"}),
    ):
        assert (await shopify(live, topic, body)).status_code == 202
    found = await published(live)
    assert [event["type"] for event in found] == ["order.shipped.v1", "order.delivered.v1"]
    assert (found[0]["carrier"], found[1]["delivered_at"]) == ("Yamato", "2026-03-10T06:00:00Z")


async def test_a_shopify_cancellation_becomes_ours(live: Live) -> None:
    cancelled = shop_order(cancelled_at="2026-03-09T10:00:00+09:00", cancel_reason="customer")
    await shopify(live, "orders/cancelled", cancelled)
    assert [(event["type"], event["cause"]) for event in await published(live)] == [("order.cancelled.v1", "customer")]


async def test_a_return_is_a_report_per_reason_of_the_customer_whose_order_it_is(live: Live) -> None:
    assert code(await shopify(live, "returns/request", shop_return())) == (404, "unknown_order")
    await shopify(live, "orders/create", shop_order())
    placed = decode(await live.service.pool.fetchval("SELECT value FROM outbox"))
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
    for row in await live.service.pool.fetch("DELETE FROM outbox RETURNING value"):
        await live.service.execute(live.service.aggregates["orders"], decode(row["value"]))


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
    for row in await live.service.pool.fetch("DELETE FROM outbox RETURNING value"):
        await live.service.execute(orders, decode(row["value"]))
    types = sorted(event["type"] for event in await published(live))
    assert types == ["issue.accepted.v1", "issue.accepted.v1", "issue.reported.v1", "issue.reported.v1"]


def test_both_notes_of_a_return_and_a_name_that_is_null_are_read() -> None:
    item = {"fulfillment_line_item": {"line_item": {"id": 1}}, "quantity": 1}
    line = {**item, "return_reason": "other", "customer_note": "It hums", "return_reason_note": "called us"}
    [report] = read("returns/request", shop_return(name=None, return_line_items=[line]), "C-1")
    assert isinstance(report.payload, IssueSubmitted)
    assert (report.payload.description, report.payload.reference) == ("It hums\ncalled us", "555")


@pytest.mark.parametrize(
    ("topic", "body", "expected", "field"),
    [
        ("orders/paid", shop_order(), "unknown_topic", "X-Shopify-Topic"),
        ("", shop_order(), "unknown_topic", "X-Shopify-Topic"),
        ("orders/create", shop_order(id=None), "invalid", "id"),
        ("orders/create", shop_order(line_items="two"), "invalid", "line_items"),
        ("orders/create", shop_order(processed_at="soon"), "invalid", "placed_at"),
        ("fulfillments/create", shop_fulfillment(order_id=True), "invalid", "order_id"),
        (
            "fulfillments/create",
            shop_fulfillment(line_items=[{"id": 1, "quantity": -1}]),
            "invalid",
            "lines.0.quantity",
        ),
        ("returns/request", shop_return(order=None), "invalid", "order"),
    ],
)
async def test_a_wrong_shopify_webhook_is_refused_by_field(
    live: Live, topic: str, body: dict[str, Any], expected: str, field: str
) -> None:
    answer = await shopify(live, topic, body)
    assert code(answer) == (422, expected)
    assert answer.json()["field"] == field
    assert await published(live) == []


async def test_an_order_of_gift_cards_is_known_and_ships_nothing(live: Live) -> None:
    body = shop_order(line_items=[{"id": 1, "name": "Gift card", "quantity": 1, "requires_shipping": False}])
    assert (await shopify(live, "orders/create", body)).json() == {"published": ["order.placed.v1"]}
    [order] = await published(live)
    assert order["lines"][0]["requires_shipping"] is False
