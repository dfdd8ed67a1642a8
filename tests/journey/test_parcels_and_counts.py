"""Words of carriers about parcels, and lines that are named twice or lost, from Kafka to their effect."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from libs.common.events import carrier, payment, storefront, warehouse
from libs.common.events.values import CountedLine, LineQuantity, RawStatus, ShippedLine
from tests.journey.backbone import ADDRESS, CONTACT, Backbone, line
from tests.journey.partners import JourneyPartners
from tests.running import OPS, STOREFRONT, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
TEN = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


async def shipped(system: Backbone, order_id: str) -> dict[str, UUID]:
    """Sell, deliver, report and send a replacement; returns the ids of the replacement."""
    await system.place_order(order_id)
    issue_id = await system.report(order_id)
    ordered = await JourneyPartners(system, issue_id).ship(carrier="yamato", tracking_number=f"1234-{order_id}")
    await system.wait_for("issue.replacement_shipped", issue_id=issue_id)
    return {"issue_id": issue_id, "replacement_id": UUID(ordered["replacement_id"])}


async def scan(
    system: Backbone, ids: dict[str, UUID], source: str, code: str, detail: str | None = None, minutes: int = 0
) -> None:
    raw = RawStatus(source=source, code=code, detail=detail)
    await system.publish(carrier.ParcelScanned(**ids, raw=raw, scanned_at=TEN + timedelta(minutes=minutes)))


@pytest.mark.parametrize(
    ("order_id", "source", "words", "minutes"),
    [
        ("T25-same-minute", "easypost", ("out_for_delivery", "delivered"), 0),
        ("T25-stamped-before", "yamato", ("配達中", "配達完了"), -5),
    ],
)
async def test_delivered_is_the_last_word_whatever_its_minute(
    system: Backbone, order_id: str, source: str, words: tuple[str, str], minutes: int
) -> None:
    ids = await shipped(system, order_id)
    await scan(system, ids, source, words[0])
    await scan(system, ids, source, words[1], minutes=minutes)
    await system.wait_for("issue.replacement_delivered", issue_id=ids["issue_id"])


@pytest.mark.parametrize(
    ("order_id", "words"),
    [
        ("T27-easypost", (("easypost", "return_to_sender", "return"), ("easypost", "delivered", None))),
        ("T27-yamato", (("yamato", "返品", None), ("yamato", "配達完了", None))),
    ],
)
async def test_delivered_after_the_way_back_is_delivered_to_the_sender(
    system: Backbone, order_id: str, words: tuple[tuple[str, str, str | None], ...]
) -> None:
    ids = await shipped(system, order_id)
    for number, (source, code, detail) in enumerate(words):
        await scan(system, ids, source, code, detail, minutes=30 * number)
    await system.wait_for("issue.review_requested", issue_id=ids["issue_id"], cause="parcel_exception")
    back = CountedLine(line_id="1", quantity=1)
    now = datetime.now(UTC)
    await system.publish(warehouse.ItemReceived(issue_id=ids["issue_id"], lines=(back,), received_at=now))
    counted = (await system.wait_for("issue.item_received", issue_id=ids["issue_id"]))["data"]
    assert counted["replacement_id"] == str(ids["replacement_id"])
    assert not system.events_of("issue.replacement_delivered", issue_id=ids["issue_id"])
    await JourneyPartners(system, ids["issue_id"]).decide("approve_review", review="parcel_exception")

    async def sent_again() -> bool:
        return len(system.events_of("replacement.ordered", issue_id=ids["issue_id"])) == 2

    await eventually(sent_again, "another replacement is sent on the word of staff")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("sagawa", "配達完了"), ("japanpost", "お届け先にお届け済み"), ("shippo", "DELIVERED"), ("shippo", "delivered"),
        ("dhl", "delivered"), ("ups", "D"), ("fedex", "DL"), ("usps", "delivered"),
    ],
)  # fmt: skip
async def test_every_carrier_can_say_that_it_delivered(system: Backbone, source: str, code: str) -> None:
    ids = await shipped(system, f"T28-{source}-{code.encode().hex()[:8]}")
    await scan(system, ids, source, code)
    await system.wait_for("issue.replacement_delivered", issue_id=ids["issue_id"])


async def test_a_line_that_is_named_twice_counts_as_its_sum_in_every_service(system: Backbone) -> None:
    order_id, now = "L29", datetime.now(UTC)
    person = {"customer_id": "customer of L29", "contact": CONTACT, "ship_to": ADDRESS}
    bought = line("1", 2, "5000")
    await system.publish(storefront.OrderPlaced(order_id=order_id, placed_at=now, lines=(bought,), **person))
    lots = tuple(ShippedLine(line_id="1", quantity=1, lot=lot) for lot in "AB")
    await system.publish(storefront.OrderShipped(order_id=order_id, lines=lots, shipped_at=now))
    twice = (LineQuantity(line_id="1", quantity=1),) * 2
    await system.publish(storefront.OrderDelivered(order_id=order_id, lines=twice, delivered_at=now))
    granted = await system.wait_for("points.granted", order_id=order_id, kind="purchase")
    assert granted["data"]["points"] == 100
    await eventually(lambda: system._order_is_known(order_id), "every service knows the order")
    issue_id = await system.report(order_id, quantity=2)
    await system.wait_for("replacement.ordered", issue_id=issue_id)
    overdue = "SELECT count(*) FROM timers WHERE aggregate = 'conversations' AND key = $1 AND name = 'overdue'"
    assert await system.delivery_notify.service.pool.fetchval(overdue, order_id) == 0


@pytest.mark.parametrize("reason", ["lost_in_transit", "missing_item"])
async def test_a_line_that_never_came_takes_no_points_from_the_line_that_did(system: Backbone, reason: str) -> None:
    order_id, customer, now = f"L30-{reason}", f"customer of L30-{reason}", datetime.now(UTC)
    lines = (line("1", 1, "5000"), line("2", 1, "5000"))
    person = {"customer_id": customer, "contact": CONTACT, "ship_to": ADDRESS}
    await system.publish(storefront.OrderPlaced(order_id=order_id, placed_at=now, lines=lines, **person))
    units = tuple(LineQuantity(line_id=each.line_id, quantity=1) for each in lines)
    await system.publish(storefront.OrderShipped(order_id=order_id, lines=units, shipped_at=now))
    await system.publish(storefront.OrderDelivered(order_id=order_id, lines=units[:1], delivered_at=now))
    granted = await system.wait_for("points.granted", order_id=order_id, kind="purchase")
    assert granted["data"]["points"] == 50
    await eventually(lambda: system._order_is_known(order_id), "every service knows the order")
    lost = [{"line_id": "2", "quantity": 1}]
    issue_id = await system.report(order_id, reason, lines=lost, requested_remedy="refund")
    asked = (await system.wait_for("refund.requested", issue_id=issue_id))["data"]
    assert asked["amount"]["amount"] == "5000"
    paid = {name: asked[name] for name in ("issue_id", "refund_id", "amount")}
    await system.publish(payment.RefundCompleted(**paid, completed_at=datetime.now(UTC), transaction_id=f"T-{reason}"))
    resolved = await system.wait_for("issue.resolved", issue_id=issue_id)
    await system.wait_for("points.granted", issue_id=issue_id)  # loyalty has seen the refund and the resolution
    assert resolved
    assert not system.events_of("points.reversed", customer_id=customer)
    shown = await system.loyalty.client.get(f"/v1/customers/{customer}/balance", headers=STOREFRONT)
    apology = sum(event["data"]["points"] for event in system.events_of("points.granted", issue_id=issue_id))
    assert shown.json()["total"] == 50 + apology


async def test_a_status_that_no_table_has_reaches_staff(system: Backbone) -> None:
    ids = await shipped(system, "T28-unknown")
    await scan(system, ids, "sagawa", "謎の状態")
    detected = await system.wait_for("issue.anomaly_detected", issue_id=ids["issue_id"])
    assert detected["data"]["anomaly"].startswith("unknown_carrier_status")
    shown = (await system.returns.client.get(f"/v1/cases/{ids['issue_id']}", headers=OPS)).json()
    assert shown["status"] == "replacement_shipped"
