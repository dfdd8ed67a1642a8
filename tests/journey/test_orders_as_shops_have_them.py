"""Orders with what real shops leave out, send oddly, or correct later, from the webhook to its effect."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.local.mailbox import Mailbox
from tests.intake.storefronts.calls import by_shopify, standard
from tests.journey.backbone import ADDRESS, CONTACT, Backbone
from tests.journey.shopify_shop import ShopifyShop
from tests.running import OPS, STOREFRONT, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def staff_notices(system: Backbone, **named: str) -> set[str]:
    """The kinds of notices to staff that name these ids."""
    rows = await system.delivery_notify.service.pool.fetch(
        "SELECT kind, to_jsonb(s)::text AS body FROM staff_notices s"
    )
    return {row["kind"] for row in rows if all(value in row["body"] for value in named.values())}


async def test_a_customer_without_a_mail_address_is_shown_to_staff(system: Backbone) -> None:
    shop = ShopifyShop(system, 1002)
    nowhere = {"email": "", "contact_email": None, "phone": "+819012345678"}
    await shop.sell(**nowhere, customer={"id": int(shop.customer), "email": None, "phone": "+819012345678"})
    issue_id = await shop.report()
    await system.wait_for("replacement.ordered", issue_id=issue_id)

    async def staff_know() -> bool:
        return "customer_unreachable" in await staff_notices(system, issue=str(issue_id))

    await eventually(staff_know, "staff hear that this customer can be reached nowhere")


async def test_without_an_address_the_replacement_waits_for_one(system: Backbone) -> None:
    shop = ShopifyShop(system, 1003)
    await shop.sell(shipping_address=None)
    issue_id = await shop.report()
    await system.wait_for("issue.accepted", issue_id=issue_id)
    await shop.send("orders/updated", shop.order(updated_at=datetime.now(UTC).isoformat()))
    ordered = await system.wait_for("replacement.ordered", issue_id=issue_id)
    assert ordered["data"]["ship_to"]["street"] == "神宮前 9-1003"


@pytest.mark.parametrize(("number", "name", "note"), [(1004, '"花子\\ud83d"', '""'), (1005, '"花子"', '"x\\u0000y"')])
async def test_characters_that_no_text_may_hold_lose_no_order(
    system: Backbone, number: int, name: str, note: str
) -> None:
    shop = ShopifyShop(system, number)
    order = shop.order(note="@note")
    order["shipping_address"]["name"] = "@name"
    raw = json.dumps(order).replace('"@name"', name).replace('"@note"', note).encode()
    answer = await system.intake.client.post(
        "/v1/webhooks/shopify", content=raw, headers=by_shopify(raw, "orders/create")
    )
    assert answer.status_code == 202, answer.text
    await shop.deliver()
    await system.wait_for("replacement.ordered", issue_id=await shop.report())


async def test_blanks_around_a_mail_address_are_no_part_of_it(system: Backbone, mails: Mailbox) -> None:
    shop = ShopifyShop(system, 1007)
    await shop.sell(email=" S1007@Example.JP ", contact_email=None)
    issue_id = await shop.report()
    await system.wait_for("notice.sent", issue_id=issue_id, kind="issue_accepted")
    assert "s1007@example.jp" in [address.lower() for each in mails.recipients for address in each]


async def test_a_refund_is_what_was_paid_for_the_line(system: Backbone) -> None:
    shop = ShopifyShop(system, 1010)
    discounted = shop.item(discount_allocations=[{"amount": "5000"}])
    await shop.sell(line_items=[discounted], total_price="5000")
    issue_id = await shop.report("missing_item", requested_remedy="refund")
    requested = await system.wait_for("refund.requested", issue_id=issue_id)
    assert requested["data"]["amount"] == {"amount": "5000", "currency": "JPY"}
    granted = await system.wait_for("points.granted", order_id="1010", kind="purchase")
    assert granted["data"]["points"] == 50


async def test_a_tracking_number_that_comes_later_is_published(system: Backbone) -> None:
    shop = ShopifyShop(system, 1011)
    await shop.send("orders/create", shop.order())
    await shop.send("fulfillments/create", shop.fulfillment())
    tracked = shop.fulfillment(tracking_company="Yamato", tracking_number="1234-5678-9012")
    await shop.send("fulfillments/update", tracked)
    shipped = await system.wait_for("order.shipped", order_id="1011")
    changed = await system.wait_for("shipment.changed", order_id="1011", tracking_number="1234-5678-9012")
    assert changed["data"]["shipment_id"] == shipped["data"]["shipment_id"]


async def test_a_replacement_goes_to_the_corrected_address(system: Backbone) -> None:
    shop = ShopifyShop(system, 1012)
    await shop.send("orders/create", shop.order())
    moved = shop.order()
    moved["shipping_address"]["address1"] = "新住所 1-1"
    for topic in ("orders/create", "orders/updated"):
        await shop.send(topic, {**moved, "updated_at": datetime.now(UTC).isoformat()})
    await shop.deliver()
    ordered = await system.wait_for("replacement.ordered", issue_id=await shop.report())
    assert ordered["data"]["ship_to"]["street"] == "新住所 1-1"


async def test_a_line_that_was_added_later_can_be_reported(system: Backbone) -> None:
    shop = ShopifyShop(system, 1014)
    await shop.send("orders/create", shop.order())
    await shop.send("orders/create", shop.order(line_items=[shop.item(), shop.item(2)]))
    await shop.deliver(2)
    ordered = await system.wait_for("replacement.ordered", issue_id=await shop.report(place=2))
    assert [each["line_id"] for each in ordered["data"]["lines"]] == ["10142"]


async def test_a_return_that_names_no_fulfilment_is_a_report(system: Backbone) -> None:
    shop = ShopifyShop(system, 1015)
    await shop.sell()
    line = {"id": 1, "quantity": 1, "return_reason": "defective", "customer_note": "壊れた"}
    returned = {
        "id": 71, "name": "#1015-R1", "order": {"id": 1015},
        "return_line_items": [{**line, "line_item": {"id": 10150}}],
    }  # fmt: skip

    async def known() -> bool:
        return bool(await system.intake.service.pool.fetchval("SELECT count(*) FROM orders WHERE key = '1015'"))

    await eventually(known, "intake knows the order")
    await shop.send("returns/request", returned)
    accepted = await system.wait_for("issue.accepted", order_id="1015")
    assert [each["line_id"] for each in accepted["data"]["lines"]] == ["10150"]


@pytest.mark.parametrize(("language", "expected"), [("fr", "en"), ("ja-JP", "ja"), ("zh-TW", "en")])
async def test_a_language_without_texts_falls_back(system: Backbone, language: str, expected: str) -> None:
    order_id = f"L16-{language}"
    await standard(system.intake, "order.placed", placed_json(order_id, language=language), id=f"msg-{order_id}")
    await deliver(system, order_id)
    issue_id = await system.report(order_id)
    sent = await system.wait_for("notice.sent", issue_id=issue_id, kind="issue_accepted")
    assert sent["data"]["language"] == expected


def placed_json(order_id: str, price: str = "5000", **contact: Any) -> dict[str, Any]:
    """`order.placed` as JSON of a storefront that speaks our contract."""
    person = {**CONTACT.model_dump(mode="json", exclude_none=True), **contact}
    line = {
        "line_id": "1", "sku": "K", "name": "急須", "quantity": 1, "unit_price": {"amount": price, "currency": "JPY"}
    }  # fmt: skip
    return {
        "order_id": order_id, "customer_id": f"customer of {order_id}", "placed_at": datetime.now(UTC).isoformat(),
        "lines": [line], "contact": person, "ship_to": ADDRESS.model_dump(mode="json", exclude_none=True),
    }  # fmt: skip


async def deliver(system: Backbone, order_id: str, lines: Any = ({"line_id": "1", "quantity": 1},)) -> None:
    now = datetime.now(UTC).isoformat()
    units = {"order_id": order_id, "lines": list(lines)}
    await standard(system.intake, "order.shipped", {**units, "shipped_at": now}, id=f"msg-shipped-{order_id}")
    await standard(system.intake, "order.delivered", {**units, "delivered_at": now}, id=f"msg-delivered-{order_id}")
    await eventually(lambda: system._order_is_known(order_id), f"every service knows {order_id}")


@pytest.mark.parametrize("day", ["02-30", "04-31", "11-31"])
async def test_a_birthday_that_does_not_exist_is_left_out(system: Backbone, day: str) -> None:
    order_id = f"L32-{day}"
    await standard(system.intake, "order.placed", {**placed_json(order_id), "birthday": day}, id=f"msg-{order_id}")
    await deliver(system, order_id)
    await system.wait_for("points.granted", order_id=order_id, kind="purchase")
    timers = "SELECT count(*) FROM timers WHERE key = $1 AND name LIKE 'birthday%'"
    assert await system.loyalty.service.pool.fetchval(timers, f"customer of {order_id}") == 0


async def test_a_fraction_of_a_yen_is_refunded_as_the_same_whole_number_everywhere(
    system: Backbone, mails: Mailbox
) -> None:
    await standard(system.intake, "order.placed", placed_json("L33", price="333.33"), id="msg-L33")
    await deliver(system, "L33")
    issue_id = await system.report("L33", "missing_item", requested_remedy="refund")
    amount = (await system.wait_for("refund.requested", issue_id=issue_id))["data"]["amount"]
    assert amount == {"amount": "334", "currency": "JPY"}
    sent = await system.wait_for("notice.sent", issue_id=issue_id, kind="issue_accepted")
    bodies = [
        mail.get_body(("plain",)) for mail in mails.messages if sent["data"]["notice_id"] in str(mail["Message-ID"])
    ]
    assert bodies
    assert all(body and "333" not in body.get_content() for body in bodies)


async def test_ids_with_a_slash_work_in_every_route(system: Backbone) -> None:
    order_id, customer = "SO/2026/0001", "GUEST/1"
    placed = {**placed_json(order_id), "customer_id": customer}
    await standard(system.intake, "order.placed", placed, id="msg-slash")
    await deliver(system, order_id)
    coded = "GUEST%2F1"
    for live, path in (
        (system.loyalty, f"/v1/customers/{coded}/balance"),
        (system.loyalty, f"/v1/customers/{coded}/entries"),
        (system.delivery_notify, "/v1/orders/SO%2F2026%2F0001/notices"),
    ):
        answer = await live.client.get(path, headers=STOREFRONT)
        assert answer.status_code == 200, (path, answer.text)
    notify, keyed = system.delivery_notify.client, {**STOREFRONT, "Idempotency-Key": "slash"}
    kept = await notify.put(f"/v1/customers/{coded}/preferences", json={"channels": ["email"]}, headers=keyed)
    assert kept.status_code == 200, kept.text
    erasure = f"/v1/customers/{coded}/erasure"
    asked = await system.intake.client.post(erasure, headers={**OPS, "Idempotency-Key": "erase-slash"})
    assert asked.status_code in (200, 202), asked.text
    for service in ("intake", "returns", "delivery_notify", "loyalty"):
        await system.wait_for("customer.erased", customer_id=customer, service=service)
