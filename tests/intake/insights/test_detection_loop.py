"""Cluster detection on a real Postgres and over HTTP: each cluster is found, decided and acted upon once."""

import json
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from libs.common.events import issues
from libs.common.events.envelope import Payload
from libs.common.events.storefront import OrderDelivered, OrderPlaced, OrderShipped
from libs.common.events.values import Address, Contact, IssueLine, Money, OrderLine, Reason, ShippedLine
from services.intake.jobs.detection_loop import DetectionLoop
from services.intake.store.insights.clusters import ClusterStore
from tests.running import OPS, STOREFRONT, Live

YEN = Money(amount="4980", currency="JPY")
DECISION = {"approve": True, "staff": "sato", "comment": "Handles break at the seam"}
_keys = count()


async def sold(live: Live, orders: range, lot: str | None, sku: str = "KYUSU") -> None:
    """Place, ship and deliver orders of one piece each."""
    now = live.service.clock.now()
    for number in orders:
        order = f"{sku}-{number}"
        line = OrderLine(line_id="1", sku=sku, name="急須", quantity=1, unit_price=YEN)
        events: list[Payload] = [
            OrderPlaced(
                order_id=order,
                customer_id=f"C-{number}",
                placed_at=now,
                lines=(line,),
                contact=Contact(name="山田花子", email="hanako@example.jp"),
                ship_to=Address(name="山田花子", postal_code="150-0001", country="JP", city="渋谷区", street="1-2-3"),
            ),
            OrderShipped(order_id=order, lines=(ShippedLine(line_id="1", quantity=1, lot=lot),), shipped_at=now),
            OrderDelivered(order_id=order, lines=({"line_id": "1", "quantity": 1},), delivered_at=now),
        ]
        for payload in events:
            await live.service.execute(live.service.aggregates["orders"], live.service.event(payload))


async def reported(live: Live, orders: range, lot: str | None, sku: str = "KYUSU") -> None:
    """Apply accepted issues as the topic `issues` carries them."""
    now = live.service.clock.now()
    for number in orders:
        line = IssueLine(line_id="1", quantity=1, sku=sku, name="急須", unit_price=YEN, lot=lot)
        fact = issues.IssueAccepted(
            issue_id=UUID(int=number),
            order_id=f"{sku}-{number}",
            customer_id=f"C-{number}",
            reason=Reason.DEFECTIVE,
            lines=(line,),
            delivered_on=now.astimezone(live.service.settings.zone).date(),
            reported_at=now,
            accepted_at=now,
        )
        await live.service.execute(live.service.aggregates["timeline"], live.service.event(fact))


async def look(live: Live) -> None:
    """Run the detection loop once."""
    clusters = live.service.aggregates["clusters"]
    assert isinstance(clusters, ClusterStore)
    await DetectionLoop(live.service, clusters).run_once()


async def clusters(live: Live, **wanted: str) -> list[dict[str, Any]]:
    answer = await live.client.get("/v1/insights/clusters", params=wanted, headers=OPS)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["clusters"]
    return found


async def post(live: Live, cluster_id: str, action: str, body: dict[str, Any], key: str | None = None) -> Any:
    headers = {**OPS, "Idempotency-Key": key or f"key-{next(_keys)}"}
    return await live.client.post(f"/v1/insights/clusters/{cluster_id}/{action}", json=body, headers=headers)


async def outbox(live: Live, type_: str) -> list[dict[str, Any]]:
    rows = await live.service.pool.fetch("SELECT value FROM outbox_records ORDER BY id, n")
    events = [json.loads(row["value"]) for row in rows]
    return [event["data"] for event in events if event["type"] == type_]


async def bad_lot(live: Live) -> str:
    await sold(live, range(60), "A")
    await sold(live, range(100, 120), "B")
    await reported(live, range(2), "A")
    await reported(live, range(100, 106), "B")
    await look(live)
    [cluster] = await clusters(live)
    return str(cluster["cluster_id"])


async def test_a_bad_lot_is_found_and_waits_for_staff(live: Live) -> None:
    await bad_lot(live)
    [cluster] = await clusters(live, status="proposed", sku="KYUSU")
    assert (cluster["lot"], cluster["reported_orders"], cluster["delivered_units"], cluster["held"]) == (
        "B",
        6,
        20,
        False,
    )
    assert [fact["lot"] for fact in await outbox(live, "cluster.detected.v1")] == ["B"]
    assert await outbox(live, "lot.held.v1") == []
    assert live.service.counters.values["detection", "cluster_detected"] >= 1
    await reported(live, range(106, 108), "B")
    await look(live)
    assert len(await clusters(live)) == 1


async def test_a_bad_lot_is_found_also_when_the_deliveries_of_good_lots_are_read_last(live: Live) -> None:
    await sold(live, range(100, 120), "B")
    await reported(live, range(1), "A")
    await reported(live, range(100, 105), "B")
    await look(live)
    assert await clusters(live) == []
    await sold(live, range(200), "A")
    await look(live)
    assert [cluster["lot"] for cluster in await clusters(live)] == ["B"]


async def test_what_staff_approve_holds_the_lot_and_warns_each_buyer_who_has_not_reported(live: Live) -> None:
    cluster = await bad_lot(live)
    first, again = [await post(live, cluster, "decision", DECISION, key="once") for _ in range(2)]
    assert (first.status_code, again.headers.get("Idempotent-Replayed")) == (200, "true")
    [held] = await outbox(live, "lot.held.v1")
    assert (held["lot"], held["staff"], held["comment"]) == ("B", "sato", "Handles break at the seam")
    warned = [fact["order_id"] for fact in await outbox(live, "buyer.warned.v1")]
    assert warned == sorted(f"KYUSU-{number}" for number in range(106, 120))
    [shown] = await clusters(live)
    assert (shown["status"], shown["held"], shown["warned"], shown["staff"]) == ("acting", True, 14, "sato")


async def test_whose_piece_arrives_after_the_decision_is_warned_too_until_the_lot_is_released(live: Live) -> None:
    cluster = await bad_lot(live)
    await post(live, cluster, "decision", DECISION)
    await sold(live, range(200, 202), "B")
    await look(live)
    assert [fact["order_id"] for fact in await outbox(live, "buyer.warned.v1")][-2:] == ["KYUSU-200", "KYUSU-201"]
    assert (await post(live, cluster, "release", {"staff": "sato", "comment": "All checked"})).status_code == 200
    assert [fact["lot"] for fact in await outbox(live, "lot.released.v1")] == ["B"]
    await sold(live, range(300, 301), "B")
    await look(live)
    assert len(await outbox(live, "buyer.warned.v1")) == 16


async def test_without_lots_a_product_is_learnt_about(live: Live) -> None:
    await sold(live, range(30), None, "DONABE")
    await reported(live, range(10), None, "DONABE")
    await look(live)
    [cluster] = await clusters(live)
    assert (cluster["sku"], cluster["lot"], cluster["reported_orders"]) == ("DONABE", None, 10)
    await post(live, cluster["cluster_id"], "decision", DECISION)
    assert len(await outbox(live, "buyer.warned.v1")) == 20


async def test_what_cannot_be_decided_is_refused_by_name(live: Live) -> None:
    cluster = await bad_lot(live)
    unknown = "00000000-0000-0000-0000-000000000001"

    async def code(cluster_id: str, action: str, body: dict[str, Any]) -> tuple[int, str]:
        answer = await post(live, cluster_id, action, body)
        return answer.status_code, answer.json()["code"]

    assert await code(unknown, "decision", DECISION) == (404, "unknown_cluster")
    assert await code(cluster, "release", {"staff": "s", "comment": "w"}) == (409, "not_acting")
    assert await code(cluster, "decision", {**DECISION, "hold": False, "warn": False}) == (409, "nothing_to_do")
    assert await code(cluster, "decision", {**DECISION, "comment": " "}) == (422, "invalid")
    assert await code(cluster, "decision", {**DECISION, "staff": ""}) == (422, "invalid")
    assert await code(cluster, "decision", {**DECISION, "warm": True}) == (422, "invalid")
    assert (await post(live, cluster, "decision", {**DECISION, "approve": False})).status_code == 200
    assert await code(cluster, "decision", DECISION) == (409, "already_decided")


@pytest.mark.parametrize("path", ["", "/products", "/days", "/clusters"])
async def test_figures_are_for_ops_only(live: Live, path: str) -> None:
    assert (await live.client.get(f"/v1/insights{path}", headers=OPS)).status_code == 200
    assert (await live.client.get(f"/v1/insights{path}", headers=STOREFRONT)).status_code == 403
    assert (await live.client.get(f"/v1/insights{path}")).status_code == 401


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"first": "2026-03-09", "last": "2026-03-01"}, "first"),
        ({"first": "1990-03-09"}, "first"),
        ({"first": "yesterday"}, "first"),
        ({"first": "0001-01-01", "last": "0001-02-01"}, "first, last"),
        ({"last": "9999-12-31"}, "first, last"),
        ({"lot": "A"}, "lot"),
        ({"sku": ""}, "sku"),
    ],
)
async def test_a_wrong_period_is_refused_by_name(live: Live, asked: dict[str, str], field: str) -> None:
    answer = await live.client.get("/v1/insights", params=asked, headers=OPS)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert answer.json()["detail"].startswith(field)


async def test_a_summary_over_http(live: Live) -> None:
    await bad_lot(live)
    answer = (await live.client.get("/v1/insights", params={"sku": "KYUSU"}, headers=OPS)).json()
    assert (answer["summary"]["issues"], answer["nps"][0]["group"]) == (8, "all")
    products = (await live.client.get("/v1/insights/products", headers=OPS)).json()["products"]
    assert [
        (product["sku"], product["lot"], product["delivered_units"], product["reported_units"])
        for product in products[:2]
    ] == [
        ("KYUSU", "B", 20, 6),
        ("KYUSU", "A", 60, 2),
    ]
