"""Money as it was paid, and what shops and banks change or pay back by themselves, on real parts."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from libs.common.events import payment, storefront
from libs.common.events.values import LineQuantity, Money, OrderLine, Prepayment, RefundedLine
from tests.common import wire
from tests.journey.auditing import violations
from tests.journey.backbone import ADDRESS, CONTACT, Backbone, line
from tests.journey.partners import JourneyPartners
from tests.running import OPS, STOREFRONT, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


def yen(amount: int | str, currency: str = "JPY") -> Money:
    return Money.model_validate({"amount": str(amount), "currency": currency})


def now() -> datetime:
    return datetime.now(UTC)


async def refund_of(system: Backbone, issue_id: UUID) -> dict[str, Any]:
    asked: dict[str, Any] = (await system.wait_for("refund.requested", issue_id=issue_id))["data"]
    return asked


async def pay(system: Backbone, asked: dict[str, Any], amount: int | str, transaction_id: str) -> None:
    ids = {"issue_id": asked["issue_id"], "refund_id": asked["refund_id"], "transaction_id": transaction_id}
    currency = asked["amount"]["currency"]
    await system.publish(payment.RefundCompleted(**ids, amount=yen(amount, currency), completed_at=now()))


async def missing(system: Backbone, order_id: str, quantity: int = 1, **more: Any) -> UUID:
    """Report units that were not in the box, to be paid back."""
    return await system.report(order_id, "missing_item", quantity, requested_remedy="refund", **more)


@pytest.mark.parametrize(
    ("order_id", "bought", "fields", "expected"),
    [
        ("F4-prepaid", [line("1", 2, "5000")], {"prepaid": "8000"}, "8000"),
        ("F4-coupon", [line("1", 2, "5000"), line("2", 1, "-2000")], {}, "8000"),
        ("F4-postage", [line("1", 2, "7500")], {"prepaid": "15770", "shipping": "770"}, "15770"),
    ],
)
async def test_what_was_paid_is_paid_back(
    system: Backbone, order_id: str, bought: list[OrderLine], fields: dict[str, str], expected: str
) -> None:
    more: dict[str, Any] = {}
    if "prepaid" in fields:
        more["prepaid"] = Prepayment(amount=yen(fields["prepaid"]), received_at=now())
    if "shipping" in fields:
        more["shipping"] = yen(fields["shipping"])
    await system.place_order(order_id, *bought, **more)
    asked = await refund_of(system, await missing(system, order_id, 2))
    assert asked["amount"]["amount"] == expected


async def test_three_units_for_a_hundred_euros_are_paid_back_as_a_hundred(system: Backbone) -> None:
    third = line("1", 3).model_copy(update={"unit_price": yen("33.3333", "EUR"), "paid_amount": yen("100.00", "EUR")})
    await system.place_order("F4-euro", third, market="DE")
    amounts = []
    for number in range(3):
        issue_id = await missing(system, "F4-euro", reference=f"F4-euro-{number}")
        amounts.append((await refund_of(system, issue_id))["amount"]["amount"])
    assert sorted(amounts) == ["33.33", "33.33", "33.34"]


async def test_an_order_that_the_shop_cancelled_stops_its_replacement_and_asks_staff(system: Backbone) -> None:
    await system.place_order("F5a")
    issue_id = await system.report("F5a", "lost_in_transit")
    await system.wait_for("replacement.ordered", issue_id=issue_id)
    await system.publish(storefront.OrderCancelled(order_id="F5a", cancelled_at=now(), cause="refunded"))
    await system.wait_for("replacement.cancelled", issue_id=issue_id)
    await system.wait_for("issue.review_requested", issue_id=issue_id, cause="order_cancelled")


async def test_a_lost_parcel_that_arrives_beside_its_replacement_is_a_matter_for_staff(system: Backbone) -> None:
    await system.publish(
        storefront.OrderPlaced(
            order_id="F5b", customer_id="customer of F5b", placed_at=now(), lines=(line("1"),), contact=CONTACT,
            ship_to=ADDRESS,
        )
    )  # fmt: skip
    units = (LineQuantity(line_id="1", quantity=1),)
    await system.publish(storefront.OrderShipped(order_id="F5b", lines=units, shipped_at=now(), shipment_id="F5b-1"))

    async def accepted() -> UUID | None:
        answer = await system.post_report("F5b", "lost_in_transit")
        return UUID(answer.json()["issue_id"]) if answer.status_code == 202 else None

    issue_id = await eventually(accepted, "the loss is reported")
    assert issue_id
    await JourneyPartners(system, issue_id).ship()
    await system.wait_for("issue.replacement_shipped", issue_id=issue_id)
    delivered = storefront.OrderDelivered(order_id="F5b", lines=units, delivered_at=now(), shipment_id="F5b-1")
    await system.publish(delivered)
    await system.wait_for("issue.review_requested", issue_id=issue_id, cause="parcel_found")


async def test_two_halves_of_a_refund_add_up_and_a_second_payment_goes_to_staff(system: Backbone) -> None:
    await system.place_order("F9", line("1", price="10000"))
    issue_id = await missing(system, "F9")
    asked = await refund_of(system, issue_id)
    for half in ("F9-a", "F9-b"):
        await pay(system, asked, 5000, half)
    await system.wait_for("issue.resolved", issue_id=issue_id)
    assert (
        sum(int(each["data"]["amount"]["amount"]) for each in system.events_of("issue.refunded", issue_id=issue_id))
        == 10000
    )
    await pay(system, asked, 5000, "F9-a")  # the same payment again is none
    await pay(system, asked, 10000, "F9-twice")
    await system.wait_for("issue.review_requested", issue_id=issue_id, cause="refund_overpaid")


async def test_what_the_shop_paid_back_is_not_paid_back_again(system: Backbone) -> None:
    await system.place_order("F5c", line("1", 2, "5000"))
    units = (RefundedLine(line_id="1", quantity=1, amount=yen(5000)),)
    refund = storefront.OrderRefunded(order_id="F5c", refund_id="F5c-shop", refunded_at=now(), lines=units)
    await system.publish(refund)
    counted = "SELECT body::text LIKE '%F5c-shop%' FROM order_ledgers WHERE key = 'F5c'"

    async def is_counted() -> bool:
        return bool(await system.returns.service.pool.fetchval(counted))

    await eventually(is_counted, "returns knows the refund")
    asked = await refund_of(system, await missing(system, "F5c", 2))
    assert asked["amount"]["amount"] == "5000"


async def test_an_added_line_is_reported_and_counts_for_points(system: Backbone) -> None:
    person = {"customer_id": "customer of F10", "contact": CONTACT, "ship_to": ADDRESS}
    await system.publish(storefront.OrderPlaced(order_id="F10", placed_at=now(), lines=(line("1"),), **person))
    more = (line("1", 2), line("2", 1, "5000"))
    await system.publish(
        storefront.OrderChanged(order_id="F10", customer_id="customer of F10", changed_at=now(), lines=more)
    )
    units = tuple(LineQuantity(line_id=each.line_id, quantity=each.quantity) for each in more)
    await system.publish(storefront.OrderShipped(order_id="F10", lines=units, shipped_at=now()))
    await system.publish(storefront.OrderDelivered(order_id="F10", lines=units, delivered_at=now()))
    granted = await system.wait_for("points.granted", order_id="F10", kind="purchase")
    assert granted["data"]["points"] == 149
    await eventually(lambda: system._order_is_known("F10"), "every service knows the order")
    issue_id = await system.report("F10", lines=[{"line_id": "2", "quantity": 1}])
    await system.wait_for("replacement.ordered", issue_id=issue_id)


async def test_orders_issues_and_points_follow_a_merged_account(system: Backbone) -> None:
    await system.place_order("F10-merge", line("1", 2))
    issue_id = await system.report("F10-merge")
    await system.wait_for("points.granted", order_id="F10-merge", kind="purchase")
    former, remaining = "customer of F10-merge", "remaining customer"
    merged = storefront.CustomerMerged(customer_id=remaining, merged_customer_id=former, merged_at=now())
    await system.publish(merged)

    async def follows() -> bool:
        shown = await system.intake.client.get(f"/v1/issues/{issue_id}?customer_id={remaining}", headers=STOREFRONT)
        points = await system.loyalty.client.get(f"/v1/customers/{remaining}/balance", headers=STOREFRONT)
        return bool(shown.status_code == 200 and points.json()["total"] > 0)

    await eventually(follows, "issue and points follow the account")
    again = await system.post_report("F10-merge", "damaged_in_transit", customer_id=remaining)
    assert again.status_code == 202, again.text


async def test_a_collection_that_is_asked_for_moves_with_the_customer(system: Backbone) -> None:
    await system.place_order("F10-moved")
    issue_id = await system.report("F10-moved", "changed_mind")
    await system.wait_for("collection.requested", issue_id=issue_id, attempt=1)
    new = ADDRESS.model_copy(update={"street": "新居町 8-8"})
    moved = {"order_id": "F10-moved", "customer_id": "customer of F10-moved", "changed_at": now(), "ship_to": new}
    await system.publish(storefront.OrderChanged(**moved))

    async def asked_at_the_new_door() -> bool:
        requests = system.events_of("collection.requested", issue_id=issue_id)
        return bool(requests[-1]["data"]["collect_from"]["street"] == "新居町 8-8")

    await eventually(asked_at_the_new_door, "the courier is asked for the new door")


async def test_a_replacement_that_has_not_left_moves_with_the_customer(system: Backbone) -> None:
    await system.place_order("F10-readdressed")
    issue_id = await system.report("F10-readdressed")
    await system.wait_for("replacement.ordered", issue_id=issue_id)
    new = ADDRESS.model_copy(update={"street": "新居町 8-8"})
    moved = {"order_id": "F10-readdressed", "customer_id": "customer of F10-readdressed", "changed_at": now()}
    await system.publish(storefront.OrderChanged(**moved, ship_to=new))
    readdressed = await system.wait_for("replacement.readdressed", issue_id=issue_id)
    assert readdressed["data"]["ship_to"]["street"] == "新居町 8-8"


@pytest.mark.parametrize(
    ("order_id", "change"),
    [
        ("F11-fr", {"contact": {"name": "Anne", "email": "anne@example.fr", "language": "fr"}}),
        ("F11-no-mail", {"contact": {"name": "山田 花子", "phone": "+819012345678"}}),
        ("F11-no-address", {"ship_to": None}),
        ("F11-market", {"market": "JPN"}),
        ("F11-no-city", {"ship_to": {"name": "Tan", "country": "SG", "street": "1 Raffles Place"}}),
    ],
)
async def test_an_order_is_known_whatever_it_lacks(system: Backbone, order_id: str, change: dict[str, Any]) -> None:
    placed = storefront.OrderPlaced(
        order_id=order_id, customer_id=f"customer of {order_id}", placed_at=now(), lines=(line("1"),), contact=CONTACT,
        ship_to=ADDRESS,
    )  # fmt: skip
    body = placed.model_dump(mode="json", exclude_none=True) | change
    event = {"specversion": "1.0", "id": f"{order_id} placed", "source": "/test", "type": storefront.OrderPlaced.TYPE}
    raw = json.dumps({**event, "time": now().isoformat(), "data": body}).encode()
    await wire.publish(system.kafka, [(f"{system.prefix}storefront.orders", f"customer of {order_id}", raw, [])])
    units = (LineQuantity(line_id="1", quantity=1),)
    for payload in (
        storefront.OrderShipped(order_id=order_id, lines=units, shipped_at=now()),
        storefront.OrderDelivered(order_id=order_id, lines=units, delivered_at=now()),
    ):
        system._customers[order_id] = f"customer of {order_id}"
        await system.publish(payload)

    async def accepted() -> bool:
        return bool((await system.post_report(order_id)).status_code == 202)

    await eventually(accepted, "its customer can report")
    assert system.events_of("event.rejected", subject=order_id) == []


async def test_a_chargeback_stops_what_has_not_left(system: Backbone) -> None:
    await system.place_order("F9-charged")
    issue_id = await system.report("F9-charged")
    await system.wait_for("replacement.ordered", issue_id=issue_id)
    back = {"order_id": "F9-charged", "transaction_id": "CB-1", "amount": yen(4980), "charged_back_at": now()}
    system._customers["F9-charged"] = "customer of F9-charged"
    await system.publish(payment.PaymentChargedBack(**back))
    await system.wait_for("replacement.cancelled", issue_id=issue_id)
    await system.wait_for("issue.review_requested", issue_id=issue_id, cause="charged_back")
    shown = (await system.returns.client.get(f"/v1/cases/{issue_id}", headers=OPS)).json()
    assert shown["status"]


async def test_the_auditor_finds_nothing_in_all_of_this(system: Backbone) -> None:
    async def settled() -> bool:
        return await violations(system) == {}

    found = await violations(system)
    assert found == {} or await eventually(settled, f"the auditor finds nothing, at first it found {found}")
