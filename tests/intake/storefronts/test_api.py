"""Webhooks over HTTP on a real Postgres: taken once, published as the storefront's own events, refused by name."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from tests.intake.event_builders import submission
from tests.intake.storefronts.answers import code, published
from tests.intake.storefronts.calls import (
    OLD_SECRET,
    by_shopify,
    shop_fulfillment,
    shop_order,
    shop_return,
    shopify,
    signed,
    standard,
)
from tests.running import Live, running

REPORT = json.loads(submission().model_dump_json(exclude_none=True))
DELIVERED = {"order_id": "O-1", "lines": [{"line_id": "1", "quantity": 1}], "delivered_at": "2026-03-10T03:00:00Z"}


async def test_a_standard_webhook_is_published_as_the_storefronts_own_event(live: Live) -> None:
    for type_, id, secret in (("order.delivered.v1", "a", OLD_SECRET), ("order.delivered", "b", None)):
        answer = await standard(live, type_, DELIVERED, id=id, **({"secret": secret} if secret else {}))
        assert (answer.status_code, answer.json()) == (202, {"published": ["order.delivered.v1"]})
    assert [(event["topic"], event["order_id"]) for event in await published(live)] == [
        ("storefront.orders", "O-1")
    ] * 2


async def test_header_names_of_svix_are_those_of_the_standard(live: Live) -> None:
    body = json.dumps({"type": "order.delivered.v1", "data": DELIVERED}).encode()
    headers = signed(body, live.service.clock.now())
    renamed = {name.replace("webhook-", "svix-"): value for name, value in headers.items()}
    answer = await live.client.post("/v1/webhooks/standard", content=body, headers=renamed)
    assert (answer.status_code, answer.json()) == (202, {"published": ["order.delivered.v1"]})


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
