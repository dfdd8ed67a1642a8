"""A defective lot, from the first reports to the warnings of further buyers, through all four services."""

from datetime import UTC, datetime
from pathlib import Path

from libs.common.events.envelope import Payload
from libs.common.events.storefront import IssueSubmitted, OrderDelivered, OrderPlaced, OrderShipped
from libs.common.events.values import Reason, ReportedLine, ShippedLine
from tests.common.wire import event_bytes, publish
from tests.conftest import MakeDatabase
from tests.journey.backbone import ADDRESS, CONTACT, Backbone, backbone, line
from tests.running import OPS, eventually

GOOD, BAD = range(40), range(40, 60)
REPORTED = (3, *range(40, 46))


def bought(number: int) -> list[Payload]:
    """One teapot of the good or the defective lot, delivered."""
    now, order_id = datetime.now(UTC), f"order-{number}"
    lot = "A" if number in GOOD else "B"
    piece = {"line_id": "1", "quantity": 1}
    return [
        OrderPlaced(
            order_id=order_id, customer_id=f"customer-{number}", placed_at=now, lines=(line("1"),), contact=CONTACT,
            ship_to=ADDRESS,
        ),
        OrderShipped(order_id=order_id, lines=(ShippedLine(**piece, lot=lot),), shipped_at=now),
        OrderDelivered(order_id=order_id, lines=(piece,), delivered_at=now),
    ]  # fmt: skip


def broken(number: int) -> Payload:
    lines = (ReportedLine(line_id="1", quantity=1),)
    return IssueSubmitted(
        order_id=f"order-{number}", customer_id=f"customer-{number}", reason=Reason.DEFECTIVE, lines=lines
    )


async def test_a_cluster_is_detected_held_by_staff_and_its_buyers_are_warned_before_they_notice(
    database: MakeDatabase, kafka: str, topics: str, tmp_path: Path
) -> None:
    async with backbone(database, kafka, topics, tmp_path) as shop:
        events = [fact for number in (*GOOD, *BAD) for fact in bought(number)] + [broken(number) for number in REPORTED]
        await publish(kafka, [(topics + fact.TOPIC.name, fact.key, event_bytes(fact), []) for fact in events])
        cluster = (await shop.wait_for("cluster.detected", sku="SKU-1"))["data"]
        assert (cluster["lot"], shop.events_of("lot.held"), shop.events_of("buyer.warned")) == ("B", [], [])

        answer = await shop.intake.client.post(
            f"/v1/insights/clusters/{cluster['cluster_id']}/decision",
            json={"approve": True, "staff": "sato", "comment": "Handles break at the seam"},
            headers={**OPS, "Idempotency-Key": "approve"},
        )
        assert answer.status_code == 200
        await shop.wait_for("lot.held", lot="B")
        await eventually(lambda: _warned(shop), "everybody who has one of them and has not reported had a letter")


async def _warned(shop: Backbone) -> bool:
    letters = {event["data"]["order_id"] for event in shop.events_of("notice.sent", kind="buyer_warned")}
    return letters == {f"order-{number}" for number in BAD if number not in REPORTED}
