"""The whole service on a real broker and database: partner events in, partner orders out."""

from uuid import UUID

from libs.common.decisions.ids import derived_id
from libs.common.events.envelope import Payload
from libs.common.events.warehouse import ReplacementConfirmed, ReplacementShipped
from services.returns.app import create_app
from services.returns.settings import ReturnsSettings
from tests.common.wire import event_bytes, publish, read_json
from tests.conftest import MakeDatabase
from tests.returns.cases import CALENDAR, ISSUE, TUESDAY, accepted
from tests.returns.test_store import placed
from tests.running import OPS, Live, eventually, running

REPLACEMENT = derived_id("replacement", ISSUE, 1)


async def tell(kafka: str, prefix: str, *payloads: Payload) -> None:
    await publish(kafka, [(prefix + one.TOPIC.name, one.key, event_bytes(one), []) for one in payloads])


async def reaches(live: Live, headline: str, issue_id: UUID = ISSUE) -> None:
    async def there() -> bool:
        answer = await live.client.get(f"/v1/cases/{issue_id}", headers=OPS)
        return answer.status_code == 200 and answer.json()["status"] == headline

    await eventually(there, f"the case is {headline}", seconds=40)


async def test_a_report_becomes_an_order_and_the_shipping_a_collection(
    database: MakeDatabase, kafka: str, topics: str
) -> None:
    url = await database("returns")
    async with running(create_app, ReturnsSettings, database=url, kafka=kafka, prefix=topics) as live:
        await tell(kafka, topics, placed())
        await eventually(lambda: _knows_the_address(live), "the address is known")
        await tell(kafka, topics, accepted())
        await reaches(live, "replacement_ordered")
        soon = CALENDAR.day(live.service.clock.now())
        await tell(kafka, topics, ReplacementConfirmed(issue_id=ISSUE, replacement_id=REPLACEMENT, ship_date=soon))
        await reaches(live, "replacement_confirmed")
        shipped = ReplacementShipped(issue_id=ISSUE, replacement_id=REPLACEMENT, shipped_at=TUESDAY)
        await tell(kafka, topics, shipped, shipped)
        await reaches(live, "replacement_shipped")
        await eventually(lambda: _relayed(live), "everything has left")
        orders = await read_json(kafka, topics + "warehouse.orders")
        collections = await read_json(kafka, topics + "carrier.orders")
    assert [order["type"] for order in orders] == ["replacement.ordered.v1"]
    assert [order["type"] for order in collections] == ["collection.requested.v1"]


async def _knows_the_address(live: Live) -> bool:
    async with live.service.pool.acquire() as conn:
        return bool(await conn.fetchval("SELECT count(*) FROM order_snapshots"))


async def _relayed(live: Live) -> bool:
    async with live.service.pool.acquire() as conn:
        return not await conn.fetchval("SELECT count(*) FROM outbox")
