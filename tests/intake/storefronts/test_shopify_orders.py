"""Shopify's orders as real shops have them: with fields missing, edited, refunded, merged, sent again."""

from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from libs.common.events.storefront import OrderPlaced, OrderRefunded, OrderShipped, ShipmentChanged
from libs.common.events.values import Language
from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from services.intake.storefronts.shopify import read
from services.intake.storefronts.webhook_event import WebhookContentError
from tests.intake.storefronts.answers import published
from tests.intake.storefronts.calls import by_shopify, shop_fulfillment, shop_order, shop_return, shopify
from tests.running import Live, running

LINE = "866550311766439020"


@pytest.fixture
async def live(database: Callable[[str], Awaitable[str]], tmp_path: Path) -> AsyncIterator[Live]:
    secrets = {"shopify_secrets": "hush-hush-hush-hush"}
    async with running(
        create_app, IntakeSettings, database=await database("intake"), evidence_dir=tmp_path, **secrets
    ) as live:
        yield live


def placed(**fields: Any) -> OrderPlaced:
    [event] = read("orders/create", shop_order(**fields))
    assert isinstance(event.payload, OrderPlaced)
    return event.payload


def test_the_components_of_a_bundle_are_lines_of_their_own() -> None:
    group = {"sales_line_item_group_id": 7, "quantity": 1, "requires_shipping": True}
    pot = {**group, "id": 11, "sku": "POT", "name": "Pot", "price": "3000"}
    cups = {**group, "id": 12, "sku": "CUP", "name": "Cup", "price": "500", "quantity": 4}
    lines = placed(line_items=[pot, cups]).lines
    assert [(each.line_id, each.sku, each.quantity, int(each.paid.amount)) for each in lines] == [
        ("11", "POT", 1, 3000),
        ("12", "CUP", 4, 2000),
    ]


@pytest.mark.parametrize(
    ("fields", "email"),
    [
        ({"email": "", "contact_email": None, "customer": {"id": 1, "email": None}}, None),
        ({"email": " S1007@Example.JP "}, "S1007@Example.JP"),
        ({"email": "no address"}, None),
        ({"email": "m8@müller-shop.example"}, "m8@xn--mller-shop-9db.example"),
        ({"email": "", "customer": {"id": 1, "email": "second@example.jp"}}, "second@example.jp"),
    ],
)
def test_an_order_is_known_with_whatever_mail_address_it_has(fields: dict[str, Any], email: str | None) -> None:
    assert placed(**fields).contact.email == email


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (None, None),
        ({"name": "Tan", "address1": "1 Raffles Place", "country_code": "SG", "city": None, "zip": None}, ("SG", "")),
        ({"name": "山田", "address1": None, "address2": "青山ビル 3F", "country_code": None}, ("ZZ", "")),
    ],
)
def test_an_order_is_known_with_whatever_address_it_has(address: Any, expected: Any) -> None:
    ship_to = placed(shipping_address=address).ship_to
    assert (ship_to and (ship_to.country, ship_to.city)) == expected
    assert ship_to is None or ship_to.is_usable


@pytest.mark.parametrize(
    ("locale", "language"), [("ja-JP", "ja"), ("fr", "en"), ("zh-TW", "en"), ("en-GB", "en"), (None, "ja"), ("", "ja")]
)
def test_a_language_that_texts_do_not_have_falls_back(locale: Any, language: str) -> None:
    assert placed(customer_locale=locale).contact.language is Language(language)


def test_a_line_has_the_units_and_the_amount_that_were_bought() -> None:
    line = {
        "id": 1,
        "sku": "K",
        "name": "急須",
        "quantity": 3,
        "current_quantity": 1,
        "price": "1000",
        "discount_allocations": [{"amount": "300"}],
    }
    refund = {"refund_line_items": [{"line_item_id": 1, "quantity": 1, "restock_type": "return"}]}
    [bought] = placed(line_items=[line], refunds=[refund]).lines
    assert (bought.quantity, bought.paid.amount) == (2, Decimal(1800))


def test_an_order_edited_away_to_nothing_is_known() -> None:
    [line] = placed(line_items=[{"id": 1, "name": "急須", "quantity": 1, "current_quantity": 0, "price": "10"}]).lines
    assert line.quantity == 0


async def test_half_an_emoji_and_nul_are_no_reason_to_lose_an_order(live: Live) -> None:
    body = (
        b'{"id": 5, "created_at": "2026-03-08T10:00:00Z", "currency": "JPY", "note": "x\\u0000y", "shipping_address": '
        b'{"name": "\\u82b1\\u5b50\\ud83d", "address1": "1", "country_code": "JP"}, "line_items": '
        b'[{"id": 1, "name": "cup \\\\u0000", "quantity": 1, "price": "10"}]}'
    )
    answer = await live.client.post("/v1/webhooks/shopify", content=body, headers=by_shopify(body, "orders/create"))
    assert answer.status_code == 202
    [order] = await published(live)
    assert (order["ship_to"]["name"], order["lines"][0]["name"]) == ("花子�", "cup \\u0000")


@pytest.mark.parametrize("body", [b"\xff\xfe", b"{\x00}", b'{"id": "\\ud800"}', b'"\\ud83d"', b"\xef\xbb\xbf[]"])
async def test_no_bytes_lead_to_an_error_of_the_server(live: Live, body: bytes) -> None:
    for topic in ("orders/create", "refunds/create", "customers/merge", "orders/edited"):
        answer = await live.client.post("/v1/webhooks/shopify", content=body, headers=by_shopify(body, topic))
        assert answer.status_code in (400, 422)


async def test_a_tracking_number_that_comes_later_is_published_once(live: Live) -> None:
    untracked = shop_fulfillment(tracking_company=None, tracking_number=None)
    for topic, body in (
        ("fulfillments/create", untracked),
        ("fulfillments/update", shop_fulfillment()),
        ("fulfillments/update", shop_fulfillment(updated_at="2026-03-10T16:00:00+09:00")),
    ):
        assert (await shopify(live, topic, body)).status_code == 202
    shipped, changed = await published(live)
    assert (shipped["type"], shipped.get("tracking_number"), shipped["shipment_id"]) == (
        "order.shipped.v1",
        None,
        "123456",
    )
    assert (changed["type"], changed["tracking_number"], changed["carrier"], changed["shipment_id"]) == (
        "shipment.changed.v1",
        "4000-1111-2222",
        "Yamato",
        "123456",
    )


def test_all_tracking_numbers_of_a_fulfillment_are_read() -> None:
    [shipped, _] = read("fulfillments/create", shop_fulfillment(tracking_number=None, tracking_numbers=["1", "2"]))
    assert isinstance(shipped.payload, OrderShipped)
    assert (shipped.payload.tracking_number, shipped.payload.tracking_numbers) == ("1", ("1", "2"))


def test_a_cancelled_fulfillment_was_called_off() -> None:
    [event] = read("fulfillments/update", shop_fulfillment(status="cancelled"))
    assert isinstance(event.payload, ShipmentChanged)
    assert event.payload.called_off


async def test_an_order_that_was_readdressed_is_published_again(live: Live) -> None:
    moved = shop_order(shipping_address={**shop_order()["shipping_address"], "address1": "新住所 1-1"})
    for topic, body in (
        ("orders/create", shop_order()),
        ("orders/create", shop_order()),
        ("orders/create", moved),
        ("orders/updated", moved),
    ):
        assert (await shopify(live, topic, body)).json() == {"published": ["order.placed.v1"]}
    assert [order["ship_to"]["street"] for order in await published(live)] == ["神宮前1-2-3", "新住所 1-1"]


def an_edit(number: int) -> dict[str, Any]:
    added = {"additions": [{"id": int(LINE), "delta": 1}], "removals": []}
    at = f"2026-03-09T10:00:0{number}Z"
    return {"order_edit": {"id": number, "order_id": 820982911946154508, "created_at": at, "line_items": added}}


async def test_two_edits_in_succession_state_the_quantity_that_the_shop_states(live: Live) -> None:
    bought = shop_order()["line_items"][0]
    for number in (1, 2):
        assert (await shopify(live, "orders/edited", an_edit(number))).json() == {"published": []}
        more = {**bought, "quantity": bought["quantity"] + number}
        whole = shop_order(line_items=[more], updated_at=f"2026-03-09T10:00:0{number}Z")
        assert (await shopify(live, "orders/updated", whole)).status_code == 202
    assert [order["lines"][0]["quantity"] for order in await published(live)] == [3, 4]


def test_a_refund_of_the_shop_has_its_lines_its_shipping_and_its_transaction() -> None:
    body = {
        "id": 509,
        "order_id": 5,
        "created_at": "2026-03-09T10:00:00Z",
        "transactions": [{"id": 77, "kind": "refund", "status": "success", "amount": "1530", "currency": "JPY"}],
        "refund_line_items": [{"line_item_id": 1, "quantity": 1, "subtotal": "900", "total_tax": "90"}],
        "order_adjustments": [{"kind": "shipping_refund", "amount": "-500", "tax_amount": "-40"}],
    }
    [event] = read("refunds/create", body)
    assert isinstance(event.payload, OrderRefunded)
    payload = event.payload
    assert payload.lines[0].amount is not None
    assert payload.shipping is not None
    assert payload.amount is not None
    amounts = (payload.lines[0].amount.amount, payload.shipping.amount, payload.amount.amount)
    assert (amounts, payload.transaction_id) == ((Decimal(990), Decimal(540), Decimal(1530)), "77")
    assert read("refunds/create", {**body, "transactions": [], "refund_line_items": [], "order_adjustments": []}) == []


async def test_merged_customers_become_ours(live: Live) -> None:
    body = {
        "admin_graphql_api_customer_kept_id": "gid://shopify/Customer/1",
        "admin_graphql_api_customer_deleted_id": "gid://shopify/Customer/2",
        "errors": [],
    }
    assert (await shopify(live, "customers/merge", body)).json() == {"published": ["customer.merged.v1"]}
    [event] = await published(live)
    assert (event["customer_id"], event["merged_customer_id"]) == ("1", "2")


def test_a_return_without_a_fulfillment_line_is_taken_by_its_order_line() -> None:
    lines = [
        {"id": 1, "quantity": 1, "return_reason": "defective", "line_item": {"id": int(LINE)}},
        {"id": 2, "quantity": 1, "return_reason": "defective", "customer_note": "壊れた"},
    ]
    [report] = read("returns/request", shop_return(return_line_items=lines), "C-1")
    payload: Any = report.payload
    assert ([line.line_id for line in payload.lines], payload.description) == ([LINE], "壊れた")
    with pytest.raises(WebhookContentError):
        read("returns/request", shop_return(return_line_items=lines[1:]), "C-1")


async def test_all_faults_are_named_at_once(live: Live) -> None:
    body = shop_order(processed_at="soon", purchase_count=1, line_items=[{"id": 1, "name": "x", "quantity": -1}])
    answer = await shopify(live, "orders/create", body)
    assert answer.status_code == 422
    assert {each["field"] for each in answer.json()["errors"]} == {"placed_at", "lines.0.quantity"}
