"""A partner that writes its own topic only cannot suppress, imitate or repeat the events of another author."""

from uuid import UUID, uuid4

from libs.common.events.carrier import ParcelScanned
from libs.common.events.envelope import Payload
from libs.common.events.values import RawStatus
from services.returns.app import create_app
from services.returns.settings import ReturnsSettings
from tests.common.wire import Wanted, event_bytes, publish
from tests.conftest import MakeDatabase
from tests.returns.cases import TUESDAY, accepted
from tests.returns.test_app import reaches
from tests.returns.test_store import placed
from tests.running import OPS, Live, eventually, running

SCANNED = ParcelScanned(issue_id=uuid4(), raw=RawStatus(source="yamato", code="x"), scanned_at=TUESDAY)


async def write(live: Live, payload: Payload, event_id: UUID, source: str) -> None:
    settings = live.service.settings
    topic = settings.kafka_topic_prefix + payload.TOPIC.name
    record: Wanted = (topic, payload.key, event_bytes(payload, str(event_id), source), [])
    await publish(settings.kafka_bootstrap_servers, [record])


async def _dead_letters(live: Live) -> list[str]:
    items = (await live.client.get("/ops/dead-letters", headers=OPS)).json()["items"]
    return [item["reason"] for item in items]


async def test_ids_and_sources_of_a_service_on_a_partners_topic_change_nothing(
    database: MakeDatabase, kafka: str, topics: str
) -> None:
    known_id = uuid4()
    url = await database("returns")
    async with running(create_app, ReturnsSettings, database=url, kafka=kafka, prefix=topics) as live:
        await write(live, SCANNED, known_id, "/intake")

        async def refused() -> bool:
            return await _dead_letters(live) == ["forbidden_source"]

        await eventually(refused, "the forged event is a dead letter")
        await write(live, SCANNED, known_id, "/courier")

        async def taken() -> bool:
            return bool(await live.service.pool.fetchval("SELECT count(*) = 1 FROM inbox"))

        await eventually(taken, "the courier's own event is in the inbox")
        await write(live, placed(), uuid4(), "/my-shop")
        await write(live, accepted(), known_id, "/intake")
        await reaches(live, "replacement_ordered")
