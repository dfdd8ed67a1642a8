"""Cluster detection on a real broker: orders and reports in, a cluster, a held lot and warned buyers out."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from libs.common.events.envelope import Payload
from libs.common.events.storefront import IssueSubmitted, OrderDelivered, OrderPlaced, OrderShipped
from libs.common.events.values import Address, Contact, Money, OrderLine, Reason, ReportedLine, ShippedLine
from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from tests.common.wire import event_bytes, publish, read_json
from tests.running import OPS, Live, eventually, running

NOW = datetime.now(UTC)


@pytest.fixture
async def live(
    database: Callable[[str], Awaitable[str]], kafka: str, topics: str, tmp_path: Path
) -> AsyncIterator[Live]:
    url = await database("intake")
    async with running(
        create_app, IntakeSettings, database=url, kafka=kafka, prefix=topics, evidence_dir=tmp_path
    ) as live:
        yield live


def order(number: int, lot: str) -> list[Payload]:
    """Events of an order of one teapot of this lot: placed, shipped, delivered."""
    ids, line = {"order_id": f"O-{number}", "customer_id": f"C-{number}"}, {"line_id": "1", "quantity": 1}
    price = Money(amount="4980", currency="JPY")
    home = Address(name="山田花子", postal_code="150-0001", country="JP", city="渋谷区", street="神宮前1-2-3")
    return [
        OrderPlaced(
            **ids,
            placed_at=NOW,
            lines=(OrderLine(**line, sku="KYUSU", name="急須", unit_price=price),),
            contact=Contact(name="山田花子", email="hanako@example.jp"),
            ship_to=home,
        ),
        OrderShipped(**ids, lines=(ShippedLine(**line, lot=lot),), shipped_at=NOW),
        OrderDelivered(**ids, lines=(line,), delivered_at=NOW),
    ]


def broken(number: int) -> Payload:
    line = ReportedLine(line_id="1", quantity=1)
    return IssueSubmitted(order_id=f"O-{number}", customer_id=f"C-{number}", reason=Reason.DEFECTIVE, lines=(line,))


async def test_a_bad_lot_is_learnt_from_reports_then_held_and_its_buyers_warned(
    live: Live, kafka: str, topics: str
) -> None:
    async def send(facts: list[Payload]) -> None:
        await publish(kafka, [(topics + fact.TOPIC.name, fact.key, event_bytes(fact), []) for fact in facts])

    good, bad = range(40), range(40, 60)
    facts = [fact for number in (*good, *bad) for fact in order(number, "A" if number in good else "B")]
    await send(facts)

    # Partitions are read in no common order, and only reports start the detection: it must find every delivery.
    async def all_delivered() -> bool:
        days = (await live.client.get("/v1/insights/days", headers=OPS)).json()["days"]
        return bool(sum(day["delivered_units"] for day in days) == len(facts) // 3)

    await eventually(all_delivered, "every delivery is counted", seconds=60)
    await send([broken(number) for number in (3, *range(40, 46))])

    async def alerts(type_: str) -> list[dict[str, Any]]:
        return [event["data"] for event in await read_json(kafka, f"{topics}product.alerts") if event["type"] == type_]

    # On a busy machine one run of the detection may take a second, and the pause after it 50 times as long.
    [cluster] = await eventually(
        lambda: alerts("cluster.detected.v1"), "a cluster is published on product.alerts", seconds=120
    )
    assert (cluster["sku"], cluster["lot"], cluster["reasons"]) == ("KYUSU", "B", ["defective"])
    assert await alerts("lot.held.v1") == []

    answer = await live.client.post(
        f"/v1/insights/clusters/{cluster['cluster_id']}/decision",
        json={"approve": True, "staff": "sato", "comment": "Handles break at the seam"},
        headers={**OPS, "Idempotency-Key": "approve"},
    )
    assert answer.status_code == 200
    [held] = await eventually(lambda: alerts("lot.held.v1"), "the lot is held")
    assert (held["lot"], held["staff"]) == ("B", "sato")

    async def all_warned() -> bool:
        warned = [fact["order_id"] for fact in await alerts("buyer.warned.v1")]
        assert len(warned) == len(set(warned))
        return set(warned) >= {f"O-{number}" for number in range(46, 60)}

    await eventually(all_warned, "every buyer of the lot who has not reported is warned", seconds=120)
    assert not {fact["order_id"] for fact in await alerts("buyer.warned.v1")} & {f"O-{number}" for number in good}
