"""Erasure of a customer on real parts: data found everywhere before and nowhere after; all sums still match."""

import json
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from aiokafka import AIOKafkaConsumer
from PIL import Image

from deploy.local.mailbox import Mailbox
from deploy.verification.auditor import audit, read_history
from libs.common.events import storefront, values
from libs.common.events.topics import SERVICES
from libs.common.postgres.column_keys import ColumnKeys
from libs.common.privacy.erase_cli import KafkaCluster, drop_read, erase
from libs.common.privacy.verify_erasure import Finding, Search, verify
from tests.common import wire
from tests.conftest import MakeDatabase
from tests.journey.backbone import Backbone, backbone, line
from tests.journey.test_replacement import swap
from tests.running import OPS, STOREFRONT, Live, eventually
from tests.traces.receiver import Receiver, receiver

pytestmark = [pytest.mark.apache, pytest.mark.timeout(300)]

COLUMN_KEY = "a-key-for-the-columns-of-this-run"
CUSTOMER, ORDER = "C-4711", "order-4711"
NAME, MAIL, PHONE, STREET = "春野 さくら", "sakura.haruno@example.jp", "090-1234-5678", "木ノ葉町 7-77-7"
WORDS = "ふたが割れて届きました"
THINGS = (NAME, MAIL, PHONE, STREET, WORDS)
SHIP_TO = values.Address(name=NAME, postal_code="600-8000", country="JP", city="京都市", street=STREET, phone=PHONE)
CONTACT = values.Contact(name=NAME, email=MAIL, phone=PHONE)


@pytest.fixture
def otlp() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
async def shop(
    database: MakeDatabase, kafka: str, topics: str, smtp: Mailbox, tmp_path: Path, otlp: Receiver
) -> AsyncIterator[Backbone]:
    shared = {"otel_exporter_otlp_endpoint": otlp.endpoint, "personal_data_keys": COLUMN_KEY}
    async with backbone(database, kafka, topics, tmp_path / "photos", smtp.url, **shared) as running:
        yield running


def lives(shop: Backbone) -> dict[str, Live]:
    return {name: getattr(shop, name) for name in SERVICES}


def placed(order_id: str, at: datetime, contact: values.Contact = CONTACT) -> storefront.OrderPlaced:
    return storefront.OrderPlaced(
        order_id=order_id, customer_id=CUSTOMER, placed_at=at, lines=(line("1"),), contact=contact, ship_to=SHIP_TO,
        birthday="04-01",
    )  # fmt: skip


async def live_a_life(shop: Backbone) -> UUID:
    """Create an order, a report with text and photo, a replacement, mails, points, preferences and a dead letter."""
    await shop.place_order(
        ORDER, customer_id=CUSTOMER, contact=CONTACT, ship_to=SHIP_TO, birthday="04-01", last_purchased_item="茶碗"
    )
    issue_id = await shop.report(ORDER, customer_id=CUSTOMER, description=WORDS)
    photo = BytesIO()
    Image.new("RGB", (64, 48), "red").save(photo, "JPEG")
    files = [("photos", ("IMG_1.jpg", photo.getvalue()))]
    kept = await shop.intake.client.post(f"/v1/issues/{issue_id}/photos", files=files, headers=STOREFRONT)
    assert kept.status_code == 201, kept.text
    await swap(shop, issue_id)
    await shop.wait_for("points.granted", issue_id=issue_id)
    await shop.wait_for("notice.sent", issue_id=issue_id, kind="issue_resolved")
    await call(shop.delivery_notify, "put", "preferences", {"channels": ["sms"], "phone": PHONE})
    gift = {"change": 100, "text": "goodwill", "staff": "aiko", "comment": f"{NAME} called twice"}
    await call(shop.loyalty, "post", "adjustments", gift)
    broken = {**json.loads(wire.event_bytes(placed("order-4712", datetime.now(UTC)))), "id": 1}
    await wire.publish(shop.kafka, [(shop.prefix + "storefront.orders", "order-4712", json.dumps(broken).encode(), [])])
    await eventually(
        lambda: is_dead_letter(shop), "the broken order is a dead letter of the service that answers its author"
    )
    return issue_id


async def call(live: Live, method: str, what: str, body: dict[str, Any]) -> None:
    headers = {**OPS, "Idempotency-Key": f"{method} {what}"}
    answer = await getattr(live.client, method)(f"/v1/customers/{CUSTOMER}/{what}", json=body, headers=headers)
    assert answer.status_code < 300, answer.text


async def is_dead_letter(shop: Backbone) -> bool:
    return bool(await shop.intake.service.pool.fetchval("SELECT count(*) FROM dead_letters"))


async def read_as_partners(shop: Backbone) -> None:
    """Read the partners' topics to the end, each in a group of its own."""
    async with AIOKafkaConsumer(
        shop.prefix + "warehouse.orders", shop.prefix + "carrier.orders",
        bootstrap_servers=shop.kafka, group_id=shop.prefix + "partners", auto_offset_reset="earliest",
    ) as consumer:  # fmt: skip

        async def read() -> bool:
            await consumer.getmany(timeout_ms=200)
            places = consumer.assignment()
            ends = await consumer.end_offsets(places) if places else {}
            return bool(places) and all([await consumer.position(place) >= ends[place] for place in places])

        await eventually(read, "partners have read their orders", seconds=60)
        await consumer.commit()


async def left(shop: Backbone, folders: list[Path]) -> list[Finding]:
    urls = [live.service.settings.database_url for live in lives(shop).values()]
    keys = ColumnKeys([COLUMN_KEY])
    return await verify(Search.of(THINGS), urls, KafkaCluster(shop.kafka, shop.prefix), folders, keys)


async def violations(shop: Backbone) -> list[str]:
    """Return the findings of the auditor, which shares no code with the services."""
    urls = {name: live.service.settings.database_url for name, live in lives(shop).items()}
    history = await read_history(shop.kafka, shop.prefix, urls, ZoneInfo("Asia/Tokyo"), datetime.now(UTC))
    return [f"{verdict.name}: {each.description}" for verdict in audit(history) for each in verdict.violations or ()]


def where(found: list[Finding]) -> set[str]:
    return {one.place.partition(": ")[2].partition(",")[0] for one in found if one.place.startswith("database")}


async def test_who_was_found_everywhere_is_found_nowhere_and_everything_still_adds_up(
    shop: Backbone, otlp: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    issue_id = await live_a_life(shop)
    photos = list((tmp_path / "photos").rglob("*.jpg"))
    before = await left(shop, [])
    assert where(before) >= {
        f"table {name}" for name in ("contacts", "order_snapshots", "issues", "dead_letters", "preferences", "entries")
    }
    assert len(photos) == 2
    wrong, timeline = await violations(shop), await shop.timeline(issue_id)

    await erase(KafkaCluster(shop.kafka, shop.prefix), CUSTOMER, 60)
    await eventually(lambda: gone(photos), "the files of the photos are gone")
    assert where(await left(shop, [])) == set()
    assert set(await violations(shop)) <= set(wrong)  # which were about the order that could not be read
    assert await shop.timeline(issue_id) == timeline
    assert await balance(shop) > 100

    await read_as_partners(shop)

    async def dropped() -> bool:
        return await drop_read(KafkaCluster(shop.kafka, shop.prefix)) == {}

    await eventually(dropped, "every service has read, and nothing that was read is left", seconds=60)
    messages = [record.getMessage() for record in caplog.records if record.name != "mail.log"]  # the mail server's own
    (tmp_path / "services.log").write_text("\n".join(messages))
    (tmp_path / "spans.txt").write_text("\n".join(map(str, otlp.spans)))
    assert otlp.spans
    assert await left(shop, [tmp_path]) == []


async def gone(photos: list[Path]) -> bool:
    return not any(photo.exists() for photo in photos)


async def balance(shop: Backbone) -> int:
    answer = await shop.loyalty.client.get(f"/v1/customers/{CUSTOMER}/balance", headers=OPS)
    return int(answer.json()["pending"]) + int(answer.json()["available"])


async def test_what_comes_late_brings_nobody_back_and_an_order_placed_later_is_a_new_consent(shop: Backbone) -> None:
    before = datetime.now(UTC)
    await shop.publish(placed(ORDER, before))
    await eventually(lambda: knows(shop, ORDER), "the order is known")
    await erase(KafkaCluster(shop.kafka, shop.prefix), CUSTOMER, 60)
    await shop.publish(placed(ORDER, before))
    await shop.publish(placed("order-late", before))
    new = values.Contact(name="春野 さくらこ", email="sakurako@example.jp")
    await shop.publish(placed("order-new", datetime.now(UTC) + timedelta(seconds=1), new))
    await eventually(lambda: knows(shop, "order-new"), "the new order is known")
    await eventually(lambda: learnt(shop, "order-late"), "the late order is known, without a person")
    contacts = await shop.delivery_notify.service.pool.fetch("SELECT order_id, sealed FROM contacts")
    keys = ColumnKeys([COLUMN_KEY])
    names = [(row["order_id"], keys.open_json("contacts", row["sealed"])["name"]) for row in contacts]
    assert names == [("order-new", new.name)]
    places = await shop.returns.service.pool.fetch("SELECT order_id, sealed IS NULL, value FROM order_snapshots")
    assert {row["order_id"]: tuple(row)[1:] for row in places} == {
        ORDER: (True, 4980), "order-late": (True, 4980), "order-new": (False, 4980)
    }  # fmt: skip


async def knows(shop: Backbone, order_id: str) -> bool:
    contact = "SELECT count(*) FROM contacts WHERE order_id = $1"
    address = "SELECT count(*) FROM order_snapshots WHERE order_id = $1 AND sealed IS NOT NULL"
    found = [
        await shop.delivery_notify.service.pool.fetchval(contact, order_id),
        await shop.returns.service.pool.fetchval(address, order_id),
    ]
    return all(found)


async def learnt(shop: Backbone, order_id: str) -> bool:
    order = "SELECT count(*) FROM order_snapshots WHERE order_id = $1"
    conversation = "SELECT count(*) FROM conversations WHERE key = $1"
    found = [
        await shop.returns.service.pool.fetchval(order, order_id),
        await shop.delivery_notify.service.pool.fetchval(conversation, order_id),
    ]
    return all(found)
